// Tables that say who has access are left as they are by a restore that does not name them: nobody comes back, and nobody is
// locked out, without being asked. The dry run says so before, a warning after; backups, snapshots and rollbacks have them.
import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';

import { openDatabase, preview, recover, rowTexts } from '../fixtures/database.ts';

const TENANT = 'acme';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';
const LEFT_OUT = 'app.members was left out, because it says who has access: name it in tables to restore it';
const NAMED = 'app.members says who has access: its rows that come back give access, and those that go take it';
const CHANGES = 'app.members: access changes: ben: none → viewer, cat: viewer → none';

const { client, now } = await openDatabase();

const members = (): Promise<string[]> => rowTexts(client, 'select name from app.members');
const notes = (): Promise<string[]> => rowTexts(client, 'select id from app.notes');

async function asOwner<T>(work: () => Promise<T>): Promise<T> {
  await client.query(`select set_config('request.jwt.claims', '{"sub": "${OWNER}", "role": "authenticated"}', false)`);
  const done = await work();
  await client.query(`select set_config('request.jwt.claims', '', false)`);
  return done;
}

async function asService<T>(work: () => Promise<T>): Promise<T> {
  await client.query(`select set_config('request.jwt.claims', '{"role": "service_role"}', false)`);
  const done = await work();
  await client.query(`select set_config('request.jwt.claims', '', false)`);
  return done;
}

before(async () => {
  await client.query(`create schema app; insert into public.tenant_members values ('${TENANT}', '${OWNER}', 'owner')`);
});

beforeEach(async () => {
  await client.query(`select m23.unprotect_table(relid) from m23.protected_tables order by id desc;
    drop table if exists app.members, app.notes, app.seats, app.accounts, app.grants;
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
    assert.deepEqual(seen.warnings, [NAMED, CHANGES]);
    assert.equal(seen.previewChanges['app.members']?.length, 2);
    assert.deepEqual((await asOwner(() => recover(client, TENANT, OWNER, body))).warnings, [NAMED, CHANGES]);
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

describe('whose access changes is said', () => {
  test('by user and role, before and after, where the table has them', async () => {
    await client.query(`alter table app.members add user_id uuid;
      update app.members set user_id = md5(name)::uuid`);
    const body = { targetTimestamp: await now(), tables: ['app.members'] };
    await client.query(`update app.members set role = 'owner' where name = 'ben'; update app.members set name = 'eve'
      where name = 'ann'; alter table app.members add seen int; update app.members set seen = 1`);
    const { warnings } = await asOwner(() => preview(client, TENANT, OWNER, body));
    const [ben] = await rowTexts(client, `select md5('ben')::uuid`);
    assert.ok(warnings.includes(`app.members: access changes: ${ben!.slice(1, -1)}: owner → viewer`) === false);
    assert.match(warnings.join('\n'), new RegExp(`access changes: .*${ben!.slice(1, -1)}: owner → viewer`));
  });

  test('to the twentieth, and how many more', async () => {
    await client.query(`insert into app.members select 'm' || n, '${TENANT}' from generate_series(10, 34) n`);
    const body = { targetTimestamp: await now(), tables: ['app.members'] };
    await client.query(`delete from app.members where name like 'm%'`);
    const { warnings } = await asOwner(() => preview(client, TENANT, OWNER, body));
    assert.match(warnings[1]!, /^app\.members: access changes: m10: none → access, .*, m29: none → access and 5 more$/);
  });
});

/** Memberships of the application's own that nobody has declared, with users. */
const staff = `select m23.set_access_tables('{}'); alter table app.members add user_id uuid;
  update app.members set user_id = case name when 'ann' then '${OWNER}' else md5(name) end::uuid`;

describe('a restore that does not name them, and takes them along because nobody has declared them,', () => {
  const KEPT = (whose: string): string =>
    `app.members: 1 row(s) were left alone: they are ${whose} access, which a restore leaves as it is unless tables names the table`;

  test("leaves the caller's own access as it is, and says so before and after; named, it takes it", async () => {
    await client.query(`${staff}; delete from app.members where name = 'ann'`);
    await client.query(`insert into app.members values ('dan', '${TENANT}', 'owner', md5('dan')::uuid)`);
    const targetTimestamp = await now();
    await client.query(`insert into app.members values ('ann', '${TENANT}', 'admin', '${OWNER}');
      update app.members set role = 'admin' where name = 'ben'; delete from app.notes where id = 2`);
    const seen = await asOwner(() => preview(client, TENANT, OWNER, { targetTimestamp }));
    assert.equal(seen.warnings.filter((warning) => warning === KEPT('your own')).length, 1, seen.warnings.join());
    assert.deepEqual(seen.changeCounts, { 'app.members': 1, 'app.notes': 1 });
    const { rows: page } = await asOwner(() =>
      client.query<{ page: unknown[] }>(`select public.get_pitr_preview_page($1, 'app.members') as page`, [
        seen.previewId,
      ]),
    );
    assert.equal(page[0]!.page.length, 1);
    const done = await asOwner(() => recover(client, TENANT, OWNER, { targetTimestamp, planHash: seen.planHash }));
    assert.deepEqual([done.error, done.warnings], [undefined, seen.warnings]);
    assert.deepEqual(await rowTexts(client, 'select name, role from app.members'), [
      '(ann,admin)',
      '(ben,viewer)',
      '(dan,owner)',
    ]);
    assert.deepEqual(await notes(), ['(1)', '(2)']);
    await asOwner(() => recover(client, TENANT, OWNER, { targetTimestamp, tables: ['app.members'] }));
    assert.deepEqual(await members(), ['(ben)', '(dan)']);
  });

  test("leaves the last owner's access as it is, also for the service", async () => {
    await client.query(`${staff}; update app.members set role = 'viewer'`);
    const targetTimestamp = await now();
    await client.query(`insert into app.members values ('cat', '${TENANT}', 'owner', md5('cat')::uuid)`);
    const done = await asService(() => recover(client, TENANT, null, { targetTimestamp }));
    assert.ok(done.warnings.includes(KEPT("the last owner's")), done.warnings.join());
    assert.deepEqual(await members(), ['(ann)', '(ben)', '(cat)']);
    await client.query(`update app.members set role = 'owner' where name = 'ben'`);
    const later = await now();
    await client.query(`update app.members set role = 'viewer' where name = 'ben'`);
    await asService(() => recover(client, TENANT, null, { targetTimestamp: later }));
    assert.deepEqual(await rowTexts(client, 'select name, role from app.members'), [
      '(ann,viewer)',
      '(ben,owner)',
      '(cat,owner)',
    ]);
    await asService(() => recover(client, TENANT, null, { targetTimestamp, tables: ['app.members'] }));
    assert.deepEqual(await members(), ['(ann)', '(ben)']);
  });

  test('has them in a rollback of a restore wholly, and in one to a snapshot of somebody but not the own access', async () => {
    await client.query(
      `${staff}; delete from app.members where name = 'ann'; insert into app.members values ('dan', '${TENANT}', 'owner')`,
    );
    const snapshot = await asOwner(() =>
      client.query<{ id: string }>(`select public.create_pitr_snapshot($1, 's', null, $2) as id`, [TENANT, OWNER]),
    );
    const empty = await now();
    await client.query(`insert into app.members values ('ann', '${TENANT}', 'owner', '${OWNER}')`);
    await asOwner(() => recover(client, TENANT, OWNER, { snapshotId: snapshot.rows[0]!.id }));
    assert.deepEqual(await members(), ['(ann)', '(ben)', '(dan)']);
    const there = await now();
    const taken = await asService(() =>
      recover(client, TENANT, null, { targetTimestamp: empty, tables: ['app.members'] }),
    );
    assert.deepEqual(await members(), ['(ben)', '(dan)']);
    const given = await asService(() =>
      recover(client, TENANT, null, { targetTimestamp: there, tables: ['app.members'] }),
    );
    assert.deepEqual(await members(), ['(ann)', '(ben)', '(dan)']);
    await asOwner(() => recover(client, TENANT, OWNER, { snapshotId: given.snapshot_id }));
    assert.deepEqual(await members(), ['(ben)', '(dan)']);
    assert.ok(taken.snapshot_id);
  });
});

test('memberships that find their tenant through a parent are told of and kept alike', async () => {
  await client.query(`create table app.accounts (id int primary key, org text not null); insert into app.accounts values (1, '${TENANT}');
    create table app.seats (account_id int references app.accounts, user_id uuid, role text, primary key (account_id, user_id));
    insert into app.seats values (1, md5('x')::uuid, 'owner');
    select m23.protect_table('app.accounts', 'org'); select m23.protect_table('app.seats', via => 'account_id')`);
  const targetTimestamp = await now();
  await client.query(`update app.seats set role = 'viewer'; insert into app.seats values (1, '${OWNER}', 'owner')`);
  const done = await asOwner(() => recover(client, TENANT, OWNER, { targetTimestamp }));
  assert.equal(done.error, undefined);
  assert.deepEqual(await rowTexts(client, 'select role from app.seats'), ['(owner)', '(owner)']);
  const [user] = await rowTexts(client, `select md5('x')::uuid`);
  assert.deepEqual(done.warnings, [
    'app.seats: 1 row(s) were left alone: they are your own access, which a restore leaves as it is unless tables names the table',
    `app.seats: access changes: ${user!.slice(1, -1)}: viewer → owner`,
  ]);
  await asService(() => recover(client, TENANT, null, { targetTimestamp, tables: ['app.seats'] }));
  assert.deepEqual(await rowTexts(client, 'select role from app.seats'), ['(owner)']);
});

test('a restore that takes the own access by rows which do not say whose they are is refused, unless it names them', async () => {
  const { rows } = await client.query<{ body: string }>(
    `select pg_get_functiondef('m23.memberships_of(uuid)'::regprocedure) as body`,
  );
  await client.query(`create table app.grants (k int primary key, org text not null, v jsonb);
    select m23.protect_table('app.grants', 'org'); delete from public.tenant_members;
    create or replace function m23.memberships_of(p_user uuid) returns table (tenant_id text, role text)
    language sql stable security definer rows 3 set search_path = '' set row_security = off as
    $$ select g.org, 'owner' from app.grants g where g.v ->> 'u' = p_user::text $$`);
  try {
    const targetTimestamp = await now();
    await client.query(`insert into app.grants values (1, '${TENANT}', '{"u": "${OWNER}"}'); delete from app.notes`);
    const seen = await asOwner(() => preview(client, TENANT, OWNER, { targetTimestamp }));
    assert.deepEqual([(await rowTexts(client, 'table app.grants')).length, await notes()], [1, []]);
    const { error } = await asOwner(() => recover(client, TENANT, OWNER, { targetTimestamp }));
    assert.equal(error?.code, 'CONFLICT');
    assert.deepEqual(seen.wouldFail?.code, 'CONFLICT');
    assert.deepEqual(seen.wouldFail?.details, error.details);
    assert.match(
      error.details.join(),
      /your access hangs on rows of one of these, .*: app\.grants, app\.notes; name it/,
    );
    assert.deepEqual([(await rowTexts(client, 'table app.grants')).length, await notes()], [1, []]);
    const tables = ['app.grants', 'app.notes'];
    assert.equal((await asOwner(() => recover(client, TENANT, OWNER, { targetTimestamp, tables }))).error, undefined);
    assert.deepEqual([await rowTexts(client, 'table app.grants'), await notes()], [[], ['(1)', '(2)']]);
  } finally {
    await client.query(`${rows[0]!.body}; insert into public.tenant_members values ('${TENANT}', '${OWNER}', 'owner')`);
  }
});

test("M23's own memberships say who has access, once they are protected", async () => {
  await client.query(`select m23.protect_table('public.tenant_members')`);
  const targetTimestamp = await now();
  const user = 'bbbbbbbb-0000-4000-8000-000000000001';
  await client.query(
    `insert into public.tenant_members values ('${TENANT}', '${user}', 'viewer'); delete from app.notes`,
  );
  const out = 'tenant_members was left out, because it says who has access: name it in tables to restore it';
  const done = await asOwner(() => recover(client, TENANT, OWNER, { targetTimestamp }));
  assert.deepEqual([done.warnings, await notes()], [[out], ['(1)', '(2)']]);
  assert.equal((await rowTexts(client, 'table public.tenant_members')).length, 2);
  const named = await asOwner(() => recover(client, TENANT, OWNER, { targetTimestamp, tables: ['tenant_members'] }));
  assert.equal(named.warnings[1], `tenant_members: access changes: ${user}: viewer → none`);
  assert.equal((await rowTexts(client, 'table public.tenant_members')).length, 1);
});

describe('the declaration', () => {
  test('replaces the one before, and is for protected tables', async () => {
    await client.query(`select m23.set_access_tables('{app.notes}'), m23.set_access_tables('{}')`);
    assert.deepEqual((await client.query('select * from m23.access_tables')).rows, []);
    await client.query('create table app.plain (id int)');
    await assert.rejects(client.query(`select m23.set_access_tables('{app.plain}')`), /app\.plain is not protected/);
    await client.query('drop table app.plain');
  });

  test('is missed by doctor and plan where a table looks as if it said who has access', async () => {
    const missed = async (): Promise<string[]> =>
      await rowTexts(
        client,
        `select topic from m23.doctor() where finding like 'looks as if it said who has access%'
         union all select table_name from m23.plan_protection() where advice like 'looks as if it said who has access%set_access_tables%'`,
      );
    assert.deepEqual(await missed(), []);
    await client.query(`select m23.set_access_tables('{}'); alter table app.members add "userId" text`);
    assert.deepEqual(await missed(), ['(app.members)', '(app.members)']);
    await client.query(`alter table app.members rename to staff`);
    assert.deepEqual(await missed(), ['(app.staff)', '(app.staff)'], 'by a user and a role');
    await client.query(`alter table app.staff drop role; alter table app.staff rename to "OrganizationMember"`);
    assert.deepEqual(await missed(), ['(app.OrganizationMember)', '(app.OrganizationMember)'], 'by its name');
    await client.query(`alter table app."OrganizationMember" rename to staff`);
    assert.deepEqual(await missed(), []);
    await client.query(`alter table app.staff rename to members; select m23.set_access_tables('{app.members}')`);
    assert.deepEqual(await missed(), []);
  });
});
