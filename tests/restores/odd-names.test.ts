// Names and defaults of the application's that look like something of the SQL that is generated for its tables.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { actAsOwner, openDatabase, recover } from '../fixtures/database.ts';
import { databaseTime } from '../fixtures/time.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';
const NAMES = [
  'cost$2',
  '$3',
  '$body$',
  '$zz$',
  "it's",
  'a"b',
  '%I',
  '%1$s',
  '{log}',
  '{unchanged}',
  'v_actor',
  'v_open',
  'v_null',
  'v_first',
  'v_known',
  'r',
  'l',
  'old',
  'new',
  'old_rows',
  'new_rows',
  'op',
  'unchanged',
  'change_id',
  'xid',
  'actor',
  'c1',
  'select',
  'tg_op',
  'found',
  'Mixed Case',
];

const { postgres, client } = await openDatabase();

before(async () => {
  await actAsOwner(client, TENANT, OWNER);
});

async function rows(table: string): Promise<string> {
  return (
    (await client.query<{ all: string }>(`select string_agg(r::text, ' ' order by id) as all from ${table} r`)).rows[0]
      ?.all ?? ''
  );
}

for (const name of NAMES) {
  test(`a column named ${name} is written, gone back to and counted like any other`, async () => {
    const column = client.escapeIdentifier(name);
    await client.query(`drop table if exists public.odd; create table public.odd (id int primary key, tenant_id uuid not null, ${column} text default 'costs $2');
      select m23.protect_table('public.odd'); insert into public.odd (id, tenant_id) select n, '${TENANT}' from generate_series(1, 3) n`);
    const [first, at] = [await rows('public.odd'), await databaseTime(client)];
    await client.query(`update public.odd set ${column} = 'one' where id = 1`);
    const later = await databaseTime(client);
    await client.query(
      `update public.odd set ${column} = 'all'; delete from public.odd where id = 2; update public.odd set id = 9 where id = 3`,
    );
    const {
      rows: [between],
    } = await client.query<{ stats: Record<string, unknown> }>('select calculate_pitr_stats($1, $2, $3) as stats', [
      TENANT,
      at,
      later,
    ]);
    assert.deepEqual([between?.stats['update_count'], between?.stats['total_operations']], [1, 1]);
    await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: ['odd'] });
    assert.equal(await rows('public.odd'), first);
  });
}

test('a default that looks like a parameter is no part of a query about two moments', async () => {
  await client.query(`create table public.tags (id int primary key, tenant_id uuid not null, v text); select m23.protect_table('public.tags');
    insert into public.tags select n, '${TENANT}', 'a' from generate_series(1, 3) n`);
  const first = await databaseTime(client);
  await client.query(`update public.tags set v = 'b' where id = 1`);
  const second = await databaseTime(client);
  await client.query(
    `update public.tags set v = 'c'; alter table public.tags add column label text not null default 'costs $2'`,
  );
  const {
    rows: [between],
  } = await client.query<{ stats: Record<string, unknown> }>('select calculate_pitr_stats($1, $2, $3) as stats', [
    TENANT,
    first,
    second,
  ]);
  assert.equal(between?.stats['update_count'], 1);
});

test("the owner of a protected table, who is no superuser, gets no rights from a column's name", async () => {
  await client.query(`create role plain_owner login; create table public.owned (id int primary key, tenant_id uuid not null); alter table public.owned owner to plain_owner;
    select m23.protect_table('public.owned'); grant usage, create on schema public to plain_owner; set role plain_owner`);
  const hostile = `$body$; begin execute 'alter role plain_owner superuser'; return null; end $body$ --`;
  await client.query(`alter table public.owned add column ${client.escapeIdentifier(hostile.slice(0, 63))} text`);
  await client.query(
    `insert into public.owned values (1, '${TENANT}', 'x'); update public.owned set id = 2; delete from public.owned; reset role`,
  );
  assert.equal(
    (await client.query<{ rolsuper: boolean }>(`select rolsuper from pg_roles where rolname = 'plain_owner'`)).rows[0]
      ?.rolsuper,
    false,
  );
});

for (const followed of [true, false]) {
  test(`an extension whose type is a key is moved to another schema: writes go on${followed ? '' : ', where no event trigger tells of it'}`, async () => {
    await client.query(`alter event trigger m23_follow_ddl ${followed ? 'enable always' : 'disable'};
      drop extension if exists citext cascade; create extension citext schema public; create schema if not exists elsewhere;
      drop table if exists public.moved; create table public.moved (id public.citext primary key, tenant_id uuid not null, v text);
      select m23.protect_table('public.moved'); insert into public.moved values ('Anna', '${TENANT}', 'x'), ('Bert', '${TENANT}', 'y')`);
    const [first, at] = [await rows('public.moved'), await databaseTime(client)];
    await client.query(`alter extension citext set schema elsewhere`);
    const writer = await postgres.connect();
    try {
      await writer.query(`update public.moved set v = 'lost' where v = 'x'; update public.moved set id = 'Cara' where v = 'lost'; delete from public.moved where v = 'y';
        insert into public.moved values ('Dora', '${TENANT}', 'z')`);
    } finally {
      await writer.end();
    }
    await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: ['moved'] });
    assert.equal(await rows('public.moved'), first);
    await client.query('alter event trigger m23_follow_ddl enable always');
  });
}
