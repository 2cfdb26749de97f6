// Tables whose shape has changed since they were backed up: an archive gives what a restore to a moment gives, or the cause
// is named; and a deep test of the same backup says the same.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { type Body, backUp, call, refusal, restore, restored } from '../fixtures/functions.ts';
import { kindsOf, type Results, recoveryTest, resultsOf } from '../fixtures/recovery.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { databaseTime } from '../fixtures/time.ts';

let schemas = 0;

const { stack, client } = await openStack();

interface BackedUp {
  tenant: Tenant;
  backup: string;
  at: string;
  /** The schema of its own. */
  s: string;
}

/** A tenant with a table `t` of its own, with these columns beside key and tenant and these rows, and a backup of it. */
async function backedUp(columns: string, rows: string[], before = ''): Promise<BackedUp> {
  const tenant = await newTenant(stack, client);
  schemas += 1;
  const s = `s${schemas}`;
  await client.query(`create schema ${s}; set search_path = ${s}; ${before};
    create table t (id int primary key, tenant_id uuid not null, ${columns}); select m23.protect_table('t')`);
  for (const [n, row] of rows.entries()) await client.query(`insert into t values (${n + 1}, '${tenant.id}', ${row})`);
  const at = await databaseTime(client);
  const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: [`${s}.t`] });
  return { tenant, backup, at, s };
}

async function rowsOf(columns: string, table = 't'): Promise<unknown[][]> {
  return (await client.query({ text: `select ${columns} from ${table} order by 1`, rowMode: 'array' }))
    .rows as unknown[][];
}

async function toMoment({ tenant, at, s }: BackedUp, table = 't'): Promise<Body> {
  const { status, body } = await call(stack, 'pitr-restore', await tenant.token('admin'), {
    targetTimestamp: at,
    tables: [`${s}.${table}`],
    confirmRestore: true,
  });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

async function deep({ tenant, backup }: BackedUp): Promise<Results> {
  return resultsOf(await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup }));
}

interface Change {
  what: string;
  columns: string;
  rows: string[];
  before?: string;
  change: string;
  damage: string;
  /** What is compared, and is the same before and after. */
  seen: string;
  wanted: unknown[][];
  warnings?: RegExp[];
}

const TWO = ["'a', 1", "'b', 2"];
const DAMAGE = 'update t set n = 9 where id = 1; delete from t where id = 2';
const CHANGES: Change[] = [
  {
    what: 'a label of an enum is renamed',
    before: `create type mood as enum ('ok', 'bad'); create domain feeling as mood`,
    columns: 'm mood, ms mood[], d feeling',
    rows: [`'ok', '{ok,bad}', 'ok'`, `'bad', '{}', null`],
    change: `alter type mood rename value 'ok' to 'tmp'; alter type mood rename value 'bad' to 'ok'; alter type mood rename value 'tmp' to 'bad'`,
    damage: `update t set m = 'ok', ms = '{}', d = null where id = 1; delete from t where id = 2`,
    seen: 'id, m::text, ms::text, d::text',
    wanted: [
      [1, 'bad', '{bad,ok}', 'bad'],
      [2, 'ok', '{}', null],
    ],
  },
  {
    what: 'an enum is renamed',
    before: `create type mood as enum ('ok', 'bad')`,
    columns: 'm mood',
    rows: [`'ok'`, `'bad'`],
    change: 'alter type mood rename to humour',
    damage: `update t set m = 'bad' where id = 1; delete from t where id = 2`,
    seen: 'id, m::text',
    wanted: [
      [1, 'ok'],
      [2, 'bad'],
    ],
  },
  {
    what: 'a composite type gets an attribute',
    before: 'create type spot as (x int, y text)',
    columns: 'p spot, ps spot[]',
    rows: [`'(1,a)', '{"(1,a)"}'`, 'null, null'],
    change: 'alter type spot add attribute z int',
    damage: `update t set p = '(9,z,9)', ps = null where id = 1; delete from t where id = 2`,
    seen: 'id, p::text, ps::text',
    wanted: [
      [1, '(1,a,)', '{"(1,a,)"}'],
      [2, null, null],
    ],
  },
  {
    what: 'a composite type loses an attribute',
    before: 'create type spot as (x int, y text, z int)',
    columns: 'p spot',
    rows: [`'(1,"a ""b"" \\\\ c",3)'`, `'(,,)'`],
    change: 'alter type spot drop attribute x',
    damage: `update t set p = '(9,9)' where id = 1; delete from t where id = 2`,
    seen: 'id, p::text',
    wanted: [
      [1, '("a ""b"" \\\\ c",3)'],
      [2, '(,)'],
    ],
    warnings: [/its type s\d+\.spot has lost an attribute since/],
  },
  {
    what: 'an array becomes JSON',
    columns: 'v text[]',
    rows: [`'{x,y}'`, `'{}'`],
    change: 'alter table t alter v type jsonb using to_jsonb(v)',
    damage: `update t set v = 'null' where id = 1; delete from t where id = 2`,
    seen: 'id, v::text',
    wanted: [
      [1, '["x", "y"]'],
      [2, '[]'],
    ],
  },
  {
    what: 'a timestamp gets a zone',
    columns: 'v timestamp',
    rows: [`'2026-03-29 02:30:00.123456'`, `'infinity'`],
    change: `alter table t alter v type timestamptz using v at time zone 'UTC'`,
    damage: 'update t set v = now() where id = 1; delete from t where id = 2',
    seen: `id, (v at time zone 'UTC')::text`,
    wanted: [
      [1, '2026-03-29 02:30:00.123456'],
      [2, 'infinity'],
    ],
  },
  {
    what: 'columns exchange their names',
    columns: 'v text, n text',
    rows: [`'a', '1'`, `'b', '2'`],
    change: 'alter table t rename v to x; alter table t rename n to v; alter table t rename x to n',
    damage: `update t set n = 'lost', v = 'lost' where id = 1; delete from t where id = 2`,
    seen: 'id, n, v',
    wanted: [
      [1, 'a', '1'],
      [2, 'b', '2'],
    ],
  },
  {
    what: 'a generated column is added',
    columns: 'v text, n int',
    rows: TWO,
    change: 'alter table t add up text generated always as (upper(v)) stored',
    damage: DAMAGE,
    seen: 'id, n, up',
    wanted: [
      [1, 1, 'A'],
      [2, 2, 'B'],
    ],
  },
  {
    what: 'a plain column becomes a generated one',
    columns: 'v text, n int, up text',
    rows: [`'a', 1, 'x'`, `'b', 2, 'y'`],
    change: 'alter table t drop up; alter table t add up text generated always as (upper(v)) stored',
    damage: DAMAGE,
    seen: 'id, n, up',
    wanted: [
      [1, 1, 'A'],
      [2, 2, 'B'],
    ],
    warnings: [/up/],
  },
  {
    what: 'the key is renamed, and identity added',
    columns: 'v text, n int',
    rows: TWO,
    change: 'alter table t rename id to pk; alter table t alter pk add generated always as identity',
    damage: 'update t set n = 9 where pk = 1; delete from t where pk = 2',
    seen: 'pk, n',
    wanted: [
      [1, 1],
      [2, 2],
    ],
  },
  {
    what: 'the tenant column is renamed',
    columns: 'v text, n int',
    rows: TWO,
    change: 'alter table t rename tenant_id to org',
    damage: DAMAGE,
    seen: 'id, n',
    wanted: [
      [1, 1],
      [2, 2],
    ],
  },
  {
    what: 'a domain that refuses nulls',
    before: 'create domain amount as int not null',
    columns: 'n amount',
    rows: ['1', '2'],
    change: 'select',
    damage: DAMAGE,
    seen: 'id, n',
    wanted: [
      [1, 1],
      [2, 2],
    ],
  },
];

describe('what pitr-restore gives, the archive gives as well:', () => {
  for (const { what, columns, rows, before, change, damage, seen, wanted, warnings = [] } of CHANGES) {
    test(what, async () => {
      const made = await backedUp(columns, rows, before);
      await client.query(change);
      await client.query(damage);
      await toMoment(made);
      assert.deepEqual(await rowsOf(seen), wanted, 'from the log');
      await client.query(damage);
      const answer = await restored(stack, made.tenant, made.backup);
      assert.deepEqual(await rowsOf(seen), wanted, 'from the archive');
      const said = answer['warnings'] as string[];
      for (const [n, pattern] of warnings.entries()) assert.match(said[n] ?? '', pattern);
      const found = kindsOf(await deep(made)).filter((kind) => kind !== 'shape_changed');
      assert.deepEqual(found, [], 'the deep test agrees');
    });
  }
});

test("an incremental is restored across a rename of its enum's labels, to its end and to a moment inside", async () => {
  const made = await backedUp('m mood', [`'ok'`, `'bad'`], `create type mood as enum ('ok', 'bad')`);
  await client.query(`update t set m = 'bad' where id = 1; alter type mood rename value 'bad' to 'worse'`);
  const inside = await databaseTime(client);
  await client.query(`update t set m = 'ok' where id = 2; alter type mood rename value 'ok' to 'bad'`);
  const child = await backUp(stack, client, made.tenant, { jobType: 'incremental', baseBackupId: made.backup });
  await client.query(
    `alter type mood rename value 'worse' to 'ok'; update t set m = 'bad' where id = 1; delete from t where id = 2`,
  );
  await restored(stack, made.tenant, child);
  assert.deepEqual(await rowsOf('id, m::text'), [
    [1, 'ok'],
    [2, 'bad'],
  ]);
  await client.query('delete from t');
  const { status, body } = await call(stack, 'pitr-restore', await made.tenant.token('admin'), {
    targetTimestamp: inside,
    baseBackupId: child,
    tables: [`${made.s}.t`],
    confirmRestore: true,
  });
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(await rowsOf('id, m::text'), [
    [1, 'ok'],
    [2, 'ok'],
  ]);
});

test('a generated column that became a plain one has no values of then, which is said', async () => {
  const made = await backedUp('v text, n int, up text generated always as (upper(v)) stored', TWO);
  await client.query(
    `alter table t alter up drop expression; update t set up = 'kept', n = 9; delete from t where id = 2`,
  );
  const name = `${made.s}.t.up`;
  assert.deepEqual((await toMoment(made))['warnings'], [
    `${name} was generated then; rows that are there keep its value of now`,
  ]);
  assert.deepEqual(await rowsOf('id, n, up'), [
    [1, 1, 'kept'],
    [2, 2, 'B'],
  ]);
  await client.query(DAMAGE);
  const said = (await restored(stack, made.tenant, made.backup))['warnings'];
  assert.deepEqual(said, [`${name} was generated then, and has no values in the backup; it was left as it is`]);
  assert.deepEqual(await rowsOf('id, n, up'), [
    [1, 1, 'kept'],
    [2, 2, null],
  ]);
  await client.query('alter table t add more int');
  assert.ok(
    ((await restored(stack, made.tenant, made.backup))['warnings'] as string[]).includes(
      `${made.s}.t.more is newer than the backup; rows that are there keep theirs, and those that come back get its default`,
    ),
  );
});

test('values that do not fit are a conflict that names table, column and both types, in a dry run, a restore and a deep test', async () => {
  const made = await backedUp('e old, n text', [`'x', 'abc'`], `create type old as enum ('x', 'y')`);
  await client.query(`update t set e = 'y', n = '7'; alter type old rename to older; create type old as enum ('y', 'z');
    alter table t alter e type old using e::text::old; drop type older; alter table t alter n type int using n::int`);
  const details = [
    `${made.s}.t.e: values of then do not fit the type ${made.s}.old, as it is now (it has no value "x"); they can come back once it takes them`,
    `${made.s}.t.n: values of then do not fit the type integer, as it is now (it was text then); they can come back once it takes them`,
  ];
  const reply = await restore(stack, made.tenant, made.backup);
  assert.deepEqual([...refusal(reply), reply.body.details], [409, 'CONFLICT', details]);
  const moment = await call(stack, 'pitr-restore', await made.tenant.token('admin'), {
    targetTimestamp: made.at,
    tables: [`${made.s}.t`],
    confirmRestore: true,
  });
  assert.deepEqual([...refusal(moment), moment.body.details], [409, 'CONFLICT', details]);
  const results = await deep(made);
  assert.deepEqual(kindsOf(results), ['constraint_broken']);
  assert.ok(results.findings[0]?.sentence.includes(details.join('; ')), JSON.stringify(results.findings));
  assert.deepEqual(await rowsOf('e::text, n'), [['y', 7]], 'nothing was changed');
});

describe('a table that is called otherwise now', () => {
  test('is restored under its new name, and said to be', async () => {
    const made = await backedUp('v text, n int', TWO);
    await client.query(
      `alter table t rename to u; create schema ${made.s}b; alter table u set schema ${made.s}b; set search_path = ${made.s}b; update u set n = 9`,
    );
    const now = `${made.s}b.u`;
    for (const tables of [undefined, [now]]) {
      await client.query('update u set n = 9');
      const answer = await restored(stack, made.tenant, made.backup, tables === undefined ? {} : { tables });
      assert.deepEqual([answer['restoredTables'], answer['warnings']], [[now], [`${made.s}.t is called ${now} now`]]);
      assert.deepEqual(await rowsOf('id, n', 'u'), [
        [1, 1],
        [2, 2],
      ]);
    }
    assert.deepEqual(kindsOf(await deep(made)), []);
  });

  test('is backed up again as an increment, and restored from it', async () => {
    const made = await backedUp('v text, n int', TWO);
    await client.query('alter table t rename to u; update u set n = 3 where id = 2');
    const child = await backUp(stack, client, made.tenant, { jobType: 'incremental', baseBackupId: made.backup });
    await client.query('delete from u');
    await restored(stack, made.tenant, child);
    assert.deepEqual(await rowsOf('id, n', 'u'), [
      [1, 1],
      [2, 3],
    ]);
  });

  test('is restored from a snapshot as well', async () => {
    const made = await backedUp('v text, n int', TWO);
    const snapshot = await backUp(stack, client, made.tenant, { jobType: 'snapshot', tables: [`${made.s}.t`] });
    await client.query('alter table t rename to u; delete from u');
    await restored(stack, made.tenant, snapshot);
    assert.deepEqual(await rowsOf('id, n', 'u'), [
      [1, 1],
      [2, 2],
    ]);
  });

  test('is rolled back to its snapshot, whatever has its name now', async () => {
    const made = await backedUp('v text, n int', TWO);
    await client.query('update t set n = 9');
    const { snapshotId } = (await toMoment(made)) as unknown as { snapshotId: string };
    await client.query(
      `create table copy (like t including all); alter table t rename to old; alter table copy rename to t; select m23.protect_table('t')`,
    );
    const { status, body } = await call(stack, 'pitr-rollback', await made.tenant.token('admin'), {
      snapshotId,
      confirmRollback: true,
    });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(
      [body['warnings'], body['affectedTables']],
      [[`${made.s}.t is called ${made.s}.old now`], [`${made.s}.old`]],
    );
    assert.deepEqual(await rowsOf('id, n', 'old'), [
      [1, 9],
      [2, 9],
    ]);
  });

  test('is not taken for the one that has its name now, which is told of', async () => {
    const made = await backedUp('v text, n int', TWO);
    await client.query(
      'create table copy (like t including all); alter table t rename to old; alter table copy rename to t; delete from old',
    );
    const answer = await restored(stack, made.tenant, made.backup);
    assert.deepEqual(answer['warnings'], [
      `${made.s}.t was another table then, which is called ${made.s}.old now; the present ${made.s}.t is left as it is`,
    ]);
    assert.deepEqual(
      [await rowsOf('id, n', 'old'), await rowsOf('id, n', 't')],
      [
        [
          [1, 1],
          [2, 2],
        ],
        [],
      ],
    );
  });

  test('gives way to a protected one that has its name since, and that is told of', async () => {
    const made = await backedUp('v text, n int', TWO);
    await client.query(
      `create table copy (like t including all); alter table t rename to old; alter table copy rename to t; select m23.protect_table('t')`,
    );
    const answer = await restored(stack, made.tenant, made.backup);
    assert.deepEqual(answer['warnings'], [
      `${made.s}.t was another table then, which is called ${made.s}.old now; the rows went to the present ${made.s}.t`,
    ]);
    assert.deepEqual(await rowsOf('id, n', 't'), [
      [1, 1],
      [2, 2],
    ]);
  });

  test('has exchanged its name with another of the backup: each gets its own rows', async () => {
    const made = await backedUp('v text, n int', TWO);
    await client.query(
      `create table o (id int primary key, tenant_id uuid not null); select m23.protect_table('o'); insert into o values (7, '${made.tenant.id}')`,
    );
    const backup = await backUp(stack, client, made.tenant, {
      jobType: 'full',
      tables: [`${made.s}.t`, `${made.s}.o`],
    });
    await client.query(
      'alter table t rename to x; alter table o rename to t; alter table x rename to o; delete from t; delete from o',
    );
    await restored(stack, made.tenant, backup, { tables: [`${made.s}.o`] });
    assert.deepEqual(
      [await rowsOf('id, n', 'o'), await rowsOf('id', 't')],
      [
        [
          [1, 1],
          [2, 2],
        ],
        [],
      ],
    );
    await restored(stack, made.tenant, backup);
    assert.deepEqual(await rowsOf('id', 't'), [[7]]);
  });

  test('was dropped: the cause is named, and once it is made again its rows come back', async () => {
    const made = await backedUp('v text, n int', TWO);
    await client.query('drop table t');
    const reply = await restore(stack, made.tenant, made.backup);
    assert.deepEqual(
      [...refusal(reply), reply.body.details],
      [409, 'CONFLICT', [`${made.s}.t does not exist any more and was left out; make it again and protect it`]],
    );
    await client.query('create table t (id int primary key, tenant_id uuid not null, v text, n int)');
    assert.deepEqual((await restore(stack, made.tenant, made.backup)).body.details, [
      `${made.s}.t is not protected any more and was left out`,
    ]);
    await client.query(`select m23.protect_table('t')`);
    await restored(stack, made.tenant, made.backup);
    assert.deepEqual(await rowsOf('id, n'), [
      [1, 1],
      [2, 2],
    ]);
    assert.deepEqual(kindsOf(await deep(made)), []);
  });
});
