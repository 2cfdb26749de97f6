// The command-line tool on archives that the real functions made: a copy of the bucket in a folder, nothing else.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import pg from 'pg';

import { supabaseShape } from '../stack/migrated.ts';
import { migrate } from '../stack/migrations.ts';
import { type Stack, startStack } from '../stack/stack.ts';
import { temporaryFolder } from './dev-command.ts';
import { manifestOf } from './fixtures/archive.ts';
import { increment } from './fixtures/chain.ts';
import { backUp } from './fixtures/functions.ts';
import { SHOP, damage, openShop, rowsOf, stock } from './fixtures/shop.ts';
import { type Tenant, newTenant } from './fixtures/tenants.ts';
import { copyBucket, copyIn, load, m23 } from './fixtures/tool.ts';

const TABLES = [...SHOP, 'shop.samples'];

let stack: Stack;
let client: pg.Client;
let removeFolder: () => void;
let bucket: string;
let folder: string;
let tenant: Tenant;
/** A chain: full, and two incrementals. */
let chain: string[];
/** Moments between the members, and what the tables were then. */
const moments: { at: string; rows: Record<string, string[]> }[] = [];
let tip: Record<string, string[]>;

before(async () => {
  folder = temporaryFolder((cleanUp) => { removeFolder = cleanUp; });
  stack = await startStack({ stateDir: join(folder, 'state'), ephemeral: true, rateLimits: { 'backup-create': 100 } });
  client = await stack.postgres.connect();
  await openShop(client);
  await client.query(readFileSync(new URL('fixtures/samples.sql', import.meta.url), 'utf8'));
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
  await client.query('update shop.samples set part = part + 10, a_text = null where tenant_id = $1 and part < 3', [tenant.id]);
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
after(async () => {
  await client?.end();
  await stack?.close();
  removeFolder();
});

function hasPsql(): boolean {
  return spawnSync('psql', ['--version']).status === 0;
}

async function note(): Promise<void> {
  const { rows: [now] } = await client.query<{ at: string }>(`select m23.iso(clock_timestamp()) as at`);
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

/** The rows of a database that holds one tenant alone, as rowsOf gives them. */
async function loaded(script: string, tables = TABLES): Promise<Record<string, string[]>> {
  return await withDatabase(async (fresh) => {
    const failed = await load(fresh, script);
    assert.deepEqual(failed.filter((statement) => !statement.includes('create policy') || !statement.includes('tenant_members')), [], 'only what needs M23 itself fails');
    const { rows: [strangers] } = await fresh.query<{ count: number }>('select count(*)::int from shop.orders where tenant_id <> $1', [tenant.id]);
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
    assert.deepEqual(backups.map((one) => [one.backup_id, one.job_type, one.state]), chain.map((id, place) => [id, place === 0 ? 'full' : 'incremental', 'complete']));
    const shown = JSON.parse((await m23(['archive', 'inspect', bucket, '--json', '--backup', chain[2] ?? ''])).output) as { rows: number; position: string; chain: string[] };
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
      const faults = new Map(report.backups.flatMap(({ findings }) => findings.map(({ object, fault }) => [join(bucket, object), fault])));
      assert.deepEqual([...faults.keys()].sort(), [altered, cut, gone].sort());
      assert.match(faults.get(altered) ?? '', /altered/);
      assert.match(faults.get(gone) ?? '', /missing/);
    } finally {
      for (const [path, bytes] of kept) writeFileSync(path, bytes);
    }
  });

  test('extract writes a script that makes the tables again, with every row and value, in an empty database', async () => {
    for (const [backup, wanted] of [[chain[0], moments[0]?.rows], [chain[1], moments[3]?.rows], [chain[2], tip]] as const) {
      assert.deepEqual(await loaded(await extract(backup ?? '')), wanted);
    }
  });

  test('psql itself loads the script', { skip: hasPsql() ? false : 'there is no psql here' }, async () => {
    const script = await extract(chain[2] ?? '');
    await withDatabase(async (fresh, url) => {
      const ran = spawnSync('psql', [url, '--no-psqlrc', '--quiet'], { input: script, encoding: 'utf8' });
      assert.equal(ran.status, 0, ran.stderr);
      assert.deepEqual(ran.stderr.split('\n').filter((line) => line.includes('ERROR') && !line.includes('tenant_members')), []);
      assert.deepEqual(await rowsOf(fresh, tenant, TABLES), tip);
    });
  });

  test('extract reaches every moment between the members', async () => {
    for (const { at, rows } of moments) assert.deepEqual(await loaded(await extract(chain[2] ?? '', '--at', at)), rows, at);
  });

  test('what a script makes is what was there: columns, defaults, keys, constraints, indexes', async () => {
    const shape = `
      select format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) as what from pg_constraint where connamespace = 'shop'::regnamespace
      union all select indexdef from pg_indexes where schemaname = 'shop'
      union all select format('%s.%s %s %s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
            (select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = attrelid and adnum = attnum))
        from pg_attribute where attnum > 0 and attrelid in (select oid from pg_class where relnamespace = 'shop'::regnamespace and relkind = 'r')
      order by 1`;
    const inTables = (rows: { what: string }[]): string[] => rows.map(({ what }) => what).filter((what) => !what.includes('audit'));
    const wanted = inTables((await client.query<{ what: string }>(shape)).rows);
    await withDatabase(async (fresh) => {
      await load(fresh, await extract(chain[2] ?? ''));
      await fresh.query('set search_path = public');
      assert.deepEqual(inTables((await fresh.query<{ what: string }>(shape)).rows), wanted);
      const { rows: [added] } = await fresh.query<{ id: string }>(`insert into shop.accounts (tenant_id, code) values ($1, 'new') returning id`, [tenant.id]);
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
    await client.query(`insert into shop.odd values ($1, '1 mon', '{"1.0": [1.0, "a\\"1.0"]}', 1.0, '-0', '{1.0,NULL}', '[1.0,2.0)', 1), ($1, '-1 days +1:00', '[]', 2, 0, '{}', 'empty', 1)`, [odd.id]);
    await client.query(`insert into shop.loose values ($1, 'word')`, [odd.id]);
    const full = await backUp(stack, client, odd);
    await client.query(`update shop.odd set span = span + '-1 mon 30 days', doc = '{"1.0": [1.00, "a\\"1.0"]}', price = 1.00, rate = 0, list = '{1.00,NULL}', part = '[1.00,2.00)' where tenant_id = $1 and span = '30 days'`, [odd.id]);
    await client.query(`update shop.odd set span = '-23:00:00', v = 2 where tenant_id = $1 and span = '-23 hours'`, [odd.id]);
    const changed = await increment(stack, client, odd, full);
    const wanted = (await client.query<{ line: string }>(`select o::text as line from shop.odd o where tenant_id = $1 order by 1`, [odd.id])).rows;
    const copy = join(folder, 'odd');
    await copyBucket(stack, copy);
    const script = await m23(['archive', 'extract', copy, '--backup', changed, '--table', 'shop.odd']);
    assert.deepEqual([script.code, script.errors], [0, '']);
    await withDatabase(async (fresh) => {
      await load(fresh, script.output);
      assert.deepEqual((await fresh.query('select o::text as line from shop.odd o order by 1')).rows, wanted);
    });
    const loose = await m23(['archive', 'extract', copy, '--backup', changed, '--table', 'shop.loose']);
    assert.match(loose.errors, /shop\.loose: keys are compared by their text, and values of word \(collation shop\.loose\) can be equal with another/);
    await client.query(`select m23.unprotect_table('shop.odd'), m23.unprotect_table('shop.loose'); drop table shop.odd, shop.loose; drop collation shop.loose`);
  });

  test('extract writes CSV that PostgreSQL reads back, and the chosen tables alone', async () => {
    const output = join(folder, 'csv');
    const ran = await m23(['archive', 'extract', bucket, '--backup', chain[2] ?? '', '--format', 'csv', '--output', output, '--table', 'shop.samples', '--json']);
    assert.equal(ran.code, 0, ran.errors);
    const { tables } = JSON.parse(ran.output) as { tables: { table: string; rows: number }[] };
    assert.deepEqual(tables.map(({ table, rows }) => [table, rows]), [['shop.samples', tip['shop.samples']?.length]]);
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
  interface Report { adopted: string[]; refused: { backup_id: string; fault: string }[] }

  async function rebuild(url: string, store = bucket): Promise<{ code: number | null; report: Report }> {
    const ran = await m23(['catalogue', 'rebuild', '--json', '--database', url, '--tenant', tenant.id, store]);
    assert.equal(ran.errors, '');
    return { code: ran.code, report: JSON.parse(ran.output) as Report };
  }

  /** A database as Supabase makes one, with M23's migrations and nothing else. */
  async function withMigrations(use: (fresh: pg.Client, url: string) => Promise<void>): Promise<void> {
    await withDatabase(async (fresh, url) => {
      await supabaseShape(fresh);
      await migrate(fresh);
      await use(fresh, url);
    });
  }

  test('records every backup of the store, full ones first, and makes the tables that are missing', async () => {
    await withMigrations(async (fresh, url) => {
      assert.deepEqual(await rebuild(url), { code: 0, report: { adopted: chain, refused: [] } });
      const of = (database: pg.Client): Promise<pg.QueryResult> => database.query(`
        select j.id, j.job_type, j.status, j.base_backup_id, j.parent_backup_id, w.position::text, w.position_at, w.manifest, w.manifest_sha256
          from public.backup_jobs j join m23.backup_work w on w.job_id = j.id where j.tenant_id = $1 order by j.created_at`, [tenant.id]);
      assert.deepEqual((await of(fresh)).rows, (await of(client)).rows);
      const { rows } = await fresh.query<{ name: string }>('select m23.qualified_name(relid) as name from m23.protected_tables order by 1');
      for (const table of TABLES) assert.ok(rows.some(({ name }) => name === table), `${table} is protected`);
      assert.deepEqual(await rebuild(url), { code: 0, report: { adopted: chain, refused: [] } }, 'again: nothing to do');
    });
  });

  test('says which backups the database refuses, or cannot be read, and records the others', async () => {
    const store = join(folder, 'altered');
    cpSync(bucket, store, { recursive: true });
    const manifest = join(store, `tenants/${tenant.id}/backups/${chain[1]}/manifest.json`);
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"backup_name": "/, '"backup_name": "altered '));
    await withMigrations(async (_, url) => {
      const { code, report } = await rebuild(url, store);
      assert.deepEqual([code, report.adopted, report.refused.map((one) => one.backup_id)], [1, chain.slice(0, 2), [chain[2]]]);
      assert.match(report.refused[0]?.fault ?? '', /builds on/);
    });
    writeFileSync(manifest, '{');
    await withMigrations(async (_, url) => {
      const { code, report } = await rebuild(url, store);
      assert.deepEqual([code, report.adopted, report.refused.map((one) => one.backup_id).sort()], [1, chain.slice(0, 1), chain.slice(1).sort()]);
    });
  });
});

test('the tool knows the documented exit codes', async () => {
  assert.equal((await m23(['archive', 'verify', bucket, '--backup', randomUUID()])).code, 5);
  assert.equal((await m23(['archive', 'verify', join(folder, 'nowhere')])).code, 3);
});
