// Nothing is lost in silence: a restore, and its dry run, say what fell with rows that come back and does not come back itself.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { actAsOwner, openDatabase, preview, recover, rowTexts } from '../fixtures/database.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

const { postgres, client, now } = await openDatabase();

let schemas = 0;

before(async () => {
  await actAsOwner(client, TENANT, OWNER);
});

/** A protected table `tasks` of two rows in a schema of its own, with what stands beside it; gives the schema. */
async function tasks(beside: string): Promise<string> {
  schemas += 1;
  const schema = `s${schemas}`;
  await client.query(`create schema ${schema}; set search_path = ${schema}, public;
    create table tasks (id int primary key, tenant_id uuid not null);
    insert into tasks values (1, '${TENANT}'), (2, '${TENANT}'); ${beside};
    select m23.protect_table('tasks')`);
  return schema;
}

/** Does the damage, looks at its restore, and makes it: both say the same. Gives what they say, or why they refuse. */
async function said(schema: string, damage: string): Promise<string[]> {
  const body = { targetTimestamp: await now(), tables: [`${schema}.tasks`] };
  await client.query(damage);
  const seen = await preview(client, TENANT, OWNER, body).catch((error: unknown) => {
    const { details } = JSON.parse((error as Error).message) as { details: string };
    return { warnings: JSON.parse(details) as string[] };
  });
  const done = await recover(client, TENANT, OWNER, body);
  assert.deepEqual(seen.warnings, done.error?.details ?? done.warnings);
  return seen.warnings;
}

/** The warnings of a statement of the operator's. */
async function warned(sql: string): Promise<string[]> {
  const operator = await postgres.connect();
  const warnings: string[] = [];
  operator.on('notice', ({ message }) => warnings.push(String(message)));
  await operator.query(sql);
  await operator.end();
  return warnings;
}

const doctor = (topic: string): Promise<string[]> =>
  client
    .query<{ finding: string }>('select finding from m23.doctor() where topic = $1', [topic])
    .then(({ rows }) => rows.map(({ finding }) => finding));

describe('rows that come back', () => {
  test('say which rows of unprotected tables fell with them, those that hung on these too, and do not come back', async () => {
    const schema = await tasks(`
      create table comments (id int primary key, task_id int constraint on_task references tasks on delete cascade);
      create table likes (id int primary key, comment_id int constraint on_comment references comments on delete cascade);
      insert into comments values (1, 1); insert into likes values (1, 1)`);
    assert.deepEqual(await said(schema, 'delete from tasks where id = 1'), [
      `any rows of ${schema}.comments that hung on ${schema}.tasks were not protected and do not come back (ON DELETE CASCADE, "on_task")`,
      `any rows of ${schema}.likes that hung on ${schema}.comments were not protected and do not come back (ON DELETE CASCADE, "on_comment")`,
    ]);
    assert.deepEqual(await rowTexts(client, 'table tasks'), [`(1,${TENANT})`, `(2,${TENANT})`]);
    assert.deepEqual(await rowTexts(client, 'table comments'), []);
  });

  test('say which references of unprotected tables stay empty', async () => {
    const schema = await tasks(`create table times (task_id int constraint of_task references tasks on delete set null);
      create table bills (task_id int default 2 constraint on_bill references tasks on delete set default)`);
    assert.deepEqual(await said(schema, 'delete from tasks where id = 1'), [
      `any rows of ${schema}.bills that referred to ${schema}.tasks were not protected and do not get that back (ON DELETE SET DEFAULT, "on_bill")`,
      `any rows of ${schema}.times that referred to ${schema}.tasks were not protected and do not get that back (ON DELETE SET NULL, "of_task")`,
    ]);
  });

  test('say nothing of tables that are protected, or whose rows keep them from being deleted', async () => {
    const schema = await tasks(`
      create table notes (id int primary key, tenant_id uuid not null, task_id int references tasks on delete cascade);
      create table holds (task_id int references tasks); select m23.protect_table('notes')`);
    assert.deepEqual(await said(schema, 'delete from tasks where id = 1'), []);
  });
});

describe('a restore says nothing of them', () => {
  const unprotected = 'create table comments (task_id int references tasks on delete cascade)';

  test('if rows only change', async () => {
    const schema = await tasks(`alter table tasks add v int; ${unprotected}`);
    assert.deepEqual(await said(schema, 'update tasks set v = 1'), []);
  });

  test('if rows go; and refuses it where rows that are not protected refer to these', async () => {
    const schema = await tasks(unprotected);
    const [fault, ...others] = await said(
      schema,
      `insert into tasks values (3, '${TENANT}'); insert into comments values (3)`,
    );
    assert.equal(
      fault,
      `tables: 1 row(s) of "${schema}.tasks" would go, and rows of "${schema}.comments" need them; "${schema}.comments" ` +
        'is not protected: take them away first, or set onBlocked: "skip" leaves these rows as they are, with what ' +
        'hangs on them',
    );
    assert.deepEqual(others, []);
    assert.deepEqual(await rowTexts(client, 'table comments'), ['(3)']);
    await client.query('truncate comments');
    assert.deepEqual(await said(schema, ''), [], 'to now');
  });
});

test('what is not protected is told when a table is protected, and by the doctor ever after', async () => {
  const schema = await tasks('select 1');
  await client.query(`select m23.unprotect_table('tasks');
    create table comments (id int primary key, task_id int constraint on_task references tasks on delete cascade);
    create table likes (comment_id int constraint on_comment references comments on delete cascade)`);
  const lost =
    `is referred to by ${schema}.comments (ON DELETE CASCADE, "on_task"), through ${schema}.comments ${schema}.likes ` +
    `(ON DELETE CASCADE, "on_comment"), not protected: what its deleted rows take along there does not come back`;
  assert.deepEqual(await warned(`select m23.protect_table('${schema}.tasks')`), [`${schema}.tasks ${lost}`]);
  assert.ok((await doctor(`${schema}.tasks`)).some((finding) => finding.includes('through')));
});

/** A trigger on deletes of `tasks` whose function does this. */
const trigger = (body: string, options = ''): string => `
  create function act() returns trigger language plpgsql ${options} as $$ begin ${body}; return null; end $$;
  create trigger act after delete on tasks for each row execute function act()`;

/** The one warning of a restore that brings back a row of `tasks`, as far as it tells what the trigger does. */
async function recognised(beside: string): Promise<string | undefined> {
  const schema = await tasks(beside);
  const warnings = await said(
    schema,
    'set m23.none = 1; alter table tasks disable trigger act; delete from tasks where id = 1; alter table tasks enable trigger act',
  );
  const [warning] = warnings;
  if (warning === undefined) return undefined;
  const told = new RegExp(`^${schema}.tasks: the trigger "act" \\((.*)\\) acts on deletes; what it did outside`);
  const acts = told.exec(warning)?.[1] ?? warning;
  const [finding] = (await doctor(`${schema}.tasks`)).filter((text) => text.includes('acts on deletes by'));
  assert.ok(finding?.includes(acts), finding);
  return acts.replaceAll(`${schema}.`, '');
}

describe('a trigger on deletes is named with what it does outside of its table', () => {
  test('by HTTP, also where a function that it calls does it', async () => {
    assert.equal(
      await recognised(trigger(`perform net.http_delete('https://files.example/' || old.id)`)),
      'sends HTTP requests (net.http_delete)',
    );
    const helper = `create function away(id int) returns void language sql set search_path = '' as $f$ select 1 $f$;
      create or replace function away(id int) returns void language plpgsql as $f$ begin
        /* not dblink() */ perform extensions.http_post('https://files.example', id::text, 'text/plain'); end $f$`;
    assert.equal(
      await recognised(`${helper}; ${trigger('perform away(old.id)')}`),
      'sends HTTP requests (extensions.http_post)',
    );
  });

  test('in tables that are not protected, and not in those that are', async () => {
    const files = 'create schema if not exists storage; create table if not exists storage.objects (name text)';
    assert.equal(
      await recognised(`${files}; create table trail (at timestamptz);
        create table kept (id int primary key, tenant_id uuid); select m23.protect_table('kept');
        ${trigger(`delete from storage.objects where name = old.id::text; INSERT INTO trail values (now()); update kept set id = 3`)}`),
      'deletes from storage.objects, inserts into trail',
    );
  });

  test('by queues, other servers and files', async () => {
    assert.equal(
      await recognised(
        trigger(
          `perform pgmq.send('q', '{}'); perform dblink_exec('c', 'x'); perform lo_unlink(old.id); perform pg_notify('c', '')`,
        ),
      ),
      'hands work to a queue, a schedule or listeners (pg_notify), hands work to a queue, a schedule or listeners (pgmq.send), runs statements on another server (dblink_exec), writes files of the server (lo_unlink)',
    );
  });

  test('or with what could not be read', async () => {
    assert.equal(
      await recognised(trigger(`execute 'select 1'`)),
      'not all could be read: "act" makes statements as it runs',
    );
  });

  test('of one in which nothing is recognised a restore is silent, and the doctor claims nothing', async () => {
    const schema = await tasks(trigger("perform 1 /* net.http_get() */; -- dblink()\n raise debug 'gone'"));
    assert.deepEqual(await said(schema, 'delete from tasks where id = 1'), []);
    assert.deepEqual(await doctor(`${schema}.tasks`).then((all) => all.filter((text) => text.includes('acts on'))), [
      'acts on deletes by "act" (nothing outside was recognised in its code): what that does outside of the table (files over HTTP, say) no restore undoes',
    ]);
  });
});
