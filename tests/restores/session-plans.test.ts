// Plans are made again and again in the sessions that PostgREST keeps open: each must be as the first.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { actAsOwner, openDatabase, recover } from '../fixtures/database.ts';
import { databaseTime } from '../fixtures/time.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

const { client } = await openDatabase();

before(async () => {
  await actAsOwner(client, TENANT, OWNER);
});

/** A protected table of three rows in `public`. */
async function table(name: string): Promise<void> {
  await client.query(`create table public.${name} (id int primary key, tenant_id uuid not null, v text); select m23.protect_table('public.${name}');
    insert into public.${name} select n, '${TENANT}', 'a' from generate_series(1, 3) n`);
}

async function one<T>(sql: string, values: unknown[] = []): Promise<T> {
  return (await client.query<{ value: T }>(`select (${sql}) as value`, values)).rows[0]?.value as T;
}

async function rows(name: string): Promise<string> {
  return await one<string>(`select string_agg(r::text, ' ' order by id) from public.${name} r`);
}

test('a plan leaves no table in its session', async () => {
  await table('planned');
  const [before, at] = [await rows('planned'), await databaseTime(client)];
  await client.query(`update public.planned set v = 'b'; delete from public.planned where id = 1`);
  await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: ['planned'] });
  assert.equal(await rows('planned'), before);
  assert.equal(
    await one<string>(`select count(*) from pg_class where relname like 'm23\\_%' and relpersistence = 't'`),
    '0',
  );
});

test('several plans are made in one transaction, and leave nothing', async () => {
  await table('counted');
  const at = await databaseTime(client);
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
  const at = await databaseTime(client);
  await client.query(`update public.failing set v = 'b'; create function public.refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
    create trigger refuse before update on public.failing for each row execute function public.refuse(); alter table public.failing enable always trigger refuse`);
  const { error } = await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: ['failing'] });
  assert.equal(error?.code, 'INTERNAL');
  assert.equal(await one<string>('select count(*) from m23.plans'), '0');
});
