// Capture of what logical replication writes: its workers fire triggers for rows only.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import pg from 'pg';

import { actAsOwner, type Database, recover, rowTexts, startDatabase } from '../fixtures/database.ts';
import { databaseTime } from '../fixtures/time.ts';

const ACME = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';
const BIRCH = '22222222-2222-4222-8222-222222222222';
const WITHIN_MS = 20_000;

let database: Database;
let client: pg.Client;
let source: pg.Client;

before(async () => {
  database = await startDatabase({
    wal_level: 'logical',
    max_logical_replication_workers: '16',
    max_sync_workers_per_subscription: '2',
    max_worker_processes: '24',
    max_replication_slots: '32',
    max_wal_senders: '32',
  });
  ({ client } = database);
  await actAsOwner(client, ACME, OWNER);
  await client.query('create database source');
  source = new pg.Client({ connectionString: sourceUrl() });
  await source.connect();
});
after(async () => {
  await source.end();
  await database.close();
});

function sourceUrl(): string {
  return database.postgres.url.replace(/\/postgres$/, '/source');
}

/** Makes tables on both sides. */
async function both(sql: string): Promise<void> {
  await source.query(sql);
  await client.query(sql);
}

/** Publishes tables and subscribes to them; on one server the slot has to be there before. */
async function subscribe(name: string, tables: string, options = 'copy_data = false', publication = ''): Promise<void> {
  await source.query(`create publication ${name} for table ${tables} ${publication}`);
  await source.query(`select pg_create_logical_replication_slot('${name}', 'pgoutput')`);
  await client.query(
    `create subscription ${name} connection '${sourceUrl()}' publication ${name} with (create_slot = false, slot_name = '${name}', ${options})`,
  );
}

async function unsubscribe(name: string): Promise<void> {
  await client.query(`drop subscription ${name}`);
  await source.query(`drop publication ${name}`);
}

/** Waits until a query gives these rows. */
async function arrived(sql: string, expected: string[], by = client): Promise<void> {
  const until = Date.now() + WITHIN_MS;
  let found = await rowTexts(by, sql);
  while (Date.now() < until && JSON.stringify(found) !== JSON.stringify(expected)) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    found = await rowTexts(by, sql);
  }
  assert.deepEqual(found, expected);
}

const initials = (rows: string[]): string[] => rows.map((row) => row.replaceAll(ACME, 'A').replaceAll(BIRCH, 'B'));

/** What the log of a table has, in order: operation, tenant, and the values of the columns. */
async function logged(table: string, since = '0'): Promise<string[]> {
  const {
    rows: [log],
  } = await client.query<{ name: string; columns: string }>(
    `
    select m23.log_name(t.id) as name, string_agg(format('l.%I', c.name), ', ' order by c.attnum) filter (where c.attnum <> t.tenant_attnum) as columns
      from m23.protected_tables t join m23.log_columns c on c.table_id = t.id and c.until_xid is null where t.relid = $1::regclass group by t.id`,
    [table],
  );
  const { rows } = await client.query<{ entry: string }>(
    `select concat_ws(' ', l.op, l.tenant_id, ${log?.columns}) as entry from ${log?.name} l where l.xid > $1::text::xid8 order by l.xid, l.change_id`,
    [since],
  );
  return initials(rows.map(({ entry }) => entry));
}

/** The number of the newest transaction. */
async function newest(): Promise<string> {
  const {
    rows: [row],
  } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
  return row?.xid ?? '';
}

async function triggersOf(table: string): Promise<string[]> {
  return rowTexts(
    client,
    `select distinct tgname from pg_trigger g join m23.captured_relations($1::regclass) c on c.relid = g.tgrelid where tgname ~ 'm23_(row_replicated|statement)'`,
    [table],
  );
}
const THREE = ['(aaa_m23_row_replicated)', '(zzz_m23_statement)', '(zzz_m23_statement_done)'];

async function doctor(table: string): Promise<string> {
  const {
    rows: [row],
  } = await client.query<{ said: string }>(
    `select concat_ws(' ', state, finding) as said from m23.doctor() where topic = $1`,
    [table],
  );
  return row?.said ?? '';
}

/** Restores a table to a moment, as its dry run counts; gives its rows. */
async function restored(table: string, at: string): Promise<string[]> {
  const {
    rows: [counted],
  } = await client.query<{ stats: { total_operations: number } }>(
    'select public.calculate_pitr_stats($1, $2) as stats',
    [ACME, at],
  );
  const done = await recover(client, ACME, OWNER, { targetTimestamp: at, tables: [table] });
  assert.equal(done.error, undefined, JSON.stringify(done.error));
  assert.equal(done.rows_restored, counted?.stats.total_operations);
  return initials(await rowTexts(client, `table ${table}`));
}

describe('a row that a subscription writes', () => {
  test("is captured as a statement's would be, and can be taken back", async () => {
    await both(
      'create table orders (id int primary key, tenant_id uuid, v text, long text); alter table orders replica identity full',
    );
    await client.query(`select m23.protect_table('orders')`);
    assert.deepEqual(await triggersOf('orders'), [], 'no other table pays');
    await source.query(
      `insert into orders select n, '${ACME}', 'a', repeat('long', 1000) from generate_series(1, 6) n; insert into orders values (9, '${BIRCH}', 'b', null)`,
    );
    await subscribe('orders_sub', 'orders', 'copy_data = true');
    assert.deepEqual(await triggersOf('orders'), THREE);
    await arrived('select count(*) from orders', ['(7)']);
    assert.equal((await logged('orders')).length, 7, 'what is copied first comes by a statement, once');
    await arrived(`select srsubstate from pg_subscription_rel`, ['(r)']);
    assert.match(await doctor('orders'), /^ok .*a subscription writes to it, and its rows are captured, too$/);

    const [at, since] = [await databaseTime(client), await newest()];
    await source.query(`begin; update orders set v = 'x' where id = 1; update orders set id = 12 where id = 2; update orders set tenant_id = '${BIRCH}' where id = 3;
      update orders set id = 14, tenant_id = '${BIRCH}' where id = 4; update orders set tenant_id = null where id = 5; delete from orders where id = 6;
      insert into orders values (7, '${ACME}', 'new', null); update orders set tenant_id = '${ACME}' where id = 9; commit`);
    await arrived('select id, v, left(tenant_id::text, 1) from orders', [
      '(1,x,1)',
      '(12,a,1)',
      '(14,a,2)',
      '(3,a,2)',
      '(5,a,)',
      '(7,new,1)',
      '(9,b,1)',
    ]);
    const LONG = 'long'.repeat(1000);
    assert.deepEqual(await logged('orders', since), [
      `U A 1 a ${LONG}`,
      `U A 2 a ${LONG}`,
      'o A 2',
      'n A 12',
      `U A 3 a ${LONG}`,
      'l A 3',
      'a B 3',
      `U A 4 a ${LONG}`,
      'l A 4',
      'a B 14',
      `U A 5 a ${LONG}`,
      'l A 5',
      `D A 6 a ${LONG}`,
      'I A 7',
      'U B 9 b',
      'l B 9',
      'a A 9',
    ]);
    const rows = await restored('orders', at);
    assert.deepEqual(
      rows.map((row) => row.replace(LONG, 'L')),
      ['(1,A,a,L)', '(14,B,a,L)', '(2,A,a,L)', '(3,B,a,L)', '(4,A,a,L)', '(5,A,a,L)', '(6,A,a,L)', '(9,A,b,)'],
    );
    await unsubscribe('orders_sub');
    assert.deepEqual(await triggersOf('orders'), [], 'they go with the subscription');
  });

  test("is captured once, whatever statements the application's triggers run in the worker in its owner's name", async () => {
    await both(
      'create table busy (id int primary key, tenant_id uuid not null, v text); create table other (id int primary key, tenant_id uuid not null, v text)',
    );
    await client.query(`create function busy_too() returns trigger language plpgsql set search_path = public as $$ begin
        if new.v = 'a' then
          insert into busy values (new.id + 100, new.tenant_id, 'by trigger');
          update busy set v = 'touched' where id = new.id;
          merge into busy b using (select new.id + 100 as id) s on b.id = s.id when matched then update set v = 'merged';
          begin
            update busy set v = 'given up'; raise exception 'so';
          exception when raise_exception then null;
          end;
        end if; return null; end $$;
      create trigger mine after insert on busy for each row execute function busy_too(); alter table busy enable always trigger mine;
      create role keeper; grant usage on schema public to keeper; alter table busy owner to keeper;
      select m23.protect_table('busy')`);
    await subscribe('busy_sub', 'busy');
    const since = await newest();
    await source.query(
      `begin; insert into busy values (1, '${ACME}', 'a'), (2, '${ACME}', 'a'); update busy set v = 'b' where id = 1; commit`,
    );
    await arrived('select id, v from busy', ['(1,b)', '(101,merged)', '(102,merged)', '(2,touched)']);
    const once = (n: number): string[] => [`I A ${n}`, `I A ${n + 100}`, `U A ${n} a`, `U A ${n + 100} by trigger`];
    assert.deepEqual(await logged('busy', since), [...once(1), ...once(2), 'U A 1 touched']);
    const also = await newest();
    await client.query(`insert into busy values (3, '${ACME}', 'b'), (4, '${ACME}', 'b') on conflict (id) do update set v = 'c';
      insert into busy values (4, '${ACME}', 'b') on conflict (id) do update set v = 'c'; delete from busy where id = 3`);
    assert.deepEqual(
      await logged('busy', also),
      ['I A 3', 'I A 4', 'U A 4 b', 'D A 3 b'],
      'and those of other sessions',
    );
    await unsubscribe('busy_sub');
  });

  test('is told from those of statements, of which each is counted until it ends', async () => {
    await both(`create table tree (id int primary key, tenant_id uuid not null, up int references tree on delete cascade on update cascade deferrable, v text);
      create table grid (id int primary key, tenant_id uuid not null, tree int references tree on delete set null on update cascade) partition by range (id);
      create table grid1 partition of grid for values from (0) to (10); create table grid2 partition of grid for values from (10) to (20)`);
    await client.query(`select m23.protect_table(r) from unnest(array['tree', 'grid']::regclass[]) r`);
    await subscribe('tree_sub', 'tree, grid');
    const open = async (): Promise<string[]> =>
      rowTexts(
        client,
        `select coalesce(nullif(current_setting('m23.statements_' || t.id, true), ''), '0')
      from m23.protected_tables t where t.relid in ('tree'::regclass, 'grid'::regclass)`,
      );
    const before = await newest();
    await client.query('begin');
    for (const statement of [
      `insert into tree select n, '${ACME}', nullif(n / 2, 0), 'a' from generate_series(1, 9) n`,
      `insert into grid select n, '${ACME}', n from generate_series(1, 9) n`,
      `with a as (update tree set v = 'b' where id = 1), b as (update tree set v = 'c' where id = 2), c as (insert into tree values (10, '${ACME}', 5, 'c')),
         d as (delete from grid where id = 1), e as (delete from grid1 where id = 2) select 1`,
      'update tree set id = id + 100 where id in (2, 3)',
      'update grid set id = id + 10 where id in (4, 5)',
      'update grid1 set tree = null where false',
      `insert into tree values (1, '${ACME}', null, 'again') on conflict (id) do update set v = excluded.v`,
      `merge into tree t using (values (1), (50)) s (id) on t.id = s.id when matched then update set v = 'm' when not matched then insert values (s.id, '${ACME}', 1, 'm')`,
      `savepoint s`,
      `do $$ begin delete from tree where id = 102; delete from tree where id = 103; update tree set v = v || '!'; raise exception 'so'; exception when raise_exception then null; end $$`,
      'delete from tree where id in (102, 50)',
      'delete from tree where id = 1',
      `rollback to s`,
      'delete from tree where id = 103',
      'truncate tree, grid',
    ]) {
      await client.query(statement);
      assert.deepEqual(await open(), ['(0)', '(0)'], statement);
    }
    await client.query('commit');
    for (const table of ['tree', 'grid']) {
      const entries = (await logged(table, String(BigInt(before) - 1n))).map((entry) => entry.split(' '));
      const balance = entries.reduce(
        (sum, [op]) => sum + ('Ina'.includes(op ?? '') ? 1 : 'Dol'.includes(op ?? '') ? -1 : 0),
        0,
      );
      assert.equal(balance, 0, `${table}: every row that came has gone once`);
    }
    await unsubscribe('tree_sub');
  });

  test('of another shape than an ALTER TABLE left that nobody followed is captured by its shape', async () => {
    await both('create table shape (id int primary key, tenant_id uuid not null, v text)');
    await client.query(`select m23.protect_table('shape')`);
    await subscribe('shape_sub', 'shape');
    await client.query('alter event trigger m23_follow_ddl disable');
    await both(`alter table shape add w int; alter table shape rename v to "new"`);
    await client.query('alter event trigger m23_follow_ddl enable always');
    const since = await newest();
    await source.query(
      `begin; insert into shape values (1, '${ACME}', 'a', 1), (2, '${ACME}', 'a', 1); update shape set w = 2 where id = 1; delete from shape where id = 1; commit`,
    );
    await arrived('select id from shape', ['(2)']);
    assert.deepEqual(await logged('shape', since), ['I A 1', 'I A 2', 'U A 1 a 1', 'D A 1 a 2']);
    await unsubscribe('shape_sub');
  });

  for (const [via, publication] of [
    ['its root', 'with (publish_via_partition_root = true)'],
    ['its partitions', ''],
  ] as const) {
    test(`of a partitioned table is captured, published by ${via}`, async () => {
      const name = `parts_${publication === '' ? 'leaves' : 'root'}`;
      await both(`create table ${name} (id int primary key, tenant_id uuid not null, v text) partition by range (id);
        create table ${name}1 partition of ${name} for values from (0) to (10); create table ${name}2 partition of ${name} for values from (10) to (20)`);
      await client.query(`select m23.protect_table('${name}')`);
      await subscribe(`${name}_sub`, name, 'copy_data = false', publication);
      assert.deepEqual(await triggersOf(name), THREE);
      const at = await databaseTime(client);
      const since = await newest();
      await source.query(`begin; insert into ${name} values (1, '${ACME}', 'a'), (2, '${ACME}', 'a'); update ${name} set v = 'b' where id = 1; update ${name} set id = 3 where id = 2;
        update ${name} set id = 11 where id = 1; commit`);
      await arrived(`table ${name}`, [`(11,${ACME},b)`, `(3,${ACME},a)`]);
      const entries = await logged(name, since);
      assert.deepEqual(entries.slice(0, 6), ['I A 1', 'I A 2', 'U A 1 a', 'U A 2 a', 'o A 2', 'n A 3']);
      assert.deepEqual(entries.slice(6).sort(), ['D A 1 b', 'I A 11'], 'it has gone to another partition');
      await client.query(
        `insert into ${name} values (4, '${ACME}', 'a'), (14, '${ACME}', 'a'); update ${name} set id = 15 where id = 4`,
      );
      assert.equal((await logged(name, since)).filter((entry) => entry === 'I A 4').length, 1);
      assert.deepEqual(await restored(name, at), []);
      await unsubscribe(`${name}_sub`);
    });
  }

  test('is captured when TRUNCATE takes it', async () => {
    await both(
      `create table emptied (id int primary key, tenant_id uuid not null, v text); insert into emptied values (1, '${ACME}', 'a')`,
    );
    await client.query(`select m23.protect_table('emptied')`);
    await subscribe('emptied_sub', 'emptied');
    const at = await databaseTime(client);
    await source.query('truncate emptied');
    await arrived('select count(*) from emptied', ['(0)']);
    assert.deepEqual(await logged('emptied'), ['D A 1 a']);
    assert.deepEqual(await restored('emptied', at), ['(1,A,a)']);
    await unsubscribe('emptied_sub');
  });

  test('of a table that is protected or altered later is captured', async () => {
    await both('create table later (id int primary key, tenant_id uuid not null, v text)');
    await subscribe('later_sub', 'later');
    await client.query(`select m23.protect_table('later')`);
    assert.deepEqual(await triggersOf('later'), THREE);
    await both('alter table later add w int');
    assert.deepEqual(await triggersOf('later'), THREE);
    await source.query(`insert into later values (1, '${ACME}', 'a', 1)`);
    await arrived('select id from later', ['(1)']);
    assert.deepEqual(await logged('later'), ['I A 1']);
    await client.query(`select m23.unprotect_table('later')`);
    assert.deepEqual(await triggersOf('later'), []);
    await source.query(`update later set v = 'b'`);
    await arrived('select v from later', ['(b)']);
    await unsubscribe('later_sub');
  });

  test('waits while a restore of its tenant writes', async () => {
    await both('create table fenced (id int primary key, tenant_id uuid not null)');
    await client.query(`select m23.protect_table('fenced')`);
    await subscribe('fenced_sub', 'fenced');
    await client.query('begin');
    try {
      await client.query('select m23.take_fence($1)', [ACME]);
      await source.query(`insert into fenced values (1, '${ACME}')`);
      await arrived(
        `select distinct wait_event from pg_stat_activity where backend_type like 'logical replication%worker' and wait_event_type = 'Lock'`,
        ['(advisory)'],
        source,
      );
    } finally {
      await client.query('commit');
    }
    await arrived('select id from fenced', ['(1)']);
    await unsubscribe('fenced_sub');
  });
});

test('what a subscription wrote before anybody told of it is a gap, which everyone sees', async () => {
  await both('create table missed (id int primary key, tenant_id uuid not null)');
  await client.query(`select m23.protect_table('missed')`);
  const at = await databaseTime(client);
  await client.query('alter event trigger m23_follow_ddl disable');
  await subscribe('missed_sub', 'missed');
  await client.query('alter event trigger m23_follow_ddl enable always');
  await source.query(`insert into missed values (1, '${ACME}')`);
  await arrived('select id from missed', ['(1)']);
  assert.match(
    await doctor('missed'),
    /^problem gap: a subscription writes to it, and no event trigger told of that; what was changed meanwhile is unknown$/,
  );
  const refused = (why: RegExp): Promise<void> =>
    assert.rejects(recover(client, ACME, OWNER, { targetTimestamp: at, tables: ['missed'] }), why);
  await refused(/missed: a subscription writes to it, and no event trigger told of that/);

  await client.query('select public.m23_sweep()');
  assert.deepEqual(await triggersOf('missed'), THREE);
  assert.match(await doctor('missed'), /^ok /);
  assert.deepEqual(
    await rowTexts(
      client,
      `select reason from m23.gaps g join m23.protected_tables t on t.id = g.table_id where t.name = 'missed'`,
    ),
    ['("a subscription wrote to it unseen")'],
  );
  const { rows: windows } = await client.query<{ said: string }>(
    'select w::text as said from public.get_recovery_window($1) w',
    [ACME],
  );
  assert.match(
    windows.find(({ said }) => said.startsWith('(missed,'))?.said ?? '',
    /a subscription wrote to it unseen/,
  );
  await refused(/missed.*a subscription wrote to it unseen/);
  await source.query(`insert into missed values (2, '${ACME}')`);
  await arrived('select id from missed', ['(1)', '(2)']);
  assert.deepEqual(await logged('missed'), ['I A 2']);

  await client.query('alter event trigger m23_follow_ddl disable');
  await unsubscribe('missed_sub');
  await client.query('alter event trigger m23_follow_ddl enable always');
  assert.deepEqual(await triggersOf('missed'), THREE);
  await client.query('select public.m23_sweep()');
  assert.deepEqual(await triggersOf('missed'), [], 'the upkeep takes them away');
  assert.equal(
    (
      await rowTexts(
        client,
        `select 1 from m23.gaps g join m23.protected_tables t on t.id = g.table_id where t.name = 'missed'`,
      )
    ).length,
    1,
    'that is no gap',
  );
});
