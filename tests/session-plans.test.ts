// Plans are made again and again in the sessions that PostgREST keeps open: each must be as the first.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type pg from 'pg';

import { type Database, recover, startDatabase } from './fixtures/database.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

let database: Database;
let client: pg.Client;

before(async () => {
  database = await startDatabase();
  ({ client } = database);
  await client.query(`insert into public.tenant_members values ('${TENANT}', '${OWNER}', 'owner')`);
  await client.query(`select set_config('request.jwt.claims', '{"sub": "${OWNER}", "role": "authenticated"}', false)`);
});
after(() => database.close());

/** A protected table of three rows in `public`. */
async function table(name: string, type = 'text'): Promise<void> {
  await client.query(`create table public.${name} (id int primary key, tenant_id uuid not null, v ${type}); select m23.protect_table('public.${name}');
    insert into public.${name} select n, '${TENANT}', 'a' from generate_series(1, 3) n`);
}

async function one<T>(sql: string, values: unknown[] = []): Promise<T> {
  return (await client.query<{ value: T }>(`select (${sql}) as value`, values)).rows[0]?.value as T;
}

async function now(): Promise<string> {
  return await one<string>('clock_timestamp()::text');
}

async function rows(name: string): Promise<string> {
  return await one<string>(`select string_agg(r::text, ' ' order by id) from public.${name} r`);
}

/** What a table's rows are after a change, and a restore to before it. */
async function changedAndRestored(name: string, change: string): Promise<string> {
  const at = await now();
  await client.query(change);
  await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [name] });
  return await rows(name);
}

async function nameOfPlan(name: string): Promise<string> {
  return await one<string>(`select m23.diff_name(t) from m23.protected_tables t where t.relid = 'public.${name}'::regclass`);
}

/** The session's table for the plans of a table; null where there is none. */
async function planOf(name: string): Promise<string | null> {
  return await one<string | null>('to_regclass($1)::oid::text', [await nameOfPlan(name)]);
}

describe('the table of a plan', () => {
  test('stays, empty, for the next plan of the session', async () => {
    await table('kept');
    const before = await rows('kept');
    assert.equal(await changedAndRestored('kept', `update public.kept set v = 'b'; delete from public.kept where id = 1`), before);
    const plan = await planOf('kept');
    assert.ok(plan);
    assert.equal(await one<string>(`select count(*) from ${await nameOfPlan('kept')}`), '0');
    assert.equal(await changedAndRestored('kept', `update public.kept set v = 'c' where id = 2`), before);
    assert.equal(await planOf('kept'), plan);
  });

  test('is another one when the table has another shape', async () => {
    await table('reshaped', 'varchar(3)');
    const before = await rows('reshaped');
    assert.equal(await changedAndRestored('reshaped', `update public.reshaped set v = 'b'`), before);
    const plan = await planOf('reshaped');
    await client.query(`alter table public.reshaped alter column v type varchar(20)`);
    assert.equal(await changedAndRestored('reshaped', `update public.reshaped set v = 'a longer text'`), before);
    assert.notEqual(await planOf('reshaped'), plan);
    await client.query(`alter table public.reshaped rename column v to w`);
    assert.equal(await changedAndRestored('reshaped', `update public.reshaped set w = 'b'`), before);
  });

  test('does not stay where a type of the application could not be dropped before it', async () => {
    await client.query(`create type public.mood as enum ('a', 'b'); create collation public.of_ours (provider = icu, locale = 'de')`);
    await table('moody', 'public.mood');
    await table('collated', 'text collate public.of_ours');
    await changedAndRestored('moody', `update public.moody set v = 'b'`);
    await changedAndRestored('collated', `update public.collated set v = 'b'`);
    assert.deepEqual([await planOf('moody'), await planOf('collated')], [null, null]);
    await client.query(`alter table public.moody drop column v; drop type public.mood; alter table public.collated drop column v; drop collation public.of_ours`);
  });

  test('of which somebody else is the owner is not used', async () => {
    await table('taken');
    const before = await rows('taken');
    await client.query(`create role test_mallory; create table public.seen (by name); grant all on public.seen to test_mallory`);
    await client.query(`set role test_mallory;
      create temp table ${(await nameOfPlan('taken')).replace('pg_temp.', '')} (m23_op "char", m23_place tid, id int, tenant_id uuid, v text);
      create function pg_temp.spy() returns trigger language plpgsql as $$ begin insert into public.seen values (current_user); return new; end $$;
      create trigger spy before insert on ${await nameOfPlan('taken')} for each row execute function pg_temp.spy()`);
    await client.query('reset role');
    assert.equal(await changedAndRestored('taken', `update public.taken set v = 'b'`), before);
    assert.equal(await one<string>('select count(*) from public.seen'), '0');
  });
});

test('several plans are made in one transaction, and leave nothing', async () => {
  await table('counted');
  const at = await now();
  await client.query(`update public.counted set v = 'b' where id < 3`);
  await client.query('begin');
  const count = (): Promise<{ update_count: number }> => one(`public.calculate_pitr_stats('${TENANT}', $1)`, [at]);
  assert.equal((await count()).update_count, 2);
  await client.query(`update public.counted set v = 'c' where id = 3`);
  assert.equal((await count()).update_count, 3);
  await client.query('commit');
  assert.equal((await count()).update_count, 3);
  assert.equal(await one<string>('select count(*) from m23.plans'), '0');
});

test('a plan that fails leaves nothing', async () => {
  await table('failing');
  const at = await now();
  await client.query(`update public.failing set v = 'b'; create function public.refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
    create trigger refuse before update on public.failing for each row execute function public.refuse(); alter table public.failing enable always trigger refuse`);
  const { error } = await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: ['failing'] });
  assert.equal(error?.code, 'INTERNAL');
  assert.equal(await one<string>('select count(*) from m23.plans'), '0');
});
