// Code of the application's own that finds things by its search path, and keys by equalities of their own types:
// whatever way rows come back, they do as when the application writes them.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { rowTexts } from '../fixtures/database.ts';
import { backUp, call, ok, restored } from '../fixtures/functions.ts';
import { recoveryTest, resultsOf } from '../fixtures/recovery.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { databaseTime } from '../fixtures/time.ts';

/** Tables with code of the application's, or keys of types with an equality of their own. */
interface Shape {
  what: string;
  /** Makes the tables; `{t}`, or `{p}` and the `{c}` that refers to it, are names of this shape's own. */
  make: string;
  tables: ('t' | 'p' | 'c')[];
  /** Rows of the tenant `{A}`. */
  rows: string;
  damage: string;
}

/** What the code calls without a schema stands in `app`. */
const CODE = `
  create schema app; create schema extensions; set search_path = app, extensions;
  create extension citext schema extensions; create extension ltree schema extensions;
  create extension btree_gist schema extensions;
  create table app.codes (code text primary key); insert into app.codes values ('x'), ('y');
  create function app.tail(p text) returns text language plpgsql immutable as $$ begin return p || '.'; end $$;
  create function app.known(p text) returns boolean language plpgsql stable strict as
    $$ begin return exists (select from codes where code = p); end $$;
  create function app.known_to_sql(p text) returns boolean language sql stable as
    'select p is null or exists (select from codes where code = p)';
  create function app.norm(p text) returns text language plpgsql immutable as $$ begin return lower(tail(p)); end $$;
  create function app.norm_sql(p text) returns text language sql immutable as 'select lower(app.tail(p))';
  create domain app.code as text check (app.known(value));
  create domain app.sql_code as text check (app.known_to_sql(value))`;

/** Newer servers make no index over such a function, yet have those that were made before. */
const LATER = `create or replace function app.norm_sql(p text) returns text language sql immutable as
  'select lower(tail(p))'`;

const HEAD = 'id int primary key, tenant_id uuid not null';
const values = (these: string[]): string =>
  `insert into {t} (id, tenant_id, v) values ${these.map((value, n) => `(${n + 1}, '{A}', '${value}')`).join(', ')}`;
const damage = (changed: string, added: string): string => `update {t} set v = '${changed}' where id = 1;
  delete from {t} where id = 2; insert into {t} (id, tenant_id, v) values (3, '{A}', '${added}')`;
type Rows = Pick<Shape, 'tables' | 'rows' | 'damage'>;
const CODED: Rows = { tables: ['t'], rows: values(['x', 'y']), damage: damage('y', 'x') };
const NAMED: Rows = { tables: ['t'], rows: values(['Anna', 'Bert']), damage: damage('Cara', 'Dora') };
const PARTITIONS = (table: string): string => `create table ${table}_1 partition of ${table} for values from (0) to (2);
  create table ${table}_2 partition of ${table} for values from (2) to (9)`;

const SHAPES: Shape[] = [
  { ...CODED, what: 'a check', make: `create table {t} (${HEAD}, v text check (known(v)))` },
  { ...CODED, what: 'a check in SQL', make: `create table {t} (${HEAD}, v text check (known_to_sql(v)))` },
  {
    ...CODED,
    what: 'a check of a partitioned table',
    make: `create table {t} (${HEAD}, v text check (known_to_sql(v))) partition by range (id); ${PARTITIONS('{t}')}`,
  },
  {
    ...CODED,
    what: 'a check of one partition',
    make: `
    create table {t} (${HEAD}, v text) partition by range (id);
    create table {t}_1 partition of {t} for values from (0) to (2); create table {t}_2 partition of {t} default;
    alter table {t}_2 add check (known(v))`,
  },
  { ...CODED, what: 'the check of a domain', make: `create table {t} (${HEAD}, v code)` },
  { ...CODED, what: 'the check of a domain in SQL', make: `create table {t} (${HEAD}, v sql_code)` },
  {
    ...CODED,
    what: 'the check of a domain in a key',
    make: 'create table {t} (id int, tenant_id uuid not null, v code, primary key (id, v))',
  },
  {
    ...NAMED,
    what: 'a unique index',
    make: `create table {t} (${HEAD}, v text); create unique index on {t} (tenant_id, norm(v))`,
  },
  { ...NAMED, what: 'an index in SQL', make: `create table {t} (${HEAD}, v text); create index on {t} (norm_sql(v))` },
  {
    ...NAMED,
    what: 'a partial index',
    make: `create table {t} (${HEAD}, v text); create unique index on {t} (tenant_id, v) where norm(v) <> 'a.'`,
  },
  {
    ...NAMED,
    what: 'a generated column',
    make: `create table {t} (${HEAD}, v text, n text generated always as (norm(v)) stored)`,
  },
  {
    ...NAMED,
    what: 'an exclusion constraint',
    make: `create table {t} (${HEAD}, v text, exclude using gist (tenant_id with =, norm(v) with =) deferrable)`,
  },
  {
    ...NAMED,
    what: 'a trigger that always fires',
    make: `create table {t} (${HEAD}, v text, n text);
    create function set_n() returns trigger language plpgsql as $$ begin new.n := tail(new.v); return new; end $$;
    create trigger tg before insert or update on {t} for each row execute function set_n();
    alter table {t} enable always trigger tg`,
  },
  {
    what: 'a foreign key over citext',
    tables: ['p', 'c'],
    damage: 'delete from {c}; delete from {p}',
    make: `create table {p} (id citext primary key, tenant_id uuid not null);
      create table {c} (${HEAD}, p citext references {p})`,
    rows: `insert into {p} values ('Anna', '{A}'); insert into {c} values (1, '{A}', 'ANNA')`,
  },
  {
    what: 'a foreign key over ltree',
    tables: ['p', 'c'],
    damage: 'delete from {c}; delete from {p}',
    make: `create table {p} (id ltree primary key, tenant_id uuid not null);
      create table {c} (${HEAD}, p ltree references {p})`,
    rows: `insert into {p} values ('a.b', '{A}'); insert into {c} values (1, '{A}', 'a.b')`,
  },
  {
    what: 'a foreign key between partitioned tables',
    tables: ['p', 'c'],
    damage: 'delete from {c}; delete from {p}',
    make: `create table {p} (${HEAD}) partition by range (id); ${PARTITIONS('{p}')};
      create table {c} (${HEAD}, p int references {p}) partition by range (id); ${PARTITIONS('{c}')}`,
    rows: `insert into {p} values (1, '{A}'), (2, '{A}'); insert into {c} values (1, '{A}', 2), (2, '{A}', 1)`,
  },
  {
    what: 'a foreign key to a table with code',
    tables: ['p', 'c'],
    damage: 'delete from {c}; delete from {p} where id = 1',
    make: `create table {p} (${HEAD}, v text); create index on {p} (norm_sql(v));
      create table {c} (${HEAD}, p int references {p})`,
    rows: `insert into {p} values (1, '{A}', 'A'), (2, '{A}', 'B');
      insert into {c} values (1, '{A}', 2), (2, '{A}', 1)`,
  },
];

let tenant: Tenant;

const { stack, client } = await openStack();

before(async () => {
  tenant = await newTenant(stack, client);
  await client.query(CODE);
  await setPath('app, extensions');
});

/** The search path of whoever owns the tables. */
async function setPath(path: string): Promise<void> {
  await client.query(`do $$ begin
    execute format('alter role current_user in database %I set search_path = ${path}', current_database()); end $$`);
}

const named = (sql: string, n: number): string =>
  sql.replaceAll('{A}', tenant.id).replaceAll(/\{([tpc])\}/g, (_, table: string) => `${table}${n}`);

/** Calls a function that must succeed. */
async function done(name: string, body: Record<string, unknown>): Promise<Record<string, unknown>> {
  return ok(await call(stack, name, await tenant.token('admin'), body));
}

/** What a deep test of a backup finds. */
async function deepFindings(backup: string): Promise<unknown[]> {
  const reply = await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup });
  return resultsOf(reply).findings;
}

describe('rows come back by every way, whatever finds other things by name in', () => {
  const TABLES = SHAPES.flatMap(({ tables }, n) => tables.map((table) => `${table}${n}`));
  /** What there should be, and what there was, of every table. */
  const pairs: [string, string[], string[]][] = [];
  let findings: unknown[];
  let told: string[];

  const rowsIn = (schema: string): Promise<string[]> =>
    rowTexts(
      client,
      TABLES.map((table) => `select '${table} ' || t::text from ${schema}.${table} t`).join(' union all '),
    );

  before(async () => {
    for (const [n, { make, tables, rows }] of SHAPES.entries()) {
      const protect = tables.map((table) => `select m23.protect_table('{${table}}')`).join('; ');
      await client.query(named(`${make}; ${protect}; ${rows}`, n));
    }
    await client.query(LATER);
    const tables = TABLES.map((table) => `app.${table}`);
    const full = await backUp(stack, client, tenant, { jobType: 'full', tables });
    const [at, then] = [await databaseTime(client), await rowsIn('app')];
    for (const [n, shape] of SHAPES.entries()) await client.query(named(shape.damage, n));
    const damaged = await rowsIn('app');
    told = (await done('pitr-restore', { targetTimestamp: at, tables, dryRun: true }))['warnings'] as string[];
    for (const [way, base] of [
      ['the log', {}],
      ['an archive and the log', { baseBackupId: full }],
    ] as const) {
      const { snapshotId } = await done('pitr-restore', { targetTimestamp: at, tables, confirmRestore: true, ...base });
      pairs.push([`from ${way}`, then, await rowsIn('app')]);
      await done('pitr-rollback', { snapshotId, confirmRollback: true });
      pairs.push([`rolled back, after a restore from ${way}`, damaged, await rowsIn('app')]);
    }
    const next = await backUp(stack, client, tenant, { jobType: 'incremental', baseBackupId: full });
    await restored(stack, tenant, full, { tables });
    pairs.push(['from an archive', then, await rowsIn('app')]);
    await restored(stack, tenant, next, { targetSchema: 'copy', tables });
    pairs.push(['beside the live data', damaged, await rowsIn('copy')]);
    findings = [];
    for (const backup of [full, next]) findings.push(...(await deepFindings(backup)));
  });

  for (const [n, { what, tables }] of SHAPES.entries()) {
    test(what, () => {
      assert.equal(pairs.length, 6);
      const mine = (rows: string[]): string[] =>
        rows.filter((row) => tables.some((table) => row.startsWith(`${table}${n} `)));
      for (const [way, expected, actual] of pairs) assert.deepEqual(mine(actual), mine(expected), way);
    });
  }

  test('a dry run warns of the trigger that always fires, and of nothing else', () => {
    const table = `app.t${SHAPES.findIndex(({ make }) => make.includes('enable always trigger tg'))}`;
    assert.deepEqual(told, [`${table}: the triggers tg are set to fire always: a restore sets them off, too`]);
  });
  test('deep tests find nothing', () => assert.deepEqual(findings, []));
});

test('a page of the past and the stats between two moments are read so as well', async () => {
  const at = await databaseTime(client);
  await client.query(`update t4 set v = 'y' where id = 1`);
  await client.query(`select set_config('request.jwt.claims', '{"role": "service_role"}', false)`);
  const {
    rows: [row],
  } = await client.query<{ rows: { v: string }[]; stats: { update_count: number } }>(
    `
    select public.get_rows_as_of('app.t4', $2, null, 10, $1) as rows,
           public.calculate_pitr_stats($1, $2, clock_timestamp()) as stats`,
    [tenant.id, at],
  );
  assert.deepEqual(row?.rows.map(({ v }) => v).sort(), ['x', 'y']);
  assert.equal(row.stats.update_count, 1);
});

test('nothing in the path comes before what a statement of ours means', async () => {
  await client.query(`
    create function app.hijack(varchar, varchar) returns boolean language plpgsql as $$ begin raise 'hijacked'; end $$;
    create operator app.= (function = app.hijack, leftarg = varchar, rightarg = varchar);
    create operator app.<> (function = app.hijack, leftarg = varchar, rightarg = varchar);
    create function app.hashtextextended(text, int) returns bigint language plpgsql as
      $$ begin raise 'hijacked'; end $$;
    create function app.cardinality(text[]) returns int language plpgsql as $$ begin raise 'hijacked'; end $$;
    create function app.strpos(text, varchar) returns int language plpgsql as $$ begin raise 'hijacked'; end $$;
    create function app.jsonb_build_object(text, int) returns jsonb language plpgsql as
      $$ begin raise 'hijacked'; end $$;
    create domain app.text as int; create domain app.uuid as int;
    create table app.tempting (id int primary key, tenant_id pg_catalog.uuid not null, v varchar check (known(v)));
    select m23.protect_table('app.tempting');
    insert into app.tempting values (1, '${tenant.id}', 'x'), (2, '${tenant.id}', 'y')`);
  const tables = ['app.tempting'];
  const backup = await backUp(stack, client, tenant, { jobType: 'full', tables });
  const at = await databaseTime(client);
  await client.query(`delete from app.tempting where id = 1; update app.tempting set v = 'x'`);
  const { planHash } = await done('pitr-restore', { targetTimestamp: at, tables, dryRun: true });
  await done('pitr-restore', { targetTimestamp: at, tables, confirmRestore: true, planHash });
  assert.deepEqual(await rowTexts(client, 'select id, v from app.tempting'), ['(1,x)', '(2,y)']);
  await client.query('delete from app.tempting');
  await restored(stack, tenant, backup, { tables });
  assert.deepEqual(await rowTexts(client, 'select id, v from app.tempting'), ['(1,x)', '(2,y)']);
  assert.deepEqual(await deepFindings(backup), []);
});

test('nothing that anybody may plant in a schema of the path is called, and the doctor names the schema', async () => {
  await client.query(`
    create schema open; grant usage, create on schema open to authenticated;
    create function open.tail(p pg_catalog.text) returns pg_catalog.text language plpgsql as
      $$ begin raise 'planted'; end $$;
    create table app.baited (
      id int primary key, tenant_id pg_catalog.uuid not null, v pg_catalog.text, check (norm(v) <> ''));
    select m23.protect_table('app.baited'); insert into app.baited values (1, '${tenant.id}', 'x')`);
  await setPath('open, app, extensions');
  const at = await databaseTime(client);
  await client.query('delete from app.baited');
  await done('pitr-restore', { targetTimestamp: at, tables: ['app.baited'], confirmRestore: true });
  assert.deepEqual(await rowTexts(client, 'select id, v from app.baited'), ['(1,x)']);
  const { rows } = await client.query<{ state: string; finding: string; advice: string }>(
    `select state, finding, advice from m23.doctor() where topic ~ 'search path'`,
  );
  assert.equal(rows.length, 1);
  assert.equal(rows[0]?.state, 'warning');
  assert.match(rows[0].finding, /^the schema "open" is left out .*: authenticated may create there$/);
  assert.match(rows[0].advice, /^revoke create on schema open from authenticated; else a function of .*app\.baited/);
});
