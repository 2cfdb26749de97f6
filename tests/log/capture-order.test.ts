// The order of the images that a statement leaves behind, where foreign keys' actions and statements of triggers change
// the same rows: as of each position there is what was there.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type pg from 'pg';

import { type Database, rowTexts, startDatabase } from '../fixtures/database.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OTHER = '22222222-2222-4222-8222-222222222222';

interface Case {
  rule: string;
  /** Tables and triggers; `$tenant` stands for the tenant. */
  sql: string;
  /** The tables that are protected. */
  tables: string[];
  /** The rows that there are before anything happens. */
  rows: string;
  /** Transactions, one after the other; before each of them a position is taken. */
  then: string[];
}

const TASKS = `
  create table projects (id int primary key, tenant_id uuid not null default $tenant, v int default 0);
  create table tasks (id int primary key, tenant_id uuid not null default $tenant, project_id int, v int default 7);`;

/** One statement that deletes all tasks and inserts them again. */
const AGAIN = 'with d as (delete from tasks returning id) insert into tasks (id, v) select id, 155 from d';

/** A trigger of `projects` that does something when one of them changes. */
function whenProject(id: number, event: string, action: string): string {
  return `create function changed_${id}() returns trigger language plpgsql as $$ begin ${action}; return null; end $$;
    create trigger changed_${id} after ${event} on projects for each row when (old.id = ${id})
      execute function changed_${id}();`;
}

function reference(onAction: string, table = 'tasks', column = 'project_id', to = 'projects'): string {
  return `alter table ${table} add constraint ${table}_${column} foreign key (${column}) references ${to} ${onAction};`;
}

const SELF = `
  create table t (id int primary key, tenant_id uuid not null default $tenant, a int, b int, v int default 7);`;

/** Two references to the same table, checked late: a nested statement may find one that is not followed up yet. */
const DEFERRED_SELF = ['a', 'b']
  .map((column) => reference('on update cascade deferrable initially deferred', 't', column, 't'))
  .join('');

/** A trigger of `t` that does something when a row gets another key. */
function whenMoved(id: number, action: string): string {
  return `create function moved_${id}() returns trigger language plpgsql as $$ begin ${action}; return null; end $$;
    create trigger moved_${id} after update on t for each row when (old.id = ${id} and new.id <> ${id})
      execute function moved_${id}();`;
}

const CASES: Case[] = [
  {
    rule: 'a trigger marks all tasks, then SET NULL changes one of them',
    sql: `create table projects (id int primary key, tenant_id uuid not null default $tenant);
      create table tasks (id int primary key, tenant_id uuid not null default $tenant,
        project_id int references projects on delete set null, needs_review boolean not null default false);
      create function on_project_deleted() returns trigger language plpgsql as $$
        begin update tasks set needs_review = true where tenant_id = old.tenant_id; return null; end $$;
      create trigger on_project_deleted after delete on projects for each row execute function on_project_deleted();`,
    tables: ['tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (10, 1), (20, 2)',
    then: ['delete from projects where id in (1, 2)'],
  },
  {
    rule: 'a trigger changes a row, then ON UPDATE CASCADE of the same table does',
    sql: SELF + reference('on update cascade', 't', 'a', 't') + whenMoved(1, 'update t set v = 999 where id = 50'),
    tables: ['t'],
    rows: 'insert into t (id, a) values (1, null), (2, null), (50, 2)',
    then: ['update t set id = id + 100 where id in (1, 2)'],
  },
  {
    rule: 'ON UPDATE CASCADE changes a row, then a trigger of the same table does',
    sql: SELF + reference('on update cascade', 't', 'a', 't') + whenMoved(2, 'update t set v = 999 where id = 50'),
    tables: ['t'],
    rows: 'insert into t (id, a) values (1, null), (2, null), (50, 1)',
    then: ['update t set id = id + 100 where id in (1, 2)'],
  },
  {
    rule: 'a cascade, a trigger and another cascade change one row, one after the other',
    sql:
      SELF +
      DEFERRED_SELF +
      whenMoved(1, 'update t set v = v * 10 where id = 50') +
      whenMoved(2, 'update t set v = v + 1 where id = 50'),
    tables: ['t'],
    rows: 'insert into t (id, a, b) values (1, null, null), (2, null, null), (50, 1, 2), (51, 2, 1)',
    then: ['update t set id = id + 100 where id in (1, 2)', 'update t set id = id - 100 where id in (101, 102)'],
  },
  {
    rule: 'a trigger, a cascade and another trigger change one row, one after the other',
    sql:
      TASKS +
      reference('on delete set null') +
      whenProject(1, 'delete', 'update tasks set v = 1 where id = 50') +
      whenProject(3, 'delete', 'update tasks set v = 3 where id = 50'),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2), (3); insert into tasks (id, project_id) values (50, 2)',
    then: ['delete from projects'],
  },
  {
    rule: 'SET NULL changes a row, then a trigger does',
    sql: TASKS + reference('on delete set null') + whenProject(2, 'delete', 'update tasks set v = 999 where id = 50'),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 1)',
    then: ['delete from projects where id in (1, 2)'],
  },
  {
    rule: 'a trigger changes a row, then ON DELETE CASCADE takes it',
    sql: TASKS + reference('on delete cascade') + whenProject(1, 'delete', 'update tasks set v = 999 where id = 50'),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 2)',
    then: ['delete from projects where id in (1, 2)'],
  },
  {
    rule: 'a trigger deletes a row and inserts it again, then ON DELETE CASCADE takes it',
    sql:
      TASKS +
      reference('on delete cascade') +
      whenProject(
        1,
        'delete',
        `
        delete from tasks where id = 50; insert into projects values (3);
        insert into tasks (id, project_id, v) values (50, 3, 999);
        update tasks set v = 1000 where id = 50; delete from projects where id = 3`,
      ),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 2)',
    then: ['delete from projects where id in (1, 2)'],
  },
  {
    rule: "a trigger deletes a row and inserts it again, then the statement's own ON DELETE CASCADE takes it",
    sql:
      TASKS +
      reference('on delete cascade deferrable initially deferred') +
      whenProject(
        1,
        'delete',
        `delete from tasks where id = 50; insert into tasks (id, project_id, v) values (50, 2, 999);
         update tasks set v = 1000 where id = 50`,
      ),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 2), (51, 2)',
    then: ['delete from projects where id in (1, 2)'],
  },
  {
    rule: 'ON DELETE CASCADE takes a row, then a trigger inserts and changes it again',
    sql:
      TASKS +
      reference('on delete cascade') +
      whenProject(
        2,
        'delete',
        'insert into tasks (id, project_id, v) values (50, null, 999); update tasks set v = 1000 where id = 50',
      ),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 1)',
    then: ['delete from projects where id in (1, 2)', 'delete from tasks'],
  },
  {
    rule: 'ON DELETE CASCADE takes a row, a trigger inserts it again, and a second cascade takes that',
    sql:
      TASKS +
      reference('on delete cascade deferrable initially deferred') +
      whenProject(
        1,
        'delete',
        'insert into tasks (id, project_id, v) values (50, 2, 999); update tasks set v = 1000 where id = 50',
      ),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 1)',
    then: ['delete from projects where id in (1, 2)'],
  },
  {
    rule: 'a direct DELETE, whose trigger inserts the row again and changes it',
    sql:
      TASKS +
      `create function again() returns trigger language plpgsql as $$ begin
        insert into tasks values (old.*); update tasks set v = v + 1 where id = old.id;
        update tasks set v = v * 2 where id = old.id; return null; end $$;
      create trigger again after delete on tasks for each row when (old.v = 7) execute function again();`,
    tables: ['tasks'],
    rows: 'insert into tasks (id) values (50), (51)',
    then: ['delete from tasks', 'delete from tasks'],
  },
  {
    rule: 'a direct UPDATE, whose trigger deletes the row, inserts it again and changes it',
    sql:
      TASKS +
      `create function again() returns trigger language plpgsql as $$ begin
        delete from tasks where id = new.id; insert into tasks values (new.*);
        update tasks set v = 9 where id = new.id; return null; end $$;
      create trigger again after update on tasks for each row when (new.v = 8) execute function again();`,
    tables: ['tasks'],
    rows: 'insert into tasks (id) values (50), (51)',
    then: ['update tasks set v = v + 1', 'delete from tasks'],
  },
  {
    rule: 'a reference goes from a project to nothing by SET NULL, and back by a trigger',
    sql:
      TASKS +
      reference('on delete set null deferrable initially deferred') +
      whenProject(2, 'delete', 'update tasks set project_id = 1 where id = 50'),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 1)',
    then: ['delete from projects where id in (1, 2); insert into projects values (1)'],
  },
  {
    rule: 'a trigger changes a value and changes it back, then a cascade changes the row',
    sql:
      TASKS +
      reference('on update cascade deferrable initially deferred') +
      whenProject(1, 'update', 'update tasks set v = 8 where id = 50; update tasks set v = 7 where id = 50'),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 2)',
    then: ['update projects set id = id + 10', 'delete from tasks'],
  },
  {
    rule: 'a key goes there by a cascade and back by a trigger',
    sql:
      TASKS +
      `alter table tasks add unique (project_id, id);
      create table lines (id int, task_id int, tenant_id uuid default $tenant, v int default 7,
        primary key (task_id, id));` +
      reference('on update cascade deferrable initially deferred', 'lines', 'task_id', 'tasks') +
      `create function back() returns trigger language plpgsql as $$ begin
           update lines set task_id = 50, v = v + 1 where task_id = 150; return null; end $$;
         create trigger back after update on tasks for each row when (old.id = 51) execute function back();`,
    tables: ['tasks', 'lines'],
    rows: 'insert into tasks (id) values (50), (51); insert into lines (id, task_id) values (1, 50), (1, 51)',
    then: ['update tasks set id = id + 100; update tasks set id = 50 where id = 150', 'delete from lines'],
  },
  {
    rule: 'three levels, each with a cascade and a trigger on the same rows',
    sql:
      TASKS +
      reference('on update cascade') +
      `
      create table lines (id int primary key, tenant_id uuid not null default $tenant, task_id int, v int default 7);` +
      reference('on update cascade on delete set null', 'lines', 'task_id', 'tasks') +
      whenProject(1, 'update', 'update tasks set id = id + 100, v = v + 1 where id in (1, 2)') +
      `
      create function task_moved() returns trigger language plpgsql as $$ begin
        update lines set v = v + 10 where id in (50, 51); return null; end $$;
      create trigger task_moved after update of id on tasks for each row execute function task_moved();`,
    tables: ['projects', 'tasks', 'lines'],
    rows: `insert into projects values (1), (2); insert into tasks (id, project_id) values (1, 2), (2, 1), (3, 2);
      insert into lines (id, task_id) values (50, 2), (51, 1), (52, 3)`,
    then: ['update projects set id = id + 10', 'delete from tasks', 'delete from lines'],
  },
  {
    rule: 'a cascade over three tables, and triggers at each of them that write the last',
    sql:
      TASKS +
      reference('on delete cascade deferrable initially deferred') +
      `
      create table lines (id int primary key, tenant_id uuid not null default $tenant, task_id int, v int default 7);` +
      reference('on delete cascade deferrable initially deferred', 'lines', 'task_id', 'tasks') +
      whenProject(1, 'delete', 'update lines set v = v + 1') +
      `
      create function task_gone() returns trigger language plpgsql as $$ begin
        update lines set v = v * 10; delete from lines where id = 53; return null; end $$;
      create trigger task_gone after delete on tasks for each row execute function task_gone();`,
    tables: ['projects', 'tasks', 'lines'],
    rows: `insert into projects values (1), (2); insert into tasks (id, project_id) values (1, 2), (2, 1), (3, 2);
      insert into lines (id, task_id) values (50, 2), (51, 1), (52, 3), (53, 3)`,
    then: ['delete from projects'],
  },
  {
    rule: 'a trigger gives a row to another tenant, then a cascade changes it',
    sql:
      TASKS +
      reference('on delete set null') +
      whenProject(1, 'delete', `update tasks set tenant_id = $other, v = 999 where id = 50`),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 2)',
    then: ['delete from projects where id in (1, 2)', 'update tasks set tenant_id = $tenant, v = 5'],
  },
  {
    rule: 'a trigger gives a row another key, then a cascade takes it',
    sql:
      TASKS +
      reference('on delete cascade deferrable initially deferred') +
      whenProject(1, 'delete', 'update tasks set id = 60 where id = 50; update tasks set v = 999 where id = 60'),
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 2)',
    then: ['delete from projects where id in (1, 2)'],
  },
  {
    rule: "one statement deletes a row and inserts it again, and a foreign key's action changes that",
    sql: SELF + reference('on delete set null', 't', 'a', 't'),
    tables: ['t'],
    rows: 'insert into t (id) values (1), (11)',
    then: ['with d as (delete from t returning id) insert into t (id, a, v) select id, 1, 155 from d', 'delete from t'],
  },
  {
    rule: 'one statement deletes rows and inserts them again, and a trigger changes what has come',
    sql:
      TASKS +
      `create function come() returns trigger language plpgsql as $$
         begin update tasks set v = v + 1 where id = new.id; return null; end $$;
       create trigger come after insert on tasks for each row when (new.v = 155) execute function come();`,
    tables: ['tasks'],
    rows: 'insert into tasks (id, v) values (1, 7), (2, 155)',
    then: [AGAIN, 'delete from tasks'],
  },
  {
    rule: 'one statement deletes rows and inserts them again, and a trigger does the same with what has come',
    sql:
      TASKS +
      `create function come() returns trigger language plpgsql as $$ begin
         delete from tasks where id = new.id; insert into tasks (id, v) values (new.id, 1);
         update tasks set v = 2 where id = new.id; return null; end $$;
       create trigger come after insert on tasks for each row when (new.v = 155) execute function come();`,
    tables: ['tasks'],
    rows: 'insert into tasks (id, v) values (1, 7), (2, 155)',
    then: [AGAIN, 'delete from tasks'],
  },
  {
    rule: 'one statement deletes rows and inserts them again, and a trigger of what has gone changes what has come',
    sql:
      TASKS +
      `create function gone() returns trigger language plpgsql as $$
         begin update tasks set v = v + 1 where id = old.id; return null; end $$;
       create trigger gone after delete on tasks for each row when (old.v = 7) execute function gone();`,
    tables: ['tasks'],
    rows: 'insert into tasks (id, v) values (1, 7), (2, 8)',
    then: [AGAIN, 'delete from tasks'],
  },
  {
    rule: 'a MERGE of a partitioned table that inserts a row and then updates another',
    sql: `
      create table tasks (id int primary key, tenant_id uuid not null default $tenant, v int) partition by range (id);
      create table tasks_low partition of tasks for values from (minvalue) to (10);
      create table tasks_high partition of tasks default;`,
    tables: ['tasks'],
    rows: 'insert into tasks (id, v) values (2, 0), (12, 0)',
    then: [
      `set enable_hashjoin = off; set enable_mergejoin = off;
       merge into tasks t using (values (1), (2), (11), (12)) s (id) on t.id = s.id
         when matched then update set v = 1 when not matched then insert (id, v) values (s.id, 5);
       reset enable_hashjoin; reset enable_mergejoin`,
      'delete from tasks',
    ],
  },
  {
    rule: "one statement updates a row that its other part's cascade changes as well",
    sql: TASKS + reference('on delete set null') + reference('on delete cascade', 'projects', 'v', 'tasks'),
    tables: ['projects', 'tasks'],
    rows: `insert into projects values (1, default, null), (2, default, null);
      insert into tasks (id, project_id) values (50, 1), (51, 2)`,
    then: [
      'with u as (update tasks set v = 8 where id = 50) delete from projects where id = 1',
      'with d as (delete from projects) update tasks set v = v + 1',
    ],
  },
  {
    rule: "a row that a statement updates itself, and then its trigger's cascade",
    sql:
      TASKS +
      reference('on delete set null') +
      `
      create function drop_project() returns trigger language plpgsql as $$
        begin delete from projects where id = 2; return null; end $$;
      create trigger drop_project after update on tasks for each row when (new.v = 8) execute function drop_project();`,
    tables: ['projects', 'tasks'],
    rows: 'insert into projects values (1), (2); insert into tasks (id, project_id) values (50, 2), (51, 2)',
    then: ['update tasks set v = 8', 'delete from tasks'],
  },
  {
    rule: 'triggers of statements that write before and after capture has',
    sql:
      TASKS +
      `create function more() returns trigger language plpgsql as $$ begin
        if pg_trigger_depth() = 1 then update tasks set v = (v * 10 + length(tg_name)) % 100000 where id > 50; end if;
        return null; end $$;
      create trigger "AAA" before update on tasks for each statement execute function more();
      create trigger "zzzzz" before update on tasks for each statement execute function more();
      create trigger a after update on tasks for each statement execute function more();
      create trigger zzzz after update on tasks for each statement execute function more();`,
    tables: ['tasks'],
    rows: 'insert into tasks (id) values (50), (51)',
    then: [
      'update tasks set v = 8 where id = 50',
      'begin; update tasks set v = 9 where id = 50; update tasks set v = 10 where id = 50; commit',
      'delete from tasks',
    ],
  },
];

for (const major of [17, 15] as const) {
  describe(`on PostgreSQL ${major}`, { concurrency: false }, () => {
    let database: Database;
    before(async () => {
      database = await startDatabase({}, major);
    });
    after(() => database.close());

    for (const [n, one] of CASES.entries()) test(one.rule, () => check(database.client, `case_${n}`, one));
  });
}

const named = (sql: string): string => sql.replaceAll('$tenant', `'${TENANT}'`).replaceAll('$other', `'${OTHER}'`);

async function check(client: pg.Client, schema: string, { sql, tables, rows, then }: Case): Promise<void> {
  await client.query(`create schema ${schema}; set search_path = ${schema}`);
  await client.query(named(sql));
  for (const table of tables) await client.query(`select m23.protect_table($1::regclass)`, [table]);
  await client.query(named(rows));
  const moments: { at: string; rows: string[] }[] = [];
  for (const transaction of then) {
    moments.push({ at: await position(client), rows: await rowsOf(client, tables) });
    await client.query(named(transaction));
  }
  for (const [n, moment] of moments.entries()) {
    assert.deepEqual(await rowsOf(client, tables, moment.at), moment.rows, `before transaction ${n + 1}`);
  }
}

async function position(client: pg.Client): Promise<string> {
  const {
    rows: [row],
  } = await client.query<{ at: string }>('select m23.current_position()::text as at');
  return row?.at ?? '';
}

/** The rows of both tenants, now or as of a position. */
async function rowsOf(client: pg.Client, tables: readonly string[], at?: string): Promise<string[]> {
  const all: string[] = [];
  for (const table of tables) {
    for (const tenant of [TENANT, OTHER]) {
      const from =
        at === undefined ? `${table} r where r.tenant_id = $1` : `m23.as_of(null::${table}, $1, $2::pg_snapshot) r`;
      const rows = await rowTexts(client, `select r.* from ${from}`, at === undefined ? [tenant] : [tenant, at]);
      all.push(...rows.map((row) => `${table} ${row}`));
    }
  }
  return all;
}
