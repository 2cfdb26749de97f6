// A table without a primary key is told apart by a unique index over columns that are NOT NULL, as the join tables of many
// applications have; where that is lost, its history ends, and nobody is left in the dark about it.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { openDatabase, recover, rowTexts } from '../fixtures/database.ts';

const TENANT = 'acme';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

const { client, now } = await openDatabase();

const rows = (): Promise<string[]> => rowTexts(client, 'select * from app.links');
const fault = async (): Promise<string | null> => {
  const {
    rows: [found],
  } = await client.query<{ fault: string | null }>(
    `select m23.capture_fault(t) as fault from m23.protected_tables t where t.relid = 'app.links'::regclass`,
  );
  return found!.fault;
};

async function restore(targetTimestamp: string): ReturnType<typeof recover> {
  await client.query(`select set_config('request.jwt.claims', '{"sub": "${OWNER}", "role": "authenticated"}', false)`);
  const done = await recover(client, TENANT, OWNER, { targetTimestamp });
  await client.query(`select set_config('request.jwt.claims', '', false)`);
  return done;
}

async function links(keys: string): Promise<void> {
  await client.query(`drop table if exists app.links;
    create table app.links ("A" text not null, "B" int not null, org text not null, note text); ${keys};
    insert into app.links select 'a' || n, n, case when n < 6 then '${TENANT}' else 'other' end, 'note' from generate_series(1, 10) n`);
}

before(async () => {
  await client.query('create schema app');
  await client.query(`insert into public.tenant_members values ($1, $2, 'owner')`, [TENANT, OWNER]);
});

test('rows come back by it, keys that were changed, too', async () => {
  await links('create unique index "links_AB" on app.links ("A", "B")');
  await client.query(`select m23.protect_table('app.links', 'org')`);
  const [wanted, at] = [await rows(), await now()];
  await client.query(`delete from app.links where "B" in (1, 2); update app.links set "A" = 'x' where "B" = 3;
    update app.links set note = null where "B" = 4; insert into app.links values ('new', 1, '${TENANT}', null)`);
  assert.equal((await restore(at)).error, undefined);
  assert.deepEqual(await rows(), wanted);
});

test('where there is none, the refusal says what to do', async () => {
  const refused = async (keys: string): Promise<void> => {
    await links(keys);
    await assert.rejects(
      client.query(`select m23.protect_table('app.links', 'org')`),
      (error: { message: string; hint?: string }) => {
        assert.match(error.message, /no primary key, and no unique index over columns that are NOT NULL/);
        assert.match(String(error.hint), /create a unique index/);
        return true;
      },
    );
  };
  await refused('');
  await refused('create unique index on app.links ("A", note)');
  await refused(`create unique index on app.links ("A") where note is not null`);
  await refused('create unique index on app.links (lower("A"), "B")');
  await refused('alter table app.links add unique ("A") deferrable initially deferred');
});

test('of several the one of the replica identity is taken, then the shortest', async () => {
  const chosen = async (): Promise<string> => {
    const {
      rows: [found],
    } = await client.query<{ name: string }>(`select m23.key_index('app.links'::regclass)::regclass::text as name`);
    return found!.name;
  };
  await links('create unique index long on app.links ("A", "B"); create unique index short on app.links ("B")');
  assert.equal(await chosen(), 'app.short');
  await client
    .query('alter table app.links replica identity using index app.long')
    .catch(async () => client.query('alter table app.links replica identity using index long'));
  assert.equal(await chosen(), 'app.long');
});

for (const [how, change, back] of [
  ['the index is dropped', 'drop index app.by', 'create unique index by on app.links ("A", "B")'],
  [
    'a column of it may be null',
    'alter table app.links alter "B" drop not null',
    'alter table app.links alter "B" set not null',
  ],
] as const) {
  test(`when ${how}, the table is suspended and the gap is told; what writes goes on`, async () => {
    await links('create unique index by on app.links ("A", "B")');
    await client.query(`select m23.protect_table('app.links', 'org')`);
    const at = await now();
    await client.query(change);
    await client.query(`insert into app.links values ('later', 50, '${TENANT}', null)`);
    assert.match(String(await fault()), /no primary key, and no unique index/);
    await assert.rejects(restore(at), /no primary key, and no unique index/);
    await client.query(back);
    await client.query(`select m23.protect_table('app.links', 'org')`);
    assert.equal(await fault(), null);
    await assert.rejects(restore(at), /links/);
  });
}

test('a primary key over the same columns is no other key', async () => {
  await links('create unique index by on app.links ("A", "B")');
  await client.query(`select m23.protect_table('app.links', 'org')`);
  const [wanted, at] = [await rows(), await now()];
  await client.query(
    'delete from app.links where "B" = 1; alter table app.links add primary key using index by; delete from app.links where "B" = 2',
  );
  assert.equal((await restore(at)).error, undefined);
  assert.deepEqual(await rows(), wanted);
});
