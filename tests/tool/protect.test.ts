// A whole application comes under protection: in one call, or by the command-line tool, a transaction a table.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { openDatabase } from '../fixtures/database.ts';
import { m23 } from '../fixtures/tool.ts';

const { client, postgres } = await openDatabase();

interface Row {
  table_name: string;
  belongs: string;
  statement: string | null;
  why_not: string | null;
}

interface Report {
  dry_run: boolean;
  tables: { table: string; belongs: string; outcome: string; why_not?: string }[];
}

const protectedTables = async (): Promise<string[]> =>
  (await client.query<{ name: string }>('select name from m23.protected_tables order by name')).rows.map(
    (row) => row.name,
  );

const protect = async (...args: string[]): ReturnType<typeof m23> =>
  await m23(['protect', ...args], { DATABASE_URL: postgres.url });

const outcomes = (output: string): Record<string, string> =>
  Object.fromEntries((JSON.parse(output) as Report).tables.map((table) => [table.table, table.outcome]));

before(async () => {
  await client.query(`create schema app;
    create table app.orgs (id text primary key);
    create table app.tasks (id int primary key, org_id text not null references app.orgs);
    create table app.notes (id int primary key, org_id text not null);
    create table app.comments (id int primary key, task_id int not null references app.tasks on delete cascade);
    create table app.texts (task_id int not null references app.tasks, note_id int not null references app.notes,
      primary key (task_id, note_id));
    create table app.countries (id int primary key)`);
});

test('a table whose lock is held is left, and told of; the others are protected', async () => {
  const other = await postgres.connect();
  try {
    await other.query('begin; lock table app.tasks in access exclusive mode');
    const { rows } = await client.query<Row>(`begin; select * from m23.protect_schema('app.orgs')`).then((done) => {
      return (done as unknown as { rows: Row[] }[])[1]!;
    });
    const tasks = rows.find((row) => row.table_name === 'app.tasks')!;
    assert.match(tasks.why_not!, /another transaction holds a lock/);
    assert.match(tasks.statement!, /protect_table\('app.tasks', 'org_id'\)/);
    assert.match(rows.find((row) => row.table_name === 'app.comments')!.why_not!, /app\.tasks is not protected yet/);
    assert.deepEqual(await protectedTables(), ['app.notes', 'app.orgs']);
  } finally {
    await client.query('rollback');
    await other.end();
  }
});

test('a dry run shows the plan and changes nothing', async () => {
  const ran = await protect('app.orgs', '--dry-run');
  assert.equal(ran.code, 0, ran.errors);
  assert.match(ran.output, /app\.tasks +direct +to be protected/);
  assert.match(ran.output, /app\.comments +path +to be protected +through "task_id" to app\.tasks/);
  assert.match(ran.output, /dry run, nothing was changed: 4 tables to protect, 0 protected already, 1 left to you/);
  assert.doesNotMatch(ran.output, /countries/);
  assert.deepEqual(await protectedTables(), []);
});

test('each table is protected by itself, and what is protected stays as it is', async () => {
  const first = await protect('app.orgs', '--json');
  assert.equal(first.code, 0, first.errors);
  const wanted = { 'app.texts': 'left', 'app.countries': 'left' };
  assert.deepEqual(outcomes(first.output), {
    'app.orgs': 'made',
    'app.tasks': 'made',
    'app.notes': 'made',
    'app.comments': 'made',
    ...wanted,
  });
  const { rows } = await client.query('select count(distinct xid)::int as transactions from m23.protected_tables');
  assert.deepEqual(rows, [{ transactions: 4 }]);
  const again = await protect('--json');
  assert.deepEqual(outcomes(again.output), {
    'app.orgs': 'there',
    'app.tasks': 'there',
    'app.notes': 'there',
    'app.comments': 'there',
    ...wanted,
  });
});

test('what the database refuses is told', async () => {
  const ran = await protect('app.nowhere');
  assert.equal(ran.code, 1);
  assert.match(ran.errors, /error: the database refuses: relation "app.nowhere" does not exist/);
});
