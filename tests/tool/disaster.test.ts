// The disaster: the database is gone, and only the bucket is left.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import type pg from 'pg';

import type { Stack } from '../../stack/stack.ts';
import { temporaryFolder } from '../dev-command.ts';
import { bytesOf, objectsOf, prefixOf } from '../fixtures/archive.ts';
import { type ChainManifest, increment } from '../fixtures/chain.ts';
import { backUp, call } from '../fixtures/functions.ts';
import { damage, openShop, type Rows, rowsOf, stock } from '../fixtures/shop.ts';
import { startWith } from '../fixtures/stack.ts';
import { addMember, newTenant, type Tenant, tokenOf } from '../fixtures/tenants.ts';
import { copyBucket, m23 } from '../fixtures/tool.ts';

const APPLICATION = `
  create type shop.colour as enum ('red', 'dark "green"');
  create domain shop.share as numeric(5, 2) check (value between 0 and 100);
  create sequence shop.ranks increment -2 start 100 maxvalue 100 minvalue -1000;
  create domain shop.rank as int default nextval('shop.ranks');
  create sequence shop.numbers as int start 500;
  create table shop.goods (
    id        serial primary key,
    tenant_id uuid not null default '00000000-0000-4000-8000-000000000000',
    colour    shop.colour not null default 'red',
    "Share"   shop.share,
    label     varchar(20) collate "C" check (label <> ''),
    account   bigint references shop.accounts (id) on delete set null,
    made      timestamptz not null default now(),
    half      numeric generated always as ("Share" / 2) stored,
    rank      shop.rank unique,
    number    text unique default 'no. ' || nextval('shop.numbers'),
    unique (tenant_id, label)
  );
  create index goods_made on shop.goods (made desc) where colour = 'red';
  alter table shop.goods enable row level security;
  create policy own on shop.goods for select to authenticated using (tenant_id in (select t::uuid from m23.caller_tenants() t));
  grant usage on schema shop to authenticated;
  grant select on shop.goods to authenticated;
  select m23.protect_table('shop.goods');
  create schema words;
  create collation words.numbered (provider = icu, locale = 'und-u-kn-true', deterministic = false);
  alter table shop.goods add word text collate words.numbered, add ten int generated always as identity (increment 10 start 100 minvalue 10 maxvalue 10000 cycle);
  create function shop.shout(text) returns text language sql immutable as 'select upper($1)';
  create table shop.loud (id int primary key, tenant_id uuid not null, v text, loud text generated always as (shop.shout(v)) stored);
  select m23.protect_table('shop.loud');`;

const TABLES = ['shop.accounts', 'shop.orders', 'shop."Line Items"', 'shop.goods'] as const;

/** Everything that the catalogue says of the application's tables, but for what is M23's and for triggers. */
const CATALOGUE = `
  select 'column ' || a.attrelid::regclass || ' ' || concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
           a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid)) as line
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum where a.attrelid = any ($1::regclass[]) and a.attnum > 0
  union all select 'constraint ' || concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint where conrelid = any ($1::regclass[])
  union all select 'index ' || pg_get_indexdef(indexrelid) from pg_index where indrelid = any ($1::regclass[])
  union all select 'security ' || concat_ws(' ', oid::regclass, relrowsecurity, relforcerowsecurity) from pg_class where oid = any ($1::regclass[])
  union all select 'policy ' || concat_ws(' ', tablename, policyname, permissive, roles, cmd, qual, with_check) from pg_policies where schemaname = 'shop'
  union all select 'sequence ' || concat_ws(' ', s.seqrelid::regclass, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle)
    from pg_sequence s join pg_depend d on d.objid = s.seqrelid and d.deptype = 'i' where d.refobjid = any ($1::regclass[])
  union all select 'collation ' || concat_ws(' ', collname, collprovider, collisdeterministic, colllocale) from pg_collation where collnamespace = to_regnamespace('words')
  union all select 'grant ' || concat_ws(' ', table_name, grantee, privilege_type) from information_schema.role_table_grants where table_schema = 'shop' and grantee = 'authenticated' and table_name = 'goods'
  order by 1`;

/** What another database lacks for: functions are not part of a manifest. */
const NOT_MADE = {
  statement:
    'create table shop.loud (id integer not null, tenant_id uuid not null, v text, ' +
    'loud text generated always as (shop.shout(v)) stored)',
  state: 'failed',
  fault: 'function shop.shout(text) does not exist',
};
const NOT_PROTECTED = { table: 'shop.loud', protection: 'failed', fault: 'relation "shop.loud" does not exist' };

interface Rebuilt {
  definitions: { statement: string; state: string; fault?: string }[];
  tables: { table: string; protection: string; fault?: string }[];
  adopted: string[];
  refused: unknown[];
}

let bucket: Map<string, Buffer>;
/** The same in a folder. */
let store: string;
let tenant: Tenant;
let backups: string[];
let wanted: { tip: Rows; between: { at: string; rows: Rows }; catalogue: string[] };

let stack: Stack;
let client: pg.Client;
let service: SupabaseClient;
let close: () => Promise<void>;

async function start(): Promise<void> {
  ({ stack, client, close } = await startWith({}, (opened) => Promise.resolve(opened)));
  service = createClient(stack.url, stack.serviceRoleKey);
}

async function catalogue(): Promise<string[]> {
  return (await client.query<{ line: string }>(CATALOGUE, [TABLES])).rows.map(({ line }) => line);
}

before(async () => {
  await start();
  await openShop(client);
  await client.query(APPLICATION);
  tenant = await newTenant(stack, client);
  await stock(client, tenant);
  await client.query(
    `insert into shop.goods (tenant_id, colour, "Share", label, account)
    select $1::uuid, 'dark "green"', n, 'label ' || n, (select min(id) from shop.accounts where tenant_id = $1::uuid) from generate_series(1, 10) n`,
    [tenant.id],
  );
  const full = await backUp(stack, client, tenant);
  await client.query(`insert into shop.loud values (1, $1, 'low')`, [tenant.id]);
  await client.query(`update shop.goods set "Share" = 99.5 where tenant_id = $1 and id % 2 = 0`, [tenant.id]);
  const {
    rows: [now],
  } = await client.query<{ at: string }>('select m23.iso(clock_timestamp()) as at');
  const between = { at: now?.at ?? '', rows: await rowsOf(client, tenant, TABLES) };
  await damage(client, tenant);
  const one = await increment(stack, client, tenant, full);
  await client.query('delete from shop.goods where tenant_id = $1 and id % 3 = 0', [tenant.id]);
  backups = [full, one, await increment(stack, client, tenant, one)];
  wanted = { tip: await rowsOf(client, tenant, TABLES), between, catalogue: await catalogue() };
  bucket = new Map();
  for (const backup of backups)
    for (const key of await objectsOf(stack, tenant, backup)) bucket.set(key, await bytesOf(stack, key));
  await close();

  await start();
  for (const [key, bytes] of bucket) await stack.archives.put(key, bytes);
  store = temporaryFolder();
  await copyBucket(stack, store);
});
after(() => close?.());

async function adopt(backup: string): Promise<{ data: unknown; error: { message: string } | null }> {
  const object = `${prefixOf(tenant, backup)}manifest.json`;
  const bytes = bucket.get(object) ?? Buffer.alloc(0);
  return await service.rpc('adopt_backup', {
    p_manifest: JSON.parse(bytes.toString('utf8')),
    p_object: object,
    p_sha256: createHash('sha256').update(bytes).digest('hex'),
  });
}

/** `m23 catalogue rebuild`, with the bucket in a folder and nothing else. */
async function rebuilt(): Promise<{ code: number | null; report: Rebuilt }> {
  const ran = await m23(['catalogue', 'rebuild', '--json', '--database', stack.postgres.url, store]);
  assert.equal(ran.errors, '');
  return { code: ran.code, report: JSON.parse(ran.output) as Rebuilt };
}

/** Every schema and relation, and whether it is protected. */
async function relations(): Promise<unknown[]> {
  return (
    await client.query(`
    select n.nspname, c.relname, p.id is not null as is_protected
      from pg_namespace n left join pg_class c on c.relnamespace = n.oid
      left join m23.protected_tables p on p.relid = c.oid order by 1, 2`)
  ).rows;
}

async function asAdmin(name: string, body: Record<string, unknown>): Promise<void> {
  const reply = await call(stack, name, await tokenOf(stack, tenant.userId('admin')), {
    confirmRestore: true,
    ...body,
  });
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
}

describe('a database with nothing but the migrations and the bucket', () => {
  test('learns of a backup only after those that it builds on', async () => {
    const { error } = await adopt(backups[2] ?? '');
    assert.match(error?.message ?? '', /adopt that first/);
  });

  test('learns of a backup with the service key, and executes nothing that its manifest says', async () => {
    const object = `${prefixOf(tenant, backups[0] ?? '')}manifest.json`;
    const manifest = JSON.parse((bucket.get(object) ?? Buffer.alloc(0)).toString('utf8')) as ChainManifest;
    const [stranger, id] = [randomUUID(), randomUUID()];
    const sql = [
      'create schema if not exists shop',
      'create table shop.pwned as select current_user as who',
      'create table public.pwned (id int)',
    ];
    const tables = manifest.tables.map((table) => {
      const create = [...sql, ...table.definition.create];
      return { ...table, definition: { create, finish: sql, references: sql } };
    });
    const forged = { ...manifest, backup_id: id, tenant_id: stranger, definitions: sql, tables };
    const before = await relations();
    const place = `tenants/${stranger}/backups/${id}/manifest.json`;
    const named = { p_manifest: forged, p_object: place, p_sha256: 'f'.repeat(64) };
    const { data, error } = await service.rpc('adopt_backup', named);
    assert.deepEqual([data, error], [id, null]);
    assert.deepEqual(await relations(), before, 'no schema, table or protection was made');
    const kept = await client.query('select from m23.backup_tables where job_id = $1 and definition is not null', [id]);
    assert.equal(kept.rowCount, 0, 'nor is anything kept that somebody might execute later');
  });

  test('gets the tables from the store, as they were, and learns of every backup; twice is as once', async () => {
    for (const round of ['first', 'second']) {
      const { code, report } = await rebuilt();
      assert.deepEqual([code, report.adopted, report.refused], [1, backups, []], round);
      assert.deepEqual(
        report.definitions.filter(({ state }) => state === 'failed'),
        [NOT_MADE],
      );
      assert.deepEqual(
        report.tables.filter(({ protection }) => protection === 'failed'),
        [NOT_PROTECTED],
      );
      assert.deepEqual(
        report.definitions.filter(({ state }) => state === 'refused'),
        [],
      );
    }
    for (const backup of backups) {
      const { data, error } = await adopt(backup);
      assert.deepEqual([data, error], [backup, null]);
    }
    assert.deepEqual(await catalogue(), wanted.catalogue);
    const { rows } = await client.query(
      `select id, status, job_type from public.backup_jobs where tenant_id = $1 order by created_at`,
      [tenant.id],
    );
    const jobs = backups.map((id, n) => ({ id, status: 'completed', job_type: n === 0 ? 'full' : 'incremental' }));
    assert.deepEqual(rows, jobs);
    const { rows: protectedTables } = await client.query(
      `select name from m23.protected_tables where name like 'shop.%' order by 1`,
    );
    assert.equal(protectedTables.length, 4);
  });

  test('and restores what could not be made once it is there', async () => {
    await addMember(client, tenant.id, tenant.userId('admin'), 'admin');
    await client.query(`create function shop.shout(text) returns text language sql immutable as 'select upper($1)';
      create table shop.loud (id int primary key, tenant_id uuid not null, v text, loud text generated always as (shop.shout(v)) stored);
      select m23.protect_table('shop.loud')`);
    await asAdmin('backup-restore', { backupJobId: backups[2], tables: ['shop.loud'] });
    assert.deepEqual((await client.query('select id, loud from shop.loud')).rows, [{ id: 1, loud: 'LOW' }]);
    await client.query(`select m23.unprotect_table('shop.loud'); drop table shop.loud`);
  });

  test('restores the tenant to the last backup, by HTTP', async () => {
    await asAdmin('backup-restore', { backupJobId: backups[2] });
    assert.deepEqual(await rowsOf(client, tenant, TABLES), wanted.tip);
  });

  test('and to a moment between two backups', async () => {
    await asAdmin('pitr-restore', { targetTimestamp: wanted.between.at, baseBackupId: backups[2] });
    assert.deepEqual(await rowsOf(client, tenant, TABLES), wanted.between.rows);
  });

  test('goes on from there: keys and references hold, sequences are ahead, new backups are made', async () => {
    await assert.rejects(
      client.query(`insert into shop.goods (tenant_id, account) values ($1, -1)`, [tenant.id]),
      /goods_account_fkey/,
    );
    await assert.rejects(
      client.query(`insert into shop.goods (tenant_id, label) values ($1, 'label 1')`, [tenant.id]),
      /goods_tenant_id_label_key/,
    );
    const { rows: numbers } = await client.query(
      `insert into shop.goods (tenant_id, label) values ($1, 'new') returning rank, number`,
      [tenant.id],
    );
    assert.deepEqual(numbers, [{ rank: 76, number: 'no. 512' }], 'after the ten goods and the two refused');
    const rows = await rowsOf(client, tenant, TABLES);
    const operator = tenant.userId('operator');
    await addMember(client, tenant.id, operator, 'operator');
    const here: Tenant = { ...tenant, userId: tenant.userId, token: (role) => tokenOf(stack, tenant.userId(role)) };
    const backup = await backUp(stack, client, here);
    await client.query('delete from shop.goods where tenant_id = $1', [tenant.id]);
    await asAdmin('backup-restore', { backupJobId: backup });
    assert.deepEqual(await rowsOf(client, tenant, TABLES), rows);
  });

  test('refuses a manifest that says something else, or is none of ours', async () => {
    const object = `${prefixOf(tenant, backups[0] ?? '')}manifest.json`;
    const manifest = JSON.parse((bucket.get(object) ?? Buffer.alloc(0)).toString('utf8')) as Record<string, unknown>;
    const answer = async (edited: Record<string, unknown>): Promise<string> =>
      (await service.rpc('adopt_backup', { p_manifest: edited, p_object: object, p_sha256: 'f'.repeat(64) })).error
        ?.message ?? '';
    assert.match(await answer(manifest), /with another manifest/);
    assert.match(await answer({ ...manifest, format: 'tar' }), /not a manifest/);
    assert.match(await answer({ ...manifest, backup_id: '5a9a3c4e-0000-4000-8000-000000000001' }), /does not lie at/);
    assert.equal(
      (
        await createClient(stack.url, stack.anonKey, { accessToken: () => tokenOf(stack, tenant.userId('admin')) }).rpc(
          'adopt_backup',
          { p_manifest: manifest, p_object: object, p_sha256: '' },
        )
      ).status,
      403,
    );
  });
});
