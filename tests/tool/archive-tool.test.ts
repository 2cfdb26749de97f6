// The command-line tool on archives that the real functions made: a copy of the bucket in a folder, nothing else.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import pg from 'pg';

import { supabaseShape } from '../../stack/migrated.ts';
import { migrate } from '../../stack/migrations.ts';
import { temporaryFolder } from '../dev-command.ts';
import { manifestOf } from '../fixtures/archive.ts';
import { type ChainManifest, increment } from '../fixtures/chain.ts';
import { backUp } from '../fixtures/functions.ts';
import { damage, rowsOf, SHOP, stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { copyBucket, copyIn, load, m23 } from '../fixtures/tool.ts';

const TABLES = [...SHOP, 'shop.samples'];

let bucket: string;
let tenant: Tenant;
/** A chain: full, and two incrementals. */
let chain: string[];
/** Moments between the members, and what the tables were then. */
const moments: { at: string; rows: Record<string, string[]> }[] = [];
let tip: Record<string, string[]>;

const { stack, client } = await openShopStack();
const folder = temporaryFolder();

before(async () => {
  await client.query(readFileSync(new URL('../fixtures/samples.sql', import.meta.url), 'utf8'));
  await client.query("update m23.settings set value = '7' where name = 'chunk_rows'");
  tenant = await newTenant(stack, client);
  for (const one of [tenant, await newTenant(stack, client)]) {
    await stock(client, one);
    await client.query('select shop.fill_samples($1)', [one.id]);
  }
  chain = [await backUp(stack, client, tenant)];
  await note();
  await damage(client, tenant);
  await note();
  await client.query('update shop.samples set part = part + 10, a_text = null where tenant_id = $1 and part < 3', [
    tenant.id,
  ]);
  await note();
  chain.push(await increment(stack, client, tenant, chain.at(-1) ?? ''));
  await note();
  await client.query('delete from shop.samples where tenant_id = $1 and part > 10', [tenant.id]);
  await note();
  await client.query('select shop.fill_samples($1)', [tenant.id]);
  await client.query('update shop.orders set note = place::text where tenant_id = $1', [tenant.id]);
  chain.push(await increment(stack, client, tenant, chain.at(-1) ?? ''));
  tip = await rowsOf(client, tenant, TABLES);
  bucket = join(folder, 'bucket');
  await copyBucket(stack, bucket);
});

function hasPsql(): boolean {
  return spawnSync('psql', ['--version']).status === 0;
}

async function note(): Promise<void> {
  const {
    rows: [now],
  } = await client.query<{ at: string }>(`select m23.iso(clock_timestamp()) as at`);
  moments.push({ at: now?.at ?? '', rows: await rowsOf(client, tenant, TABLES) });
}

/** A database of the test's own, empty. */
async function withDatabase<T>(use: (fresh: pg.Client, url: string) => Promise<T>): Promise<T> {
  const name = `fresh_${randomUUID().slice(0, 8)}`;
  await client.query(`create database ${name}`);
  const url = stack.postgres.url.replace(/\/[^/]*$/, `/${name}`);
  const fresh = new pg.Client({ connectionString: url });
  await fresh.connect();
  try {
    return await use(fresh, url);
  } finally {
    await fresh.end();
    await client.query(`drop database ${name} with (force)`);
  }
}

/** A database as Supabase makes one, with M23's migrations and nothing else. */
async function withMigrations(use: (fresh: pg.Client, url: string) => Promise<void>): Promise<void> {
  await withDatabase(async (fresh, url) => {
    await supabaseShape(fresh);
    await migrate(fresh);
    await use(fresh, url);
  });
}

/** The rows of a database that holds one tenant alone, as rowsOf gives them. */
async function loaded(script: string, tables = TABLES): Promise<Record<string, string[]>> {
  return await withDatabase(async (fresh) => {
    const failed = await load(fresh, script);
    assert.deepEqual(
      failed.filter((statement) => !statement.includes('create policy') || !statement.includes('tenant_members')),
      [],
      'only what needs M23 itself fails',
    );
    const {
      rows: [strangers],
    } = await fresh.query<{ count: number }>('select count(*)::int from shop.orders where tenant_id <> $1', [
      tenant.id,
    ]);
    assert.equal(strangers?.count, 0);
    return await rowsOf(fresh, tenant, tables);
  });
}

async function extract(backup: string, ...more: string[]): Promise<string> {
  const ran = await m23(['archive', 'extract', bucket, '--backup', backup, ...more]);
  assert.deepEqual([ran.code, ran.errors], [0, '']);
  return ran.output;
}

describe('m23 archive', () => {
  test('inspect lists what was made, and shows what the manifest says', async () => {
    const listed = await m23(['archive', 'inspect', bucket, '--json', '--tenant', tenant.id]);
    const backups = JSON.parse(listed.output) as { backup_id: string; job_type: string; state: string }[];
    assert.deepEqual(
      backups.map((one) => [one.backup_id, one.job_type, one.state]),
      chain.map((id, place) => [id, place === 0 ? 'full' : 'incremental', 'complete']),
    );
    const shown = JSON.parse(
      (await m23(['archive', 'inspect', bucket, '--json', '--backup', chain[2] ?? ''])).output,
    ) as { rows: number; position: string; chain: string[] };
    const manifest = await manifestOf(stack, tenant, chain[2] ?? '');
    assert.deepEqual([shown.rows, shown.position, shown.chain], [manifest.rows, manifest.position, chain]);
  });

  test('verify finds nothing wrong, and then exactly what is', async () => {
    const whole = await m23(['archive', 'verify', bucket, '--json']);
    assert.deepEqual([whole.code, (JSON.parse(whole.output) as { findings: number }).findings], [0, 0], whole.output);
    const manifest = await manifestOf(stack, tenant, chain[0] ?? '');
    const objects = manifest.tables.flatMap(({ chunks }) => chunks.map(({ object }) => join(bucket, object)));
    const [altered = '', cut = '', gone = ''] = objects;
    const kept = [altered, cut, gone].map((path) => [path, readFileSync(path)] as const);
    try {
      const bytes = Buffer.from(kept[0]?.[1] ?? '');
      bytes[12] = (bytes[12] ?? 0) ^ 1;
      writeFileSync(altered, bytes);
      truncateSync(cut, 40);
      rmSync(gone);
      const ran = await m23(['archive', 'verify', bucket, '--json', '--backup', chain[2] ?? '']);
      assert.equal(ran.code, 1);
      const report = JSON.parse(ran.output) as { backups: { findings: { object: string; fault: string }[] }[] };
      const faults = new Map(
        report.backups.flatMap(({ findings }) => findings.map(({ object, fault }) => [join(bucket, object), fault])),
      );
      assert.deepEqual([...faults.keys()].sort(), [altered, cut, gone].sort());
      assert.match(faults.get(altered) ?? '', /altered/);
      assert.match(faults.get(gone) ?? '', /missing/);
    } finally {
      for (const [path, bytes] of kept) writeFileSync(path, bytes);
    }
  });

  test('extract writes a script that makes the tables again, with every row and value, in an empty database', async () => {
    for (const [backup, wanted] of [
      [chain[0], moments[0]?.rows],
      [chain[1], moments[3]?.rows],
      [chain[2], tip],
    ] as const) {
      assert.deepEqual(await loaded(await extract(backup ?? '')), wanted);
    }
  });

  test('psql itself loads the script', { skip: hasPsql() ? false : 'there is no psql here' }, async () => {
    const script = await extract(chain[2] ?? '');
    await withDatabase(async (fresh, url) => {
      const ran = spawnSync('psql', [url, '--no-psqlrc', '--quiet'], { input: script, encoding: 'utf8' });
      assert.equal(ran.status, 0, ran.stderr);
      assert.deepEqual(
        ran.stderr.split('\n').filter((line) => line.includes('ERROR') && !line.includes('tenant_members')),
        [],
      );
      assert.deepEqual(await rowsOf(fresh, tenant, TABLES), tip);
    });
  });

  const withPsql = { skip: hasPsql() ? false : 'there is no psql here' };
  test('psql takes no row for a command, even where a table is not as the archive has it', withPsql, async () => {
    const hostile = await newTenant(stack, client);
    const touched = join(folder, 'touched');
    await client.query(`create table shop.lines (id int primary key, tenant_id uuid, body text);
      select m23.protect_table('shop.lines')`);
    try {
      await client.query('insert into shop.lines values (1, $1, $2)', [hostile.id, `\t \`touch ${touched}\`\n`]);
      const backup = await backUp(stack, client, hostile);
      const copy = join(folder, 'lines');
      await copyBucket(stack, copy);
      const order = ['archive', 'extract', copy, '--backup', backup];
      const script = await m23([...order, '--data-only', '--table', 'shop.lines']);
      assert.equal(script.code, 0, script.errors);
      await withDatabase(async (fresh, url) => {
        await fresh.query('create schema shop; create table shop.lines (id int primary key)');
        const ran = spawnSync('psql', [url, '--no-psqlrc', '--quiet'], { input: script.output, encoding: 'utf8' });
        assert.equal(existsSync(touched), false, 'the row was executed');
        assert.equal(ran.status, 3, 'psql stops at the first fault');
      });
    } finally {
      await client.query(`select m23.unprotect_table('shop.lines'); drop table shop.lines`);
    }
  });

  test('extract reaches every moment between the members', async () => {
    for (const { at, rows } of moments)
      assert.deepEqual(await loaded(await extract(chain[2] ?? '', '--at', at)), rows, at);
  });

  test('what a script makes is what was there: columns, defaults, keys, constraints, indexes', async () => {
    const shape = `
      select format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) as what from pg_constraint where connamespace = 'shop'::regnamespace
      union all select indexdef from pg_indexes where schemaname = 'shop'
      union all select format('%s.%s %s %s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
            (select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = attrelid and adnum = attnum))
        from pg_attribute where attnum > 0 and attrelid in (select oid from pg_class where relnamespace = 'shop'::regnamespace and relkind = 'r')
      order by 1`;
    const inTables = (rows: { what: string }[]): string[] =>
      rows.map(({ what }) => what).filter((what) => !what.includes('audit'));
    const wanted = inTables((await client.query<{ what: string }>(shape)).rows);
    await withDatabase(async (fresh) => {
      await load(fresh, await extract(chain[2] ?? ''));
      await fresh.query('set search_path = public');
      assert.deepEqual(inTables((await fresh.query<{ what: string }>(shape)).rows), wanted);
      const {
        rows: [added],
      } = await fresh.query<{ id: string }>(
        `insert into shop.accounts (tenant_id, code) values ($1, 'new') returning id`,
        [tenant.id],
      );
      assert.ok(Number(added?.id) > 0, 'identity goes on after the greatest value');
    });
  });

  test('extract knows one key by its different texts, and warns of a collation that may not', async () => {
    const odd = await newTenant(stack, client);
    await client.query(`
      create collation shop.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      create table shop.odd (tenant_id uuid, span interval, doc jsonb, price numeric, rate float8, list numeric[], part numrange, v int, primary key (tenant_id, span, doc, price, rate, list, part));
      create table shop.loose (tenant_id uuid, word text collate shop.loose, primary key (tenant_id, word));
      select m23.protect_table('shop.odd'), m23.protect_table('shop.loose')`);
    await client.query(
      `insert into shop.odd values ($1, '1 mon', '{"1.0": [1.0, "a\\"1.0"]}', 1.0, '-0', '{1.0,NULL}', '[1.0,2.0)', 1), ($1, '-1 days +1:00', '[]', 2, 0, '{}', 'empty', 1)`,
      [odd.id],
    );
    await client.query(`insert into shop.loose values ($1, 'word')`, [odd.id]);
    const full = await backUp(stack, client, odd);
    await client.query(
      `update shop.odd set span = span + '-1 mon 30 days', doc = '{"1.0": [1.00, "a\\"1.0"]}', price = 1.00, rate = 0, list = '{1.00,NULL}', part = '[1.00,2.00)' where tenant_id = $1 and span = '30 days'`,
      [odd.id],
    );
    await client.query(`update shop.odd set span = '-23:00:00', v = 2 where tenant_id = $1 and span = '-23 hours'`, [
      odd.id,
    ]);
    const changed = await increment(stack, client, odd, full);
    const wanted = (
      await client.query<{ line: string }>(`select o::text as line from shop.odd o where tenant_id = $1 order by 1`, [
        odd.id,
      ])
    ).rows;
    const copy = join(folder, 'odd');
    await copyBucket(stack, copy);
    const script = await m23(['archive', 'extract', copy, '--backup', changed, '--table', 'shop.odd']);
    assert.deepEqual([script.code, script.errors], [0, '']);
    await withDatabase(async (fresh) => {
      await load(fresh, script.output);
      assert.deepEqual((await fresh.query('select o::text as line from shop.odd o order by 1')).rows, wanted);
    });
    const loose = await m23(['archive', 'extract', copy, '--backup', changed, '--table', 'shop.loose']);
    assert.match(
      loose.errors,
      /shop\.loose: keys are compared by their text, and values of word \(collation shop\.loose\) can be equal with another/,
    );
    await client.query(
      `select m23.unprotect_table('shop.odd'), m23.unprotect_table('shop.loose'); drop table shop.odd, shop.loose; drop collation shop.loose`,
    );
  });

  test('extract writes CSV that PostgreSQL reads back, and the chosen tables alone', async () => {
    const output = join(folder, 'csv');
    const ran = await m23([
      'archive',
      'extract',
      bucket,
      '--backup',
      chain[2] ?? '',
      '--format',
      'csv',
      '--output',
      output,
      '--table',
      'shop.samples',
      '--json',
    ]);
    assert.equal(ran.code, 0, ran.errors);
    const { tables } = JSON.parse(ran.output) as { tables: { table: string; rows: number }[] };
    assert.deepEqual(
      tables.map(({ table, rows }) => [table, rows]),
      [['shop.samples', tip['shop.samples']?.length]],
    );
    const csv = readFileSync(join(output, 'shop.samples.csv'), 'utf8');
    const header = csv.indexOf('\n');
    await withDatabase(async (fresh) => {
      await load(fresh, await extract(chain[2] ?? ''));
      await fresh.query('truncate shop.samples');
      await copyIn(fresh, `copy shop.samples (${csv.slice(0, header)}) from stdin (format csv)`, csv.slice(header + 1));
      assert.deepEqual(await rowsOf(fresh, tenant, ['shop.samples']), { 'shop.samples': tip['shop.samples'] });
    });
  });
});

describe('m23 catalogue rebuild', () => {
  interface Report extends Recorded {
    dry_run: boolean;
    definitions: { statement: string; state: string; fault?: string }[];
    tables: { table: string; protection: string; fault?: string }[];
  }

  /** The part of a report that is about backups. */
  interface Recorded {
    adopted: string[];
    refused: { backup_id: string; fault: string }[];
  }

  interface Rebuilt {
    code: number | null;
    report: Report;
  }

  async function rebuild(url: string, store = bucket, ...more: string[]): Promise<Rebuilt> {
    const ran = await m23(['catalogue', 'rebuild', '--json', '--database', url, '--tenant', tenant.id, store, ...more]);
    assert.equal(ran.errors, '');
    return { code: ran.code, report: JSON.parse(ran.output) as Report };
  }

  /** How often each state stands in a report. */
  function statesOf({ definitions, tables }: Report): Record<string, number> {
    const states: Record<string, number> = {};
    const all = [...definitions.map((one) => one.state), ...tables.map((one) => `table ${one.protection}`)];
    for (const state of all) states[state] = (states[state] ?? 0) + 1;
    return states;
  }

  function recordedIn({ adopted, refused }: Recorded): Recorded {
    return { adopted, refused };
  }

  /** A copy of the bucket, in which the newest manifest is another. */
  function storeWith(name: string, edit: (manifest: ChainManifest) => void): string {
    const store = join(folder, name);
    cpSync(bucket, store, { recursive: true });
    const path = join(store, `tenants/${tenant.id}/backups/${chain[2]}/manifest.json`);
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as ChainManifest;
    edit(manifest);
    writeFileSync(path, JSON.stringify(manifest));
    return store;
  }

  async function isThere(database: pg.Client, name: string): Promise<boolean> {
    const {
      rows: [found],
    } = await database.query<{ is: boolean }>('select to_regclass($1) is not null as is', [name]);
    return found?.is ?? false;
  }

  test('records every backup of the store, full ones first, and makes the tables that are missing', async () => {
    await withMigrations(async (fresh, url) => {
      const { code, report } = await rebuild(url);
      assert.deepEqual([code, recordedIn(report)], [0, { adopted: chain, refused: [] }], JSON.stringify(report));
      assert.deepEqual(Object.keys(statesOf(report)).sort(), ['made', 'table made', 'there']);
      const of = (database: pg.Client): Promise<pg.QueryResult> =>
        database.query(
          `
        select j.id, j.job_type, j.status, j.base_backup_id, j.parent_backup_id, w.position::text, w.position_at, w.manifest, w.manifest_sha256
          from public.backup_jobs j join m23.backup_work w on w.job_id = j.id where j.tenant_id = $1 order by j.created_at`,
          [tenant.id],
        );
      assert.deepEqual((await of(fresh)).rows, (await of(client)).rows);
      const { rows } = await fresh.query<{ name: string }>(
        'select m23.qualified_name(relid) as name from m23.protected_tables order by 1',
      );
      for (const table of TABLES)
        assert.ok(
          rows.some(({ name }) => name === table),
          `${table} is protected`,
        );
      const again = await rebuild(url);
      assert.deepEqual([again.code, recordedIn(again.report)], [0, { adopted: chain, refused: [] }]);
      assert.deepEqual(Object.keys(statesOf(again.report)).sort(), ['table there', 'there'], 'again: nothing to do');
    });
  });

  test('shows beforehand what it would execute, and changes nothing', async () => {
    await withMigrations(async (fresh, url) => {
      const { code, report } = await rebuild(url, bucket, '--dry-run');
      assert.deepEqual([code, report.dry_run, recordedIn(report)], [0, true, { adopted: chain, refused: [] }]);
      const states = statesOf(report);
      assert.equal(states['table planned'], report.tables.length);
      assert.equal(await isThere(fresh, 'shop.orders'), false);
      assert.equal((await fresh.query('select from public.backup_jobs')).rowCount, 0);
      const done = await rebuild(url);
      assert.equal(statesOf(done.report)['made'], states['planned'], 'and then executes just that');
      const planned = (one: Report): string[] => one.definitions.map(({ statement }) => statement);
      assert.deepEqual(planned(done.report), planned(report));
      const text = await m23(['catalogue', 'rebuild', '--dry-run', '--database', url, '--tenant', tenant.id, bucket]);
      assert.match(text.output, /nothing was changed: 0 definitions to execute/);
    });
  });

  test('executes nothing that is no definition of a table of the archive, and says so', async () => {
    const hostile = [
      'create schema if not exists pwned; create table public.pwned (id int)',
      'create table public.pwned as select 1 as id',
      'alter table shop.orders owner to postgres, disable row level security',
      "create function shop.pwned() returns int language sql as 'select 1'",
      'grant select on auth.users to anon',
      'do $$ begin create table public.pwned (id int); end $$',
    ];
    const store = storeWith('hostile', (manifest) => {
      manifest.definitions.push(...hostile);
      for (const { definition } of manifest.tables) definition.finish.push(...hostile);
    });
    await withMigrations(async (fresh, url) => {
      const { code, report } = await rebuild(url, store);
      assert.equal(code, 1);
      const refused = report.definitions.filter(({ state }) => state === 'refused');
      assert.deepEqual(new Set(refused.map(({ statement }) => statement)), new Set(hostile));
      for (const { fault } of refused) assert.match(fault ?? '', /^(is|has|does) /);
      assert.ok(!report.definitions.some(({ state, statement }) => hostile.includes(statement) && state !== 'refused'));
      assert.equal(await isThere(fresh, 'public.pwned'), false);
      assert.equal(await isThere(fresh, 'shop.orders'), true, 'the rest goes on');
      assert.deepEqual(report.adopted, chain, 'rows need no definitions');
      const verified = await m23(['archive', 'verify', store, '--tenant', tenant.id]);
      assert.equal(verified.code, 1);
      assert.match(verified.output, /a definition is more than one statement/);
    });
  });

  test('leaves a table that is there as it is, whatever the archive says of it', async () => {
    await withMigrations(async (fresh, url) => {
      await fresh.query(`create schema shop;
        create table shop.orders (id bigint primary key, tenant_id uuid not null)`);
      const { report } = await rebuild(url);
      const isOfOrders = (sql: string): boolean => sql.includes(' shop.orders ') && !sql.includes('references');
      const ofOrders = report.definitions.filter(({ statement }) => isOfOrders(statement));
      assert.ok(ofOrders.length > 1);
      for (const { state, statement } of ofOrders) assert.equal(state, 'there', statement);
      const { rows } = await fresh.query<{ name: string }>(
        `select attname as name from pg_attribute where attrelid = 'shop.orders'::regclass and attnum > 0`,
      );
      assert.deepEqual(
        rows.map(({ name }) => name),
        ['id', 'tenant_id'],
      );
    });
  });

  test('goes on where a definition fails, says why, and executes no detail of a table that is not there', async () => {
    const store = storeWith('failing', (manifest) => {
      const orders = manifest.tables.find(({ name }) => name === 'samples');
      assert.ok(orders);
      const broken = (sql: string): string => sql.replace(/^(create table .*)\)$/s, '$1, more shop.nowhere)');
      orders.definition.create = orders.definition.create.map(broken);
    });
    await withMigrations(async (fresh, url) => {
      const { code, report } = await rebuild(url, store);
      assert.equal(code, 1);
      const [failed, ...others] = report.definitions.filter(({ state }) => state === 'failed');
      assert.deepEqual(others, []);
      assert.match(failed?.fault ?? '', /type "shop.nowhere" does not exist/);
      const skipped = report.definitions.filter(({ state }) => state === 'skipped').map(({ fault }) => fault);
      assert.deepEqual([...new Set(skipped)], ['its table could not be made']);
      const unprotected = report.tables.filter(({ protection }) => protection === 'failed');
      assert.deepEqual(
        unprotected.map(({ table }) => table),
        ['shop.samples'],
      );
      assert.equal(await isThere(fresh, 'shop.orders'), true);
      assert.deepEqual(report.adopted, chain);
    });
  });

  test('has the rights of whoever connects, and no more', async () => {
    await withMigrations(async (fresh, url) => {
      await client.query(`create role passer_by login password 'passes by'`);
      try {
        const address = new URL(url);
        address.username = 'passer_by';
        address.password = encodeURIComponent('passes by');
        const { code, report } = await rebuild(address.href);
        assert.equal(code, 1);
        assert.deepEqual(report.adopted, []);
        assert.equal(statesOf(report)['made'], undefined);
        const [failed] = report.definitions.filter(({ state }) => state === 'failed');
        assert.match(failed?.fault ?? '', /permission denied/);
        assert.equal(await isThere(fresh, 'shop.orders'), false);
        const verified = await m23(['archive', 'verify', bucket, '--tenant', tenant.id, '--database', address.href]);
        assert.equal(verified.code, 1, 'who sees no record holds nothing against the store');
        assert.match(verified.errors, /permission denied/);
      } finally {
        await client.query('drop role passer_by');
      }
    });
  });

  test('says which backups the database refuses, or cannot be read, and records the others', async () => {
    const store = join(folder, 'altered');
    cpSync(bucket, store, { recursive: true });
    const manifest = join(store, `tenants/${tenant.id}/backups/${chain[1]}/manifest.json`);
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"backup_name": "/, '"backup_name": "altered '));
    await withMigrations(async (_, url) => {
      const { code, report } = await rebuild(url, store);
      assert.deepEqual(
        [code, report.adopted, report.refused.map((one) => one.backup_id)],
        [1, chain.slice(0, 2), [chain[2]]],
      );
      assert.match(report.refused[0]?.fault ?? '', /builds on/);
    });
    writeFileSync(manifest, '{');
    await withMigrations(async (_, url) => {
      const { code, report } = await rebuild(url, store);
      assert.deepEqual(
        [code, report.adopted, report.refused.map((one) => one.backup_id).sort()],
        [1, chain.slice(0, 1), chain.slice(1).sort()],
      );
    });
  });
});

describe('m23 archive verify --database', () => {
  interface Report {
    backups: { backup_id: string; findings: { object: string; fault: string }[] }[];
    unknown_to_database: string[];
  }

  interface Held {
    code: number | null;
    faults: Record<string, string[]>;
    unknown: string[];
  }

  async function held(store: string, url = stack.postgres.url, ...more: string[]): Promise<Held> {
    const ran = await m23(['archive', 'verify', store, '--json', '--database', url, '--tenant', tenant.id, ...more]);
    assert.equal(ran.errors, '');
    const report = JSON.parse(ran.output) as Report;
    const damaged = report.backups.filter(({ findings }) => findings.length > 0);
    const faults = damaged.map(({ backup_id, findings }) => [backup_id, findings.map(({ fault }) => fault)] as const);
    return { code: ran.code, unknown: report.unknown_to_database, faults: Object.fromEntries(faults) };
  }

  test('finds nothing where the store has what the database knows', async () => {
    assert.deepEqual(await held(bucket), { code: 0, faults: {}, unknown: [] });
    const one = await held(bucket, stack.postgres.url, '--backup', chain[1] ?? '');
    assert.deepEqual(one, { code: 0, faults: {}, unknown: [] });
  });

  test('finds a backup that is missing, whole or without its manifest', async () => {
    const store = join(folder, 'lost');
    cpSync(bucket, store, { recursive: true });
    const of = (backup?: string): string => join(store, `tenants/${tenant.id}/backups/${backup}`);
    rmSync(of(chain[2]), { recursive: true });
    assert.deepEqual(await held(store), {
      code: 1,
      unknown: [],
      faults: { [chain[2] ?? '']: ['it is missing, and the database holds this backup to be complete'] },
    });
    rmSync(join(of(chain[1]), 'manifest.json'));
    const { code, faults } = await held(store);
    assert.deepEqual([code, Object.keys(faults).sort()], [1, chain.slice(1).sort()]);
    assert.deepEqual(faults[chain[1] ?? ''], ['it is missing']);
  });

  test('finds a manifest that is another, though it is whole in itself', async () => {
    const store = join(folder, 'other');
    cpSync(bucket, store, { recursive: true });
    const manifest = join(store, `tenants/${tenant.id}/backups/${chain[2]}/manifest.json`);
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"backup_name": "/, '"backup_name": "another '));
    assert.equal((await m23(['archive', 'verify', store, '--tenant', tenant.id])).code, 0);
    const faults = { [chain[2] ?? '']: ['its SHA-256 is another than the database knows'] };
    assert.deepEqual(await held(store), { code: 1, unknown: [], faults });
  });

  test('names what the database does not know, and asks for nothing that was deleted', async () => {
    const [backup = ''] = chain.slice(-1);
    await client.query('update public.backup_jobs set deleted_at = now() where id = $1', [backup]);
    try {
      const store = join(folder, 'deleted');
      cpSync(bucket, store, { recursive: true });
      rmSync(join(store, `tenants/${tenant.id}/backups/${backup}`), { recursive: true });
      assert.deepEqual(await held(store), { code: 0, faults: {}, unknown: [] });
      assert.deepEqual(await held(bucket), { code: 0, faults: {}, unknown: [] }, 'its grace has not passed');
    } finally {
      await client.query('update public.backup_jobs set deleted_at = null where id = $1', [backup]);
    }
    await withMigrations(async (_, url) => {
      assert.deepEqual(await held(bucket, url), { code: 0, faults: {}, unknown: [...chain].sort() });
    });
  });
});

test('the tool knows the documented exit codes', async () => {
  assert.equal((await m23(['archive', 'verify', bucket, '--backup', randomUUID()])).code, 5);
  assert.equal((await m23(['archive', 'verify', join(folder, 'nowhere')])).code, 5);
  assert.equal((await m23(['archive', 'verify', folder])).code, 5, 'a folder too high');
});
