// Tables that say who has access are left as they are by a restore that does not name them: nobody comes back, and nobody is
// locked out, without being asked. The dry run says so before, a warning after; backups, snapshots and rollbacks have them.
import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';

import { openDatabase, preview, recover, rowTexts } from '../fixtures/database.ts';

const TENANT = 'acme';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';
const LEFT_OUT = 'app.members was left out, because it says who has access: name it in tables to restore it';
const NAMED = 'app.members says who has access: its rows that come back give access, and those that go take it';

const { client, now } = await openDatabase();

const members = (): Promise<string[]> => rowTexts(client, 'select name from app.members');
const notes = (): Promise<string[]> => rowTexts(client, 'select id from app.notes');

async function asOwner<T>(work: () => Promise<T>): Promise<T> {
  await client.query(`select set_config('request.jwt.claims', '{"sub": "${OWNER}", "role": "authenticated"}', false)`);
  const done = await work();
  await client.query(`select set_config('request.jwt.claims', '', false)`);
  return done;
}

before(async () => {
  await client.query(`create schema app; insert into public.tenant_members values ('${TENANT}', '${OWNER}', 'owner')`);
});

beforeEach(async () => {
  await client.query(`select m23.unprotect_table(relid) from m23.protected_tables;
    drop table if exists app.members, app.notes;
    create table app.members (name text primary key, org text not null, role text);
    create table app.notes (id int primary key, org text not null);
    insert into app.members values ('ann', '${TENANT}', 'owner'), ('ben', '${TENANT}', 'viewer');
    insert into app.notes values (1, '${TENANT}'), (2, '${TENANT}');
    select m23.protect_table('app.members', 'org'), m23.protect_table('app.notes', 'org'), m23.set_access_tables('{app.members}')`);
});

/** Somebody was dismissed, somebody came, and a note was lost. */
const damage = `delete from app.members where name = 'ben'; insert into app.members values ('cat', '${TENANT}', 'viewer');
  delete from app.notes where id = 2`;

describe('a restore', () => {
  test('that names no table leaves them as they are, and says so before and after', async () => {
    const targetTimestamp = await now();
    await client.query(damage);
    const seen = await asOwner(() => preview(client, TENANT, OWNER, { targetTimestamp }));
    assert.deepEqual(seen.warnings, [LEFT_OUT]);
    assert.deepEqual(Object.keys(seen.previewChanges), ['app.notes']);
    const done = await asOwner(() => recover(client, TENANT, OWNER, { targetTimestamp, planHash: seen.planHash }));
    assert.deepEqual(done.warnings, [LEFT_OUT]);
    assert.deepEqual(
      [await members(), await notes()],
      [
        ['(ann)', '(cat)'],
        ['(1)', '(2)'],
      ],
    );
  });

  test('says nothing of those that have not changed', async () => {
    const targetTimestamp = await now();
    await client.query('delete from app.notes where id = 2');
    assert.deepEqual((await asOwner(() => recover(client, TENANT, OWNER, { targetTimestamp }))).warnings, []);
  });

  test('that names one restores it, and says what that means', async () => {
    const targetTimestamp = await now();
    await client.query(damage);
    const body = { targetTimestamp, tables: ['app.members'] };
    const seen = await asOwner(() => preview(client, TENANT, OWNER, body));
    assert.deepEqual(seen.warnings, [NAMED]);
    assert.equal(seen.previewChanges['app.members']?.length, 2);
    assert.deepEqual((await asOwner(() => recover(client, TENANT, OWNER, body))).warnings, [NAMED]);
    assert.deepEqual([await members(), await notes()], [['(ann)', '(ben)'], ['(1)']]);
  });

  test('of related tables does not take them along', async () => {
    await client.query('alter table app.notes add author text references app.members');
    await client.query(`update app.notes set author = 'ann'`);
    const targetTimestamp = await now();
    await client.query(
      `insert into app.members values ('cat', '${TENANT}', 'viewer'); update app.notes set author = 'cat'`,
    );
    const body = { targetTimestamp, tables: ['app.notes'], includeRelated: true };
    await asOwner(() => recover(client, TENANT, OWNER, body));
    assert.deepEqual(await members(), ['(ann)', '(ben)', '(cat)']);
    assert.deepEqual(await rowTexts(client, 'select distinct author from app.notes'), ['(ann)']);
  });
});

test('a rollback touches what its restore touched, and a manual snapshot has them', async () => {
  const {
    rows: [snapshot],
  } = await asOwner(() =>
    client.query<{ id: string }>(`select public.create_pitr_snapshot($1, 's', null, $2) as id`, [TENANT, OWNER]),
  );
  const targetTimestamp = await now();
  await client.query(damage);
  const done = await asOwner(() => recover(client, TENANT, OWNER, { targetTimestamp }));
  await asOwner(() => recover(client, TENANT, OWNER, { snapshotId: done.snapshot_id }));
  assert.deepEqual([await members(), await notes()], [['(ann)', '(cat)'], ['(1)']]);
  await asOwner(() => recover(client, TENANT, OWNER, { snapshotId: snapshot!.id }));
  assert.deepEqual(
    [await members(), await notes()],
    [
      ['(ann)', '(ben)'],
      ['(1)', '(2)'],
    ],
  );
});

test('calculate_pitr_stats equals the dry run', async () => {
  const targetTimestamp = await now();
  await client.query(damage);
  const seen = await asOwner(() => preview(client, TENANT, OWNER, { targetTimestamp }));
  const {
    rows: [stats],
  } = await asOwner(() =>
    client.query<{ stats: { total_operations: number } }>('select public.calculate_pitr_stats($1, $2) as stats', [
      TENANT,
      targetTimestamp,
    ]),
  );
  assert.equal(stats!.stats.total_operations, seen.stats.totalOperations);
});

describe('the declaration', () => {
  test('replaces the one before, and is for protected tables', async () => {
    await client.query(`select m23.set_access_tables('{app.notes}'), m23.set_access_tables('{}')`);
    assert.deepEqual((await client.query('select * from m23.access_tables')).rows, []);
    await client.query('create table app.plain (id int)');
    await assert.rejects(client.query(`select m23.set_access_tables('{app.plain}')`), /app\.plain is not protected/);
    await client.query('drop table app.plain');
  });

  test('is missed by the doctor where a table looks as if it said who has access', async () => {
    const missed = async (): Promise<unknown[]> =>
      (await client.query(`select topic from m23.doctor() where finding like 'looks as if it said who has access%'`))
        .rows;
    assert.deepEqual(await missed(), []);
    await client.query(`select m23.set_access_tables('{}'); alter table app.members add "userId" text`);
    assert.deepEqual(await missed(), [{ topic: 'app.members' }]);
    await client.query(`select m23.set_access_tables('{app.members}')`);
    assert.deepEqual(await missed(), []);
  });
});
