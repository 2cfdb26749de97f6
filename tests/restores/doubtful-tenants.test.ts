// Rows of which it is doubtful whose they are: rows of two tenants point at one, or two ways lead to different tenants.
// The plan and the doctor tell of them with an example, and a restore changes no row that is another tenant's, too.
import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';

import { openDatabase, preview, recover, rowTexts } from '../fixtures/database.ts';
import { warningsOf } from '../fixtures/warnings.ts';

const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';
const SHARED =
  /has 1 row\(s\), such as 10, that rows of several tenants in app.orgs point at by "settings_id".*make "settings_id" unique/;

const { client, now } = await openDatabase();

const texts = (sql: string): Promise<string[]> => rowTexts(client, sql);

async function said(sql: string): Promise<string> {
  const { rows } = await client.query<{ said: string }>(sql);
  return rows.map((row) => row.said).join('\n');
}

/** What the doctor warns of about a table. */
const told = (table: string): Promise<string> =>
  said(`select concat_ws(': ', finding, advice) as said from m23.doctor()
         where topic = '${table}' and state = 'warning'`);

/** What the plan says of a table. */
const planned = (table: string): Promise<string> =>
  said(`select concat_ws(': ', belongs, advice) as said from m23.plan_protection('app.orgs')
         where table_name = '${table}'`);

before(async () => {
  const claims = { sub: OWNER, role: 'authenticated', app_metadata: { tenant_id: 'A' } };
  await client.query(`insert into public.tenant_members values ('A', $1, 'owner'), ('B', $1, 'owner')`, [OWNER]);
  await client.query(`select set_config('request.jwt.claims', $1, false)`, [JSON.stringify(claims)]);
});

beforeEach(() => client.query('drop schema if exists app cascade; create schema app'));

describe('a row that rows of two tenants point at', () => {
  beforeEach(async () => {
    await client.query(`create table app.settings (id int primary key, theme text);
      create table app.orgs (id text primary key, settings_id int references app.settings, name text);
      create table app.options (id int primary key, settings_id int references app.settings, v text);
      create index on app.options (settings_id);
      insert into app.settings values (10, 'dark'), (20, 'light');
      insert into app.orgs values ('A', 10, 'a'), ('B', 10, 'b');
      insert into app.options values (1, 10, 'x'), (2, 20, 'y')`);
    await client.query(`select m23.protect_table('app.orgs', 'id')`);
  });

  const protect = (): Promise<string[]> =>
    warningsOf(client, `select m23.protect_table('app.settings', via => '<- app.orgs (settings_id)')`);

  test('is told of by the plan, when its table is protected, and by the doctor', async () => {
    assert.match(await planned('app.settings'), /asks/);
    assert.match((await protect()).join('\n'), SHARED);
    assert.match(await planned('app.settings'), SHARED);
    assert.match(await told('app.settings'), SHARED);
    await client.query(`update app.orgs set settings_id = 20 where id = 'B'`);
    assert.doesNotMatch(await told('app.settings'), SHARED);
  });

  const refused: [what: string, sql: string, table: string][] = [
    ['when it was changed', `update app.settings set theme = 'red' where id = 10`, 'app.settings'],
    ['when a row that hangs on it was deleted', 'delete from app.options where id = 1', 'app.options'],
  ];
  for (const [what, sql, table] of refused) {
    test(`is not restored ${what}: the dry run says so, the execution is refused`, async () => {
      await protect();
      await client.query(`select m23.protect_table('app.options', via => 'settings_id')`);
      const targetTimestamp = await now();
      await client.query(sql);
      const rows = await texts('select o, s from app.options o full join app.settings s on false');
      const seen = await preview(client, 'A', OWNER, { targetTimestamp });
      assert.equal(seen.wouldFail?.code, 'CONFLICT');
      const done = await recover(client, 'A', OWNER, { targetTimestamp });
      assert.equal(done.error?.code, 'CONFLICT');
      assert.match(done.error?.details.join('\n') ?? '', new RegExp(`${table}: 1 row\\(s\\) hang on rows of several`));
      const skipped = await recover(client, 'A', OWNER, { targetTimestamp, onBlocked: 'skip' });
      assert.equal(skipped.error, undefined);
      assert.match(skipped.warnings.join('\n'), /left alone/);
      assert.deepEqual(await texts('select o, s from app.options o full join app.settings s on false'), rows);
    });
  }

  for (const [how, sql] of [
    ['by a foreign key', ''],
    ['without one', 'alter table app.orgs drop constraint orgs_settings_id_fkey'],
  ] as const) {
    test(`is not made by a restore, where another tenant points at what was its own, ${how}`, async () => {
      await protect();
      await client.query(sql);
      await client.query(`update app.orgs set settings_id = null where id = 'B'`);
      const targetTimestamp = await now();
      await client.query(`update app.orgs set settings_id = 20 where id = 'A'`);
      await client.query(`update app.orgs set settings_id = 10 where id = 'B'`);
      const done = await recover(client, 'A', OWNER, { targetTimestamp });
      assert.equal(done.error, undefined);
      assert.match(done.warnings.join('\n'), /app.orgs: 1 row\(s\) were left alone/);
      assert.deepEqual(await texts('select id, settings_id from app.orgs'), ['(A,20)', '(B,10)']);
    });
  }

  test('does not keep the rest of a row that points at it from being restored', async () => {
    await protect();
    const targetTimestamp = await now();
    await client.query(`update app.orgs set name = 'other' where id = 'A'`);
    const done = await recover(client, 'A', OWNER, { targetTimestamp });
    assert.equal(done.error, undefined);
    assert.deepEqual(await texts(`select name from app.orgs where id = 'A'`), ['(a)']);
  });
});

describe('rows that two ways lead to different tenants', () => {
  beforeEach(() =>
    client.query(`create table app.orgs (id text primary key);
      create table app.tasks (id int primary key, org_id text not null references app.orgs);
      create table app.boards (id int primary key, org_id text not null references app.orgs);
      insert into app.orgs values ('A'), ('B'); insert into app.tasks values (1, 'A'), (2, 'B');
      insert into app.boards values (1, 'A'), (2, 'B')`),
  );

  const shapes: [name: string, columns: string, rows: string, protect: string, says: RegExp][] = [
    [
      'by two paths',
      'task_id int not null references app.tasks, board_id int references app.boards',
      '(1, 1, 1), (2, 2, 2), (3, 1, 2)',
      `via => 'task_id'`,
      /has 1 row\(s\), such as 3, that belong to one tenant through "task_id" to app.tasks \(which decides\), and to another through "board_id" to app.boards/,
    ],
    [
      'by a path and a tenant column',
      'task_id int not null references app.tasks, org_id text',
      `(1, 1, 'A'), (2, 2, 'B'), (3, 1, 'B'), (4, 2, null)`,
      `via => 'task_id'`,
      /has 1 row\(s\), such as 3, that belong to one tenant through "task_id" to app.tasks \(which decides\), and to another by its column "org_id"/,
    ],
    [
      'by their tenant column and a reference',
      'task_id int references app.tasks, org_id text not null references app.orgs',
      `(1, 1, 'A'), (2, 2, 'B'), (3, 1, 'B'), (4, null, 'B')`,
      `'org_id'`,
      /has 1 row\(s\), such as 3, that belong to one tenant by its column "org_id" \(which decides\), and to another through "task_id" to app.tasks/,
    ],
  ];

  for (const [name, columns, rows, protect, says] of shapes) {
    test(`${name} are told of by the plan and the doctor`, async () => {
      await client.query(
        `create table app.things (id int primary key, ${columns}); insert into app.things values ${rows}`,
      );
      if (!name.includes('a path and')) assert.match(await planned('app.things'), says);
      await client.query(`select m23.protect_table('app.orgs', 'id'), m23.protect_table('app.tasks', 'org_id'),
        m23.protect_table('app.boards', 'org_id')`);
      await client.query(`select m23.protect_table('app.things', ${protect})`);
      assert.match(await planned('app.things'), says);
      assert.match(await told('app.things'), says);
      await client.query('delete from app.things where id = 3');
      assert.doesNotMatch(await told('app.things'), /to another/);
    });
  }

  test('are told of where the plan asks which way it is', async () => {
    await client.query(`create table app.links (id int primary key, task_id int references app.tasks,
      board_id int references app.boards); insert into app.links values (1, 1, 1), (2, 1, 2)`);
    assert.match(
      await planned('app.links'),
      /asks: it has 1 row\(s\), such as 2, that belong to one tenant through "task_id" to app.tasks, and to another through/,
    );
  });
});
