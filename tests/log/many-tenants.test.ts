// Transactions that write rows of very many tenants: they go through, and hold few locks;
// a restore waits for them all the same.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { openDatabase } from '../fixtures/database.ts';

/** 256 tenants of their own, 128 stripes, and a few for other purposes. */
const LOCKS = 400;
/** What each further table may add: a log's first rows do not look at what other tables have asked for. */
const LOCKS_A_TABLE = 16;
const TENANTS = 20_000;
/** Half of them: statements that move rows take their time. */
const MOVING = 10_000;
/** More than there may be locks, ten times: a statement for each takes its time. */
const SINGLES = 4000;
/** More than there may be locks. */
const SOME = 1000;

const { postgres, client } = await openDatabase();

async function table(name: string): Promise<void> {
  await client.query(`create table public.${name} (id int primary key, tenant_id uuid not null, v int);
    select m23.protect_table('public.${name}')`);
}

/** Executes one statement for each n up to a number, in one transaction, and leaves that open. */
function oneByOne(statement: string, count: number): string {
  return `begin; do $$ begin for n in 1..${count} loop ${statement}; end loop; end $$`;
}

async function advisoryLocks(): Promise<number> {
  const {
    rows: [row],
  } = await client.query<{ count: number }>(
    `select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()`,
  );
  return row?.count ?? 0;
}

/** Runs a transaction and gives the locks that it holds at its end. */
async function locksOf(sql: string): Promise<number> {
  try {
    await client.query(sql);
    return await advisoryLocks();
  } finally {
    await client.query('commit');
  }
}

async function filled(name: string, count: number): Promise<void> {
  await table(name);
  await client.query(`insert into public.${name} select n, md5(n::text)::uuid, 0 from generate_series(1, ${count}) n`);
}

/** A table whose rows move to its other partition when their ids are negated. */
async function parted(name: string, count: number): Promise<void> {
  await client.query(`
    create table public.${name} (id int primary key, tenant_id uuid not null, v int) partition by range (id);
    create table public.${name}_low partition of public.${name} for values from (minvalue) to (0);
    create table public.${name}_high partition of public.${name} for values from (0) to (maxvalue);
    select m23.protect_table('public.${name}');
    insert into public.${name} select n, md5(n::text)::uuid, 0 from generate_series(1, ${count}) n`);
}

async function logged(name: string): Promise<number> {
  const {
    rows: [log],
  } = await client.query<{ name: string }>(
    'select m23.log_name(id) as name from m23.protected_tables where relid = $1::regclass',
    [`public.${name}`],
  );
  const {
    rows: [row],
  } = await client.query<{ count: number }>(`select count(*)::int from ${log?.name}`);
  return row?.count ?? 0;
}

test('rows of 4,000 tenants are inserted, updated and deleted one by one', async () => {
  await table('singles');
  for (const statement of [
    `insert into public.singles values (n, md5(n::text)::uuid, n)`,
    'update public.singles set v = v + 1 where id = n',
    'delete from public.singles where id = n',
  ]) {
    const locks = await locksOf(oneByOne(statement, SINGLES));
    assert.ok(locks > 0 && locks <= LOCKS, `${locks} locks: ${statement}`);
  }
  assert.equal(await logged('singles'), 3 * SINGLES);
});

test('rows of 20,000 tenants are inserted, updated and deleted by one statement each', async () => {
  await table('bulk');
  for (const statement of [
    `insert into public.bulk select n, md5(n::text)::uuid, n from generate_series(1, ${TENANTS}) n`,
    'update public.bulk set v = v + 1',
    'delete from public.bulk',
  ]) {
    const locks = await locksOf(`begin; ${statement}`);
    assert.ok(locks > 0 && locks <= LOCKS, `${locks} locks: ${statement}`);
  }
  assert.equal(await logged('bulk'), 3 * TENANTS);
});

test('rows of 10,000 tenants get another key, another tenant, and are truncated', async () => {
  await filled('moving', MOVING);
  for (const statement of [
    'update public.moving set id = -id',
    `update public.moving set tenant_id = md5('other ' || id)::uuid`,
    'truncate public.moving',
  ]) {
    const locks = await locksOf(`begin; ${statement}`);
    assert.ok(locks > 0 && locks <= LOCKS, `${locks} locks: ${statement}`);
  }
});

test('rows of as many tenants get another key one by one', async () => {
  await filled('moved', SOME);
  const locks = await locksOf(oneByOne('update public.moved set id = -n where id = n', SOME));
  assert.ok(locks > 0 && locks <= LOCKS, `${locks} locks`);
});

test('rows of 20,000 tenants move from partition to partition', async () => {
  await parted('parted', TENANTS);
  const bulk = await locksOf('begin; update public.parted set id = -id');
  assert.ok(bulk > 0 && bulk <= LOCKS, `${bulk} locks`);
  const singles = await locksOf(oneByOne('update public.parted set id = n where id = -n', SOME));
  assert.ok(singles > 0 && singles <= LOCKS, `${singles} locks`);
});

test('rows of as many tenants are written in savepoints, some of which are given up', async () => {
  await table('saved');
  const locks = await locksOf(
    oneByOne(
      `begin insert into public.saved values (n, md5(n::text)::uuid, n);
    if n % 3 = 0 then raise exception 'given up'; end if; exception when raise_exception then null; end`,
      SOME,
    ),
  );
  assert.ok(locks > 0 && locks <= LOCKS, `${locks} locks`);
});

test('rows of other tenants in each of forty tables are written in one transaction', async () => {
  const names = Array.from({ length: 40 }, (_, n) => `forty_${n}`);
  for (const name of names) await table(name);
  const inserts = names
    .map((name) => `insert into public.${name} values (n, md5('${name} ' || n)::uuid, n)`)
    .join('; ');
  const most = LOCKS + LOCKS_A_TABLE * names.length;
  const singles = await locksOf(oneByOne(inserts, 100));
  assert.ok(singles > 0 && singles <= most, `${singles} locks, one by one`);
  const bulk = await locksOf(`begin; ${names.map((name) => `update public.${name} set v = 0`).join('; ')}`);
  assert.ok(bulk > 0 && bulk <= most, `${bulk} locks, a statement a table`);
});

test('a restore of any of these tenants does not get the fence as long as the transaction runs', async (t) => {
  await table('fenced');
  const restore = await postgres.connect();
  t.after(() => restore.end());
  await restore.query(`set lock_timeout = '20ms'`);
  await client.query(oneByOne('insert into public.fenced values (n, md5(n::text)::uuid, n)', 3000));
  const ids = [1, 2, 200, 255, 256, 257, 258, 259, 1000, 2999, 3000];
  for (const id of ids) {
    await assert.rejects(
      restore.query('select m23.take_fence(md5($1)::uuid::text)', [String(id)]),
      { code: '55P03' },
      `tenant ${id}`,
    );
  }
  await client.query('commit');
  for (const id of ids) await restore.query('select m23.take_fence(md5($1)::uuid::text)', [String(id)]);
});

test('a writer of such a transaction waits for a restore of one of these tenants', async (t) => {
  await table('waiting');
  const restore = await postgres.connect();
  t.after(() => restore.end());
  for (const id of [1, 257, 2999]) {
    await restore.query('begin');
    await restore.query('select m23.take_fence(md5($1)::uuid::text)', [String(id)]);
    await client.query(`set lock_timeout = '100ms'`);
    await assert.rejects(
      client.query(oneByOne('insert into public.waiting values (n, md5(n::text)::uuid, n)', 3000)),
      { code: '55P03' },
      `tenant ${id}`,
    );
    await client.query('rollback; reset lock_timeout');
    await restore.query('rollback');
  }
});

describe('a statement looks at no pair of its rows', () => {
  const ROWS = 600;

  test('where it moves keys', async () => {
    await filled('pairs_moved', ROWS);
    await assertFewLooks('update public.pairs_moved set id = -id');
  });

  test('where it moves rows to another partition', async () => {
    await parted('pairs_parted', ROWS);
    await assertFewLooks('update public.pairs_parted set id = -id');
  });

  test('where a trigger writes the same rows once more, and a foreign key can', async () => {
    await client.query(`
      create table public.pairs_of (id int primary key);
      create table public.pairs (id int primary key, tenant_id uuid not null, of int references public.pairs_of on delete set null, v int);
      select m23.protect_table('public.pairs');
      create function public.pairs_again() returns trigger language plpgsql as $$ begin
        if pg_trigger_depth() < 2 then update public.pairs set v = v + 1 where id = new.id; end if;
        return new;
      end $$;
      create trigger again after update on public.pairs for each row execute function public.pairs_again();
      insert into public.pairs select n, md5((n % 5)::text)::uuid, null, 0 from generate_series(1, ${ROWS}) n;
      update public.pairs set v = v where id = 1`);
    await assertFewLooks('update public.pairs set v = v + 1');
  });

  /** No step of the plans of a statement, and of all that it calls, looks at rows more than a few times each. */
  async function assertFewLooks(sql: string): Promise<void> {
    const watched = await postgres.connect();
    const plans: { 'Query Text': string; Plan: Step }[] = [];
    watched.on('notice', ({ message }) => {
      const json = /^duration: .*? plan:\n(.*)$/s.exec(message ?? '')?.[1];
      if (json !== undefined) plans.push(JSON.parse(json) as (typeof plans)[number]);
    });
    await watched.query(`
      load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on; set auto_explain.log_timing = off;
      set auto_explain.log_nested_statements = on; set auto_explain.log_format = json; set auto_explain.log_level = notice`);
    await watched.query(sql);
    await watched.end();
    assert.ok(plans.length > 1, 'no plan was told');
    for (const plan of plans) {
      const most = mostLooks(plan.Plan);
      assert.ok(most <= 20 * ROWS, `${most} rows for ${ROWS}: ${plan['Query Text']}`);
    }
  }
});

/** A step of a plan, as EXPLAIN gives it. */
interface Step {
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Join Filter'?: number;
  Plans?: Step[];
}

function mostLooks(step: Step): number {
  const seen = step['Actual Rows'] + (step['Rows Removed by Filter'] ?? 0) + (step['Rows Removed by Join Filter'] ?? 0);
  return Math.max(seen * step['Actual Loops'], ...(step.Plans ?? []).map(mostLooks));
}
