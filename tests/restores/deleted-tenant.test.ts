// A tenant whose own row and members are deleted: nobody can sign in for it any more, and the service brings it back.
import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';

import { openDatabase, preview, recover, rowTexts } from '../fixtures/database.ts';

const ACME = 'acme';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

const { client, now } = await openDatabase();

const TABLES = ['orgs', 'members', 'tasks', 'comments'];

/** Every row of the application's, a table each. */
async function world(): Promise<Record<string, string[]>> {
  const entries: [string, string[]][] = [];
  for (const table of TABLES) entries.push([table, await rowTexts(client, `table app.${table}`)]);
  return Object.fromEntries(entries);
}

/** Everything, with the members, that are named. */
const everything = { tables: TABLES.map((table) => `app.${table}`) };

async function membershipsOf(user: string): Promise<string[]> {
  return await rowTexts(client, 'select * from m23.memberships_of($1)', [user]);
}

before(async () => {
  await client.query('create schema app');
});

beforeEach(async () => {
  await client.query(`select m23.unprotect_table(relid) from m23.protected_tables;
    drop schema app cascade; create schema app;
    create table app.orgs (id text primary key, name text);
    create table app.members (user_id uuid, org_id text references app.orgs on delete cascade, role text,
                              primary key (user_id, org_id));
    create table app.tasks (id int primary key, org_id text not null references app.orgs on delete cascade);
    create table app.comments (id int primary key, org_id text not null, task_id int references app.tasks on delete cascade);
    create or replace function m23.memberships_of(p_user uuid) returns table (tenant_id text, role text)
    language sql stable security definer rows 3 set search_path = '' set row_security = off as
    $$ select m.org_id, m.role from app.members m where m.user_id = p_user $$;
    insert into app.orgs values ('${ACME}', 'Acme'), ('birch', 'Birch');
    insert into app.members values ('${OWNER}', '${ACME}', 'owner'), (gen_random_uuid(), '${ACME}', 'viewer'),
                                   (gen_random_uuid(), 'birch', 'owner');
    insert into app.tasks values (1, '${ACME}'), (2, 'birch');
    insert into app.comments values (1, '${ACME}', 1), (2, 'birch', 2);
    select m23.protect_table('app.orgs', 'id');
    select m23.protect_table(('app.' || t)::regclass, 'org_id') from unnest('{members,tasks,comments}'::text[]) t;
    select m23.set_access_tables('{app.members}'), set_config('request.jwt.claims', '{"role": "service_role"}', false)`);
});

/** What the service is told of a tenant that it names. */
async function authorized(): Promise<{ tenant_id: string | null; role: string | null; allowed: boolean }> {
  const { rows } = await client.query<{ told: { tenant_id: string | null; role: string | null; allowed: boolean } }>(
    `select public.m23_authorize('pitr-restore', p_tenant_id => $1) as told`,
    [ACME],
  );
  return rows[0]!.told;
}

test('a tenant whose row is deleted, and all that hangs on it, comes back with its members, who are named', async () => {
  const [whole, targetTimestamp] = [await world(), await now()];
  await client.query(`delete from app.orgs where id = '${ACME}'`);
  assert.deepEqual([await membershipsOf(OWNER), (await world())['comments']], [[], ['(2,birch,2)']]);
  const { tenant_id, role, allowed } = await authorized();
  assert.deepEqual({ tenant_id, role, allowed }, { tenant_id: ACME, role: 'owner', allowed: true });
  const seen = await preview(client, ACME, null, { targetTimestamp, ...everything });
  assert.equal(seen.wouldFail, undefined);
  assert.deepEqual(seen.changeCounts, { 'app.orgs': 1, 'app.members': 2, 'app.tasks': 1, 'app.comments': 1 });
  const done = await recover(client, ACME, null, { targetTimestamp, ...everything, planHash: seen.planHash });
  assert.equal(done.error, undefined);
  assert.deepEqual(await world(), whole);
  assert.deepEqual(await membershipsOf(OWNER), [`(${ACME},owner)`]);
});

test('it comes back without members where these are not named', async () => {
  const [whole, targetTimestamp] = [await world(), await now()];
  await client.query(`delete from app.orgs where id = '${ACME}'`);
  const done = await recover(client, ACME, null, { targetTimestamp });
  assert.match(done.warnings.join(), /app\.members was left out, because it says who has access/);
  assert.deepEqual({ ...(await world()), members: [] }, { ...whole, members: [] });
  assert.deepEqual(await membershipsOf(OWNER), []);
});

test('a row of an unprotected table of tenants has to be put back first: the refusal says so', async () => {
  await client.query(`select m23.unprotect_table('app.orgs')`);
  const [whole, targetTimestamp] = [await world(), await now()];
  await client.query(`delete from app.orgs where id = '${ACME}'`);
  assert.equal((await authorized()).tenant_id, ACME, 'the log knows it');
  const body = { targetTimestamp, tables: everything.tables.filter((name) => name !== 'app.orgs') };
  const refused = await recover(client, ACME, null, body);
  assert.equal(refused.error?.code, 'CONFLICT');
  assert.match(refused.error.details.join(), /"app\.orgs" is not protected: put them back first/);
  await client.query(`insert into app.orgs values ('${ACME}', 'Acme')`);
  assert.equal((await recover(client, ACME, null, body)).error, undefined);
  assert.deepEqual(await world(), whole);
});

describe('tenants are listed', () => {
  test('by their rows, and by the log when these are deleted', async () => {
    const listed = (): Promise<string[]> =>
      rowTexts(client, `select * from m23.tenants() where tenant_id in ('${ACME}', 'birch')`);
    assert.deepEqual(await listed(), [`(${ACME},Acme)`, '(birch,Birch)']);
    await client.query(`delete from app.orgs where id = '${ACME}'`);
    for (const _ of TABLES) await client.query('select m23.see_tenants()');
    assert.deepEqual(await listed(), [`(${ACME},)`, '(birch,Birch)']);
  });
});
