// Capture is invisible to its writer: whatever a session can see after a write is the same as without protection.
// Each statement runs twice, on a table that is protected and on its twin that is not.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type pg from 'pg';

import { type Database, startDatabase } from '../fixtures/database.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OTHER = '22222222-2222-4222-8222-222222222222';
const CLAIMS = JSON.stringify({ sub: 'aaaaaaaa-0000-4000-8000-000000000001', role: 'authenticated' });

/** Every kind of write, one after the other, in one session. */
const WRITES = [
  `insert into orders (tenant_id, v) values ('${TENANT}', 'one')`,
  `insert into orders (tenant_id, v) select '${TENANT}', 'many' from generate_series(1, 5) returning id, v`,
  `insert into orders (id, tenant_id, v) overriding system value values (1, '${TENANT}', 'again')
    on conflict (id) do nothing`,
  `insert into orders (id, tenant_id, v) overriding system value values (1, '${TENANT}', 'again')
    on conflict (id) do nothing returning id`,
  `insert into orders (id, tenant_id, v) overriding system value select n, '${TENANT}', 'upserted'
    from generate_series(5, 9) n
     on conflict (id) do update set v = excluded.v where orders.v <> 'many' or orders.id = 5 returning id, v`,
  `update orders set v = v || '!' where id in (1, 2)`,
  `update orders set v = v where false`,
  `update orders set v = v || '?' returning *`,
  `update orders set id = default where id = 2`,
  `update orders set tenant_id = '${OTHER}' where id = 3 returning tenant_id`,
  `delete from orders where id = 4 returning v`,
  `delete from orders where false`,
  `merge into orders o using (select n from generate_series(3, 12) n) s on o.id = s.n
     when matched and o.id % 2 = 0 then delete
     when matched then update set v = 'merged'
     when not matched then insert (tenant_id, v) values ('${TENANT}', 'merged in')`,
  `with d as (delete from orders where id = 5 returning *), u as (update orders set v = 'cte' where id = 7 returning id)
     insert into orders (tenant_id, v) select tenant_id, v from d returning v, (select id from u)`,
  `insert into orders (id, tenant_id, v) overriding system value values (1, '${TENANT}', 'taken')`,
  `insert into orders (tenant_id, v) values ('${TENANT}', null)`,
  `insert into orders (tenant_id, v) values ('${TENANT}', 'loud')`,
  `select written('update orders set v = v || 1')`,
  `select written('delete from orders where id < 0')`,
  `select written('insert into orders (tenant_id, v) values (''${TENANT}'', ''called'') on conflict do nothing')`,
  `begin`,
  `savepoint s`,
  `insert into orders (tenant_id, v) values ('${TENANT}', 'given up')`,
  `rollback to s`,
  `update orders set v = v || '*'`,
  `declare c cursor for select * from orders order by id for update; fetch c`,
  `update orders set v = 'current' where current of c returning v`,
  `commit`,
  `truncate orders`,
  `insert into orders (tenant_id, v) values ('${TENANT}', 'after')`,
  `truncate orders restart identity`,
  `insert into orders (tenant_id, v) values ('${TENANT}', 'after')`,
];

/** What the writer's own triggers see while they run after its statements, last of all and first. */
const TABLES = `
  create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, v text not null);
  create index on orders (tenant_id);
  create table seen (what text);
  create function look() returns trigger language plpgsql as $$
  begin
    if new.v = 'loud' then raise notice 'as loud as the application'; end if;
    insert into seen values (concat_ws(' ', tg_name, tg_op, current_user, pg_trigger_depth(), lastval(),
      current_setting('search_path'), current_setting('row_security'), current_setting('datestyle'),
      current_setting('timezone'),
      current_setting('session_replication_role'), current_setting('plan_cache_mode'), current_setting('role')));
    return null;
  end $$;
  create trigger aaaa after insert or update on orders for each row execute function look();
  create trigger zzzz_look after insert or update on orders for each row execute function look();
  create function written(p_sql text) returns text language plpgsql as $$
  declare v_rows bigint;
  begin
    execute p_sql;
    get diagnostics v_rows = row_count;
    return concat_ws(' ', v_rows, found);
  end $$;
  alter table orders enable row level security;
  create policy all_of_them on orders using (true);
  grant all on all tables in schema %schema to authenticated;
  grant all on all sequences in schema %schema to authenticated;
  grant usage on schema %schema to authenticated;`;

/** What one session sees of a statement. */
interface Sight {
  results: unknown;
  notices: string[];
  lastval: unknown;
  currval: unknown;
  settings: unknown;
  path: unknown;
}

/** A session whose tables are those of one schema. */
class Session {
  readonly client: pg.Client;
  readonly #schema: string;
  readonly #notices: string[] = [];

  constructor(client: pg.Client, schema: string) {
    this.client = client;
    this.#schema = schema;
    client.on('notice', ({ severity, message }) => this.#notices.push(`${severity} ${message}`));
  }

  async sight(sql: string): Promise<Sight> {
    this.#notices.length = 0;
    const results = await this.#outcome(sql);
    return {
      results,
      notices: [...this.#notices],
      lastval: await this.#outcome('select lastval()'),
      currval: await this.#outcome(`select currval(pg_get_serial_sequence('orders', 'id'))`),
      settings: await this.#outcome(
        `select name, setting, source from pg_settings where name <> 'search_path' order by name`,
      ),
      path: await this.#outcome('show search_path'),
    };
  }

  /** What the application's own triggers have noted. */
  async seen(): Promise<unknown> {
    return await this.#outcome('select what from seen order by ctid');
  }

  /** Command, count and rows of each statement; of an error what the client is told. */
  async #outcome(sql: string): Promise<unknown> {
    try {
      const results = [await this.client.query(sql)].flat() as pg.QueryResult[];
      return results.map(({ command, rowCount, rows }) => ({ command, rowCount, rows: this.#neutral(rows) }));
    } catch (error) {
      const { code, message, detail, hint, where, constraint } = error as pg.DatabaseError;
      return this.#neutral({ code, message, detail, hint, where, constraint });
    }
  }

  /** The twins differ in their schema's name. */
  #neutral(value: unknown): unknown {
    return JSON.parse(JSON.stringify(value).replaceAll(this.#schema, 'schema'));
  }
}

describe('a protected write leaves its session as an unprotected one does', { concurrency: false }, () => {
  for (const commitTimes of ['on', 'off']) {
    describe(`with commit times ${commitTimes}`, { concurrency: false }, () => {
      let database: Database;
      before(async () => {
        database = await startDatabase({ track_commit_timestamp: commitTimes });
      });
      after(() => database.close());

      for (const [user, setUp] of [
        ['the owner', ''],
        ['an API role', `set role authenticated; set request.jwt.claims = '${CLAIMS}'`],
      ] as const) {
        test(`as ${user}`, () => assertTwinsAgree(database, setUp));
      }
      test('where it has used no sequence', () => assertNoSequence(database));
      test('500 times in a row, and where a tick is written', () => assertLastvalHolds(database));
    });
  }
});

async function assertTwinsAgree(database: Database, setUp: string): Promise<void> {
  const watched = await openTwin(database, 'watched', setUp);
  const ordinary = await openTwin(database, 'ordinary', setUp);
  try {
    for (const sql of WRITES) assert.deepEqual(await watched.sight(sql), await ordinary.sight(sql), sql);
    assert.deepEqual(await watched.seen(), await ordinary.seen());
  } finally {
    for (const { client } of [watched, ordinary]) await client.end();
    await database.client.query(`select m23.unprotect_table('watched.orders'); drop schema watched, ordinary cascade`);
  }
}

/** A session of its own with tables of its own, which are protected in `watched`. */
async function openTwin(database: Database, schema: string, setUp: string): Promise<Session> {
  await database.client.query(
    `create schema ${schema}; set search_path = ${schema}; ${TABLES.replaceAll('%schema', schema)} reset search_path`,
  );
  if (schema === 'watched') await database.client.query(`select m23.protect_table('watched.orders')`);
  const client = await database.postgres.connect();
  await client.query(`set search_path = ${schema}; set client_min_messages = log; ${setUp}`);
  return new Session(client, schema);
}

async function assertNoSequence(database: Database): Promise<void> {
  const client = await database.postgres.connect();
  await client.query(
    `create table public.keyed (id int primary key, tenant_id uuid not null, v int);
    select m23.protect_table('public.keyed')`,
  );
  await client.query('discard all');
  for (const sql of [
    `insert into public.keyed select n, '${TENANT}', n from generate_series(1, 1000) n`,
    'update public.keyed set v = 0',
    'begin; update public.keyed set v = 1; update public.keyed set id = id + 1000; commit',
    'delete from public.keyed where id < 1500',
    'truncate public.keyed',
  ]) {
    await client.query(sql);
    await assert.rejects(client.query('select lastval()'), { code: '55000' }, sql);
  }
  await client.end();
}

/** Goes on until a tick has been written from within one of the inserts. */
async function assertLastvalHolds(database: Database): Promise<void> {
  const client = await database.postgres.connect();
  await client.query(`create table public.counted (
      id int generated always as identity primary key, tenant_id uuid not null);
    select m23.protect_table('public.counted')`);
  await client.query('discard all');
  const ticks = async (): Promise<number> => (await client.query('select from m23.ticks')).rowCount ?? 0;
  const before = await ticks();
  for (let round = 0; round < 2 || (await ticks()) === before; round += 1) {
    assert.ok(round < 100, 'no tick was written');
    if (round > 0) await client.query(`select pg_sleep(0.6); select set_config('m23.ticked', '', false)`);
    await client.query(`do $$
      begin
        for n in 1..500 loop
          insert into public.counted (tenant_id) values ('${TENANT}');
          if lastval() <> currval('public.counted_id_seq') or lastval() <> ${round * 500} + n then
            raise exception 'lastval is % after insert %', lastval(), ${round * 500} + n;
          end if;
        end loop;
      end $$`);
  }
  await client.end();
}
