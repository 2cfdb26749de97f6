// A path to the tenant: how it is declared, what is refused and with which way on, and what the application's migrations
// do to it. No write of the application is ever refused for its sake.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';

import type pg from 'pg';

import { openDatabase, rowTexts } from '../fixtures/database.ts';
import { warningsOf } from '../fixtures/warnings.ts';

const { client, postgres } = await openDatabase();

const texts = async (sql: string, values: unknown[] = []): Promise<string[]> =>
  (await rowTexts(client, sql, values)).sort();

async function position(): Promise<string> {
  const { rows } = await client.query<{ position: string }>('select m23.current_position()::text as position');
  return rows[0]!.position;
}

const asOf = (table: string, tenant: string, at: string): Promise<string[]> =>
  texts(`select * from m23.as_of(null::${table}, $1, $2::pg_snapshot)`, [tenant, at]);

/** What a statement is refused with. */
async function refusalOf(sql: string): Promise<pg.DatabaseError> {
  let refusal: unknown;
  await assert.rejects(client.query(sql), (error) => {
    refusal = error;
    return true;
  });
  return refusal as pg.DatabaseError;
}

/** orgs ← tasks (by org_id) ← comments, with two tenants. */
beforeEach(async () => {
  await client.query('drop schema if exists app cascade');
  await client.query(`create schema app;
    create table app.orgs (id text primary key, settings_id int);
    create table app.tasks (id int primary key, org_id text references app.orgs, code text unique);
    create table app.comments (id int primary key, task_id int references app.tasks on delete cascade, body text);
    create index on app.comments (task_id);
    insert into app.orgs values ('A'), ('B'); insert into app.tasks values (1, 'A', 'one'), (2, 'B', 'two');
    insert into app.comments values (1, 1, 'mine'), (2, 2, 'theirs')`);
  await client.query(`select m23.protect_table('app.orgs', 'id'), m23.protect_table('app.tasks', 'org_id')`);
});

describe('a path is declared', () => {
  const forms: [name: string, sql: string, via: string][] = [
    ['by a foreign key', '', 'task_id'],
    ['without a foreign key', 'alter table app.comments drop constraint comments_task_id_fkey', 'task_id -> app.tasks'],
    [
      'by one of several foreign keys',
      `create table app.others (id int primary key); insert into app.others values (1), (2);
       alter table app.comments add foreign key (task_id) references app.others`,
      'task_id -> app.tasks',
    ],
    [
      'by a unique column of the parent',
      `alter table app.comments add task_code text references app.tasks (code);
       update app.comments c set task_code = t.code from app.tasks t where t.id = c.task_id`,
      'task_code',
    ],
    [
      'by several columns, in whatever order they are said',
      `alter table app.tasks add unique (org_id, id); alter table app.comments add org text;
       update app.comments c set org = t.org_id from app.tasks t where t.id = c.task_id;
       alter table app.comments add foreign key (org, task_id) references app.tasks (org_id, id)`,
      'task_id, org',
    ],
  ];

  for (const [name, sql, via] of forms) {
    test(`${name}: ${via}`, async () => {
      await client.query(sql);
      await client.query(`select m23.protect_table('app.comments', via => '${via}')`);
      const [at, mine] = [await position(), await texts('select * from app.comments where id = 1')];
      await client.query('delete from app.comments; delete from app.tasks where id = 1');
      assert.deepEqual(await asOf('app.comments', 'A', at), mine);
      assert.equal((await asOf('app.comments', 'B', at)).length, 1);
    });
  }

  test("by the tenant's row that points at it: <- app.orgs (settings_id)", async () => {
    await client.query(`create table app.settings (id int primary key, theme text);
      insert into app.settings values (10, 'dark'), (20, 'light');
      alter table app.orgs add foreign key (settings_id) references app.settings;
      update app.orgs set settings_id = case id when 'A' then 10 else 20 end`);
    await client.query(`select m23.protect_table('app.settings', via => '<- app.orgs (settings_id)')`);
    const at = await position();
    await client.query(`update app.settings set theme = 'red'; update app.orgs set settings_id = null where id = 'A';
      delete from app.settings where id = 10`);
    assert.deepEqual(await asOf('app.settings', 'A', at), ['(10,dark)']);
    assert.deepEqual(await asOf('app.settings', 'B', at), ['(20,light)']);
    await client.query(`begin; insert into app.settings values (30, 'new'); update app.orgs set settings_id = 30
      where id = 'A'; commit`);
    assert.deepEqual(await asOf('app.settings', 'A', await position()), ['(30,new)']);
  });

  for (const [type, key, same] of [
    ['app.citext', 'One', 'oNE'],
    ['char(36)', 'one', 'one'],
    ['varchar(20)', 'one', 'one'],
    ['numeric', '1.0', '1'],
    ['uuid', '11111111-1111-4111-8111-111111111111', '11111111-1111-4111-8111-111111111111'],
  ] as const) {
    test(`by a key of the type ${type}`, async () => {
      await client.query(`create extension if not exists citext schema app;
        create table app.p (id ${type} primary key, org_id text); create table app.c (id int primary key, p_id ${type});
        insert into app.p values ('${key}', 'A'); insert into app.c values (1, '${same}')`);
      await client.query(`select m23.protect_table('app.p', 'org_id')`);
      await client.query(`select m23.protect_table('app.c', via => 'p_id -> app.p')`);
      const at = await position();
      await client.query(`delete from app.p; update app.c set id = 2; delete from app.c`);
      assert.equal((await asOf('app.c', 'A', at)).length, 1);
    });
  }

  test('by a column of its own rather, where tables refer to themselves', async () => {
    await client.query(
      `create table app.folders (id int primary key, parent_id int references app.folders, org_id text)`,
    );
    const refusal = await refusalOf(`select m23.protect_table('app.folders', via => 'parent_id')`);
    assert.match(refusal.message, /leads from app.folders to itself/);
    await client.query(`select m23.protect_table('app.folders', 'org_id')`);
  });
});

describe('a path is refused', () => {
  const refusals: [why: string, sql: string, message: RegExp, hint: RegExp][] = [
    [
      'that no foreign key tells',
      `select m23.protect_table('app.comments', via => 'body')`,
      /app.comments has no foreign key by "body"/,
      /via => 'body -> schema.table'/,
    ],
    [
      'to a table that is not there',
      `select m23.protect_table('app.comments', via => 'task_id -> app.nowhere')`,
      /there is no table app.nowhere/,
      /with its schema/,
    ],
    [
      'of a column that is not there',
      `select m23.protect_table('app.comments', via => 'nope')`,
      /app.comments has no column "nope"/,
      /^$/,
    ],
    [
      'that is none',
      `select m23.protect_table('app.comments', via => 'task_id => tasks')`,
      /which is no path/,
      /'org_id, task_id'/,
    ],
    [
      'beside a column',
      `select m23.protect_table('app.comments', 'body', via => 'task_id')`,
      /a tenant column or a path, not both/,
      /own is better/,
    ],
    [
      'of columns that cannot be compared',
      `select m23.protect_table('app.comments', via => 'body -> app.tasks')`,
      /columns that cannot be compared/,
      /another way/,
    ],
    [
      'to a table that is not protected',
      `create table app.plain (id int primary key); alter table app.comments add plain_id int references app.plain;
       select m23.protect_table('app.comments', via => 'plain_id')`,
      /app.plain is not protected/,
      /select m23.protect_table\('app.plain'/,
    ],
  ];

  for (const [why, sql, message, hint] of refusals) {
    test(why, async () => {
      const refusal = await refusalOf(sql);
      assert.match(refusal.message, message);
      assert.match(refusal.hint ?? '', hint);
    });
  }

  test('where the table is protected by another way', async () => {
    await client.query(`select m23.protect_table('app.comments', via => 'task_id')`);
    const refusal = await refusalOf(`select m23.protect_table('app.comments', 'body')`);
    assert.match(refusal.message, /app.comments is protected already, by task_id → app.tasks \(the column "org_id"\)/);
    await client.query(`select m23.protect_table('app.comments')`);
  });

  test('no more, once what stood behind it is to leave protection first', async () => {
    await client.query(`select m23.protect_table('app.comments', via => 'task_id')`);
    const refusal = await refusalOf(`select m23.unprotect_table('app.tasks')`);
    assert.match(refusal.message, /app.comments find\(s\) the tenants of its rows through app.tasks/);
    await client.query(`select m23.unprotect_table('app.comments')`);
    await client.query(`select m23.unprotect_table('app.tasks')`);
    await client.query(`delete from app.tasks where id = 1`);
  });
});

test('a missing index on the columns of a path is told', async () => {
  await client.query(`drop index app.comments_task_id_idx`);
  const said = await warningsOf(client, `select m23.protect_table('app.comments', via => 'task_id')`);
  assert.match(said.join('\n'), /create index on app.comments \(task_id\)/);
});

describe('a migration', () => {
  beforeEach(() => client.query(`select m23.protect_table('app.comments', via => 'task_id')`));

  const followed: [what: string, sql: string][] = [
    ['renames the parent', 'alter table app.tasks rename to jobs'],
    [
      "renames the parent's columns",
      'alter table app.tasks rename id to no; alter table app.tasks rename org_id to org',
    ],
    ['renames the column that leads there', 'alter table app.comments rename task_id to job_id'],
    [
      'adds and drops other columns of both',
      'alter table app.tasks add x int, drop code; alter table app.comments add y int',
    ],
    [
      'widens the key',
      'alter table app.tasks alter id type bigint; alter table app.comments alter task_id type bigint',
    ],
    ['drops the foreign key', 'alter table app.comments drop constraint comments_task_id_fkey'],
    ['moves the parent to another schema', 'create schema if not exists other; alter table app.tasks set schema other'],
  ];

  for (const [followedBy, how] of [
    ['event triggers', ''],
    ['the next write', `set m23.writing_capture = 'yes';`],
  ] as const) {
    for (const [what, sql] of followed) {
      test(`that ${what} is followed by ${followedBy}`, async () => {
        const parent = (await rowTexts(client, `select 'app.tasks'::regclass::oid`))[0]!.slice(1, -1);
        await client.query(`begin; ${how} ${sql}; reset m23.writing_capture; commit`);
        const at = await position();
        const wanted = await texts('select * from app.comments where id = 1');
        await client.query(
          `update app.comments set body = body || '!'; insert into app.comments select id + 10 from app.comments`,
        );
        const named = (await rowTexts(client, `select m23.qualified_name(${parent})`))[0]!.slice(1, -1);
        await client.query(`delete from app.comments; delete from ${named}`);
        assert.deepEqual(await asOf('app.comments', 'A', at), wanted);
        await client.query('drop schema if exists other cascade');
      });
    }
  }

  for (const [what, sql, isWritten] of [
    ['a column that others do not go by', 'alter table app.tasks add note text default $$x$$, drop code', false],
    ['one that others go by', 'alter table app.tasks rename id to number', true],
  ] as const) {
    test(`that alters ${what} writes the captures below the parent ${isWritten ? 'anew' : 'not anew'}`, async () => {
      await client.query(`select m23.protect_table('app.comments', via => 'task_id')`);
      const written = (): Promise<string[]> =>
        texts(`select p.xmin from pg_proc p join m23.protected_tables t on p.proname = 'insert_' || t.id
                where t.relid = 'app.comments'::regclass union all
               select s.xmin from m23.table_statements s join m23.protected_tables t on t.id = s.table_id
                where t.relid = 'app.comments'::regclass`);
      const before = await written();
      await client.query(sql);
      assert.equal(
        (await written()).some((version) => !before.includes(version)),
        isWritten,
      );
      const [at, rows] = [await position(), await texts('select * from app.comments where id = 1')];
      await client.query(`update app.comments set body = 'changed'; delete from app.comments`);
      assert.deepEqual(await asOf('app.comments', 'A', at), rows);
      assert.deepEqual(
        await texts(`select m23.has_statements(t) from m23.protected_tables t
                                     where t.relid = 'app.comments'::regclass`),
        ['(t)'],
      );
    });
  }

  const broken: [what: string, sql: string, why: RegExp][] = [
    [
      'drops the column that leads there',
      'alter table app.comments drop task_id',
      /has lost a column that leads there/,
    ],
    [
      "drops the parent's key",
      'alter table app.tasks drop id cascade',
      /has lost a column that it is found by|whose capture is suspended/,
    ],
    ['drops the parent', 'drop table app.tasks cascade', /which does not exist any more/],
    [
      "drops the parent's tenant column",
      'alter table app.tasks drop org_id',
      /whose capture is suspended: it has no tenant column/,
    ],
    [
      'makes another type of the column',
      `alter table app.comments drop constraint comments_task_id_fkey;
       alter table app.comments alter task_id type text`,
      /columns that cannot be compared/,
    ],
  ];

  for (const [what, sql, why] of broken) {
    test(`that ${what} is not refused, nor are writes; the doctor tells of it`, async () => {
      await client.query(sql);
      await client.query(`insert into app.comments (id) values (50); update app.comments set body = 'x'`);
      await client.query(`delete from app.comments where id = 1`);
      const findings = await texts(`select finding from m23.doctor() where topic = 'app.comments'`);
      assert.match(findings.join('\n'), why);
    });
  }
});

test('what two sessions write at once, parent and child, is settled by the upkeep', async () => {
  await client.query('alter table app.comments drop constraint comments_task_id_fkey');
  await client.query(`select m23.protect_table('app.comments', via => 'task_id -> app.tasks')`);
  const other = await postgres.connect();
  try {
    await other.query(`begin; insert into app.tasks values (7, 'A', 'seven')`);
    await client.query(`insert into app.comments values (70, 7, 'before it')`);
    await other.query('commit');
  } finally {
    await other.end();
  }
  await client.query('select m23.settle_absent_parents()');
  const at = await position();
  assert.ok((await asOf('app.comments', 'A', at)).includes('(70,7,"before it")'));
  await client.query('delete from app.comments where id = 70');
  assert.ok((await asOf('app.comments', 'A', at)).includes('(70,7,"before it")'));
  await client.query('select m23.settle_absent_parents()');
  assert.deepEqual(await texts('select key from m23.absent_parents'), []);
});

for (const [kept, sql, via] of [
  ['no foreign key', 'alter table app.comments drop constraint comments_task_id_fkey', 'task_id -> app.tasks'],
  [
    'a deferred foreign key',
    'alter table app.comments alter constraint comments_task_id_fkey deferrable initially deferred',
    'task_id',
  ],
] as const) {
  describe(`a row that another session has written while its parent was written, by ${kept}`, () => {
    let before: string;

    beforeEach(async () => {
      await client.query(sql);
      await client.query(`select m23.protect_table('app.comments', via => '${via}')`);
      before = await position();
      const other = await postgres.connect();
      try {
        await other.query(`begin; insert into app.tasks values (7, 'A', 'seven')`);
        await client.query(`begin; insert into app.comments values (70, 7, 'before it')`);
        await other.query('commit');
        await client.query('commit');
      } finally {
        await other.end();
      }
    });

    for (const [what, write] of [
      ['stays', ''],
      ['is updated', `update app.comments set body = 'x' where id = 70`],
      ['is deleted', 'delete from app.comments where id = 70'],
      [
        'is updated and deleted',
        `update app.comments set body = 'x' where id = 70; delete from app.comments where id = 70`,
      ],
      ['goes to another tenant', 'update app.comments set task_id = 2 where id = 70'],
      ['is deleted with its parent', 'delete from app.comments where id = 70; delete from app.tasks where id = 7'],
      [
        'is deleted and made again',
        `delete from app.comments where id = 70; insert into app.comments values (70, 7, 'y')`,
      ],
    ] as const) {
      test(`and that ${what} before the upkeep comes was not there before`, async () => {
        await client.query(write);
        await client.query('select m23.settle_absent_parents()');
        for (const tenant of ['A', 'B']) {
          assert.deepEqual((await asOf('app.comments', tenant, before)).length, 1, `${tenant} before`);
          const now = await texts(`select c.* from app.comments c join app.tasks t on t.id = c.task_id
            where t.org_id = '${tenant}'`);
          assert.deepEqual(await asOf('app.comments', tenant, await position()), now, `${tenant} now`);
        }
        assert.deepEqual(await texts('select key from m23.absent_parents where tenant_id is null'), []);
      });
    }

    test('is no more in the way of one that is written after it', async () => {
      await client.query(`insert into app.comments values (71, 7, 'after it')`);
      const between = await position();
      await client.query('select m23.settle_absent_parents()');
      assert.ok((await asOf('app.comments', 'A', between)).includes('(71,7,"after it")'));
      assert.equal((await asOf('app.comments', 'A', before)).length, 1);
    });
  });
}

describe('while a parent moves to another tenant', () => {
  beforeEach(() => client.query(`select m23.protect_table('app.comments', via => 'task_id')`));

  test("a child that another session makes was its former tenant's, once the upkeep has been there", async () => {
    const mover = await postgres.connect();
    try {
      await mover.query(`begin; update app.tasks set org_id = 'B' where id = 1`);
      await client.query(`insert into app.comments values (30, 1, 'meanwhile')`);
      const at = await position();
      await mover.query('commit');
      await client.query('select m23.settle_moved_parents()');
      assert.deepEqual(await asOf('app.comments', 'A', at), ['(1,1,mine)', '(30,1,meanwhile)']);
      assert.deepEqual(await asOf('app.comments', 'B', at), ['(2,2,theirs)']);
      const now = await position();
      assert.deepEqual(await asOf('app.comments', 'A', now), []);
      assert.equal((await asOf('app.comments', 'B', now)).length, 3);
      await client.query('select m23.settle_moved_parents()');
      assert.deepEqual(await asOf('app.comments', 'A', at), ['(1,1,mine)', '(30,1,meanwhile)']);
      assert.deepEqual(await texts('select key from m23.moved_parents'), []);
    } finally {
      await mover.end();
    }
  });

  for (const [what, write] of [
    ['is deleted', 'delete from app.comments where id = 30'],
    ['is updated', `update app.comments set body = 'x' where id = 30`],
  ] as const) {
    test(`a child that another session makes, and that ${what} before the upkeep comes, was its former tenant's`, async () => {
      const [before, mover] = [await position(), await postgres.connect()];
      try {
        await mover.query(`begin; update app.tasks set org_id = 'B' where id = 1`);
        await client.query(`insert into app.comments values (30, 1, 'meanwhile')`);
        const at = await position();
        await mover.query('commit');
        await client.query(write);
        await client.query('select m23.settle_moved_parents()');
        assert.deepEqual(await asOf('app.comments', 'A', at), ['(1,1,mine)', '(30,1,meanwhile)']);
        assert.deepEqual(await asOf('app.comments', 'A', before), ['(1,1,mine)']);
        assert.deepEqual(await asOf('app.comments', 'B', at), ['(2,2,theirs)']);
        assert.deepEqual(await asOf('app.comments', 'B', before), ['(2,2,theirs)']);
        assert.equal((await asOf('app.comments', 'A', await position())).length, 0);
      } finally {
        await mover.end();
      }
    });
  }

  test("a child that another session deletes is gone, and was its former tenant's", async () => {
    const [at, mover] = [await position(), await postgres.connect()];
    try {
      await client.query('begin; delete from app.comments where id = 1');
      const moving = mover.query(`update app.tasks set org_id = 'B' where id = 1`);
      await client.query('select pg_sleep(0.2)');
      await client.query('commit');
      await moving;
      assert.deepEqual(await asOf('app.comments', 'A', at), ['(1,1,mine)']);
      assert.deepEqual(await asOf('app.comments', 'B', at), ['(2,2,theirs)']);
      assert.equal((await asOf('app.comments', 'B', await position())).length, 1);
    } finally {
      await mover.end();
    }
  });
});

test('the notes of its parents are forgotten with a tenant, too', async () => {
  await client.query(`select m23.protect_table('app.comments', via => 'task_id')`);
  await client.query(`delete from app.tasks where id = 1; update app.tasks set org_id = 'A' where id = 2`);
  await client.query(`select m23.forget_log('A'), m23.forget_log('B')`);
  assert.deepEqual(await texts('select key from m23.absent_parents'), []);
  assert.deepEqual(await texts('select key from m23.moved_parents'), []);
});
