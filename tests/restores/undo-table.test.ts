// What becomes of a row when changes of it are taken back: one rule a line, for both ways of dealing with conflicts.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { openDatabase, rowTexts } from '../fixtures/database.ts';
import { actAsService, lookAtUndo, type OnConflict, transaction, type Undone, undo } from '../fixtures/undo.ts';

const { client } = await openDatabase();

/** `{T}` stands for the tenant. Steps that begin with `S:` are taken back. */
interface Rule {
  what: string;
  rows?: string;
  steps: string[];
  /** The rows under `skip`, and under `overwrite` where they are others. */
  skip: string[];
  overwrite?: string[];
  /** The columns in conflict, row by row. */
  conflicts?: string[];
}

const ROW = `insert into d (id, tenant_id, a, b) values (1, '{T}', '1', '1')`;
const replace = (a: string, b: string): string =>
  `delete from d where id = 1; insert into d (id, tenant_id, a, b) values (1, '{T}', '${a}', '${b}')`;

const RULES: Rule[] = [
  { what: 'another field stays', steps: [`S:update d set a = '2'`, `update d set b = '2'`], skip: ['1 1 2'] },
  {
    what: 'the same field stays as it was set later',
    steps: [`S:update d set a = '2'`, `update d set a = '3'`],
    skip: ['1 3 1'],
    overwrite: ['1 1 1'],
    conflicts: ['a'],
  },
  {
    what: 'changes by turns leave what others set last',
    steps: [`S:update d set a = '2'`, `update d set a = '3'`, `S:update d set a = '4'`],
    skip: ['1 3 1'],
    overwrite: ['1 1 1'],
    conflicts: ['a'],
  },
  {
    what: 'a change that others took back leaves nothing to do',
    steps: [`S:update d set a = '2'`, `update d set a = '1'`],
    skip: ['1 1 1'],
  },
  {
    what: 'a change that others took back makes later ones clean again',
    steps: [`S:update d set a = '2'`, `update d set a = '1'`, `update d set a = '5'`],
    skip: ['1 5 1'],
  },
  {
    what: 'an equal value is judged by its writer',
    steps: [`S:update d set a = '2'`, `update d set a = '3'`, `update d set a = '2'`],
    skip: ['1 2 1'],
    overwrite: ['1 1 1'],
    conflicts: ['a'],
  },
  { what: 'an inserted row goes', rows: '', steps: [`S:${ROW}`, `S:update d set a = '2'`], skip: [] },
  {
    what: 'an inserted row that others have changed stays',
    rows: '',
    steps: [`S:${ROW}`, `update d set b = '2'`],
    skip: ['1 1 2'],
    overwrite: [],
    conflicts: ['id,tenant_id,a,b,u,updated_at'],
  },
  {
    what: 'an inserted row that others have saved without a change goes',
    rows: '',
    steps: [`S:${ROW}`, `update d set b = '1'`, `update d set updated_at = now()`],
    skip: [],
  },
  {
    what: 'an inserted row that others have changed stays without the second change',
    rows: '',
    steps: [`S:${ROW}`, `update d set b = '2'`, `S:update d set a = '3'`],
    skip: ['1 1 2'],
    overwrite: [],
    conflicts: ['id,tenant_id,a,b,u,updated_at'],
  },
  {
    what: 'an inserted row that others have deleted and inserted anew is theirs',
    rows: '',
    steps: [`S:${ROW}`, 'delete from d', `insert into d (id, tenant_id, a, b) values (1, '{T}', '7', '7')`],
    skip: ['1 7 7'],
  },
  { what: 'a deleted row comes back', steps: ['S:delete from d'], skip: ['1 1 1'] },
  {
    what: 'a deleted row whose key others have used stays theirs where it differs',
    steps: ['S:delete from d', `insert into d (id, tenant_id, a, b) values (1, '{T}', '1', '9')`],
    skip: ['1 1 9'],
    overwrite: ['1 1 1'],
    conflicts: ['b'],
  },
  {
    what: 'a deleted row whose key others have used alike is no conflict',
    steps: ['S:delete from d', ROW],
    skip: ['1 1 1'],
  },
  {
    what: 'a deleted row whose key others have used and left stays away',
    steps: ['S:delete from d', ROW, 'delete from d'],
    skip: [],
  },
  { what: 'a row that others have deleted stays away', steps: [`S:update d set a = '2'`, 'delete from d'], skip: [] },
  {
    what: 'a row replaced in one transaction is updated',
    steps: [`S:${replace('2', '1')}`, `update d set b = '2'`],
    skip: ['1 1 2'],
  },
  {
    what: 'a row that others replace in one transaction is updated by them',
    steps: [`S:update d set a = '2'`, replace('2', '5')],
    skip: ['1 1 5'],
  },
  {
    what: 'a changed key goes back, and what others did stays with the row',
    steps: ['S:update d set id = 2', `update d set b = '2' where id = 2`],
    skip: ['1 1 2'],
  },
  {
    what: 'a row is found at the key that others gave it',
    steps: [`S:update d set a = '2'`, 'update d set id = 5'],
    skip: ['5 1 1'],
  },
  {
    what: 'a key that another row has by now stays its own',
    steps: ['S:update d set id = 2', `insert into d (id, tenant_id, a, b) values (1, '{T}', '8', '8')`],
    skip: ['1 8 8', '2 1 1'],
    conflicts: ['id'],
  },
  {
    what: 'swapped keys are swapped back, and what others did stays with its row',
    rows: `${ROW}; insert into d (id, tenant_id, a, b) values (2, '{T}', '2', '2')`,
    steps: [
      'S:update d set id = 9 where id = 1; update d set id = 1 where id = 2; update d set id = 2 where id = 9',
      `update d set b = '7' where id = 1`,
    ],
    skip: ['1 1 1', '2 2 7'],
  },
  {
    what: 'swapped unique values are swapped back',
    rows: `insert into d (id, tenant_id, a, b, u) values (1, '{T}', '1', '1', 1), (2, '{T}', '2', '2', 2)`,
    steps: [
      'S:update d set u = 9 where id = 1; update d set u = 1 where id = 2; update d set u = 2 where id = 1',
      `update d set b = '7' where id = 2`,
    ],
    skip: ['1 1 1 1', '2 2 7 2'],
  },
  {
    what: 'a unique value that another row has by now stays its own',
    rows: `insert into d (id, tenant_id, a, b, u) values (1, '{T}', '1', '1', 1)`,
    steps: ['S:update d set u = 9', `insert into d (id, tenant_id, a, b, u) values (2, '{T}', '2', '2', 1)`],
    skip: ['1 1 1 9', '2 2 2 1'],
    conflicts: ['u'],
  },
  { what: 'a truncated table is full again', steps: ['S:truncate d, c'], skip: ['1 1 1'] },
  {
    what: 'a column that only others set is no conflict with long values beside it',
    steps: [`S:update d set a = repeat('x', 5000)`, `update d set b = repeat('y', 5000)`, `update d set b = '2'`],
    skip: ['1 1 2'],
  },
  {
    what: 'a parent that others have given children stays',
    rows: '',
    steps: [`S:${ROW}`, `insert into c values (1, '{T}', 1)`],
    skip: ['1 1 1', 'c 1'],
    conflicts: ['id,tenant_id,a,b,u,updated_at'],
  },
  {
    what: 'a child whose parent others have deleted stays away',
    rows: `${ROW}; insert into c values (1, '{T}', 1)`,
    steps: ['S:delete from c', 'delete from d'],
    skip: [],
    conflicts: ['id,tenant_id,d'],
  },
  {
    what: 'a parent comes back with the children that fell with it',
    rows: `${ROW}; insert into c values (1, '{T}', 1), (2, '{T}', 1)`,
    steps: ['delete from c where id = 2', 'S:delete from d'],
    skip: ['1 1 1', 'c 1'],
  },
];

before(async () => {
  await actAsService(client);
  await client.query(`
    create table d (id int primary key, tenant_id uuid not null, a text, b text, u int unique, updated_at timestamptz);
    create table c (id int primary key, tenant_id uuid not null, d int references d on delete cascade);
    select m23.protect_table('d'), m23.protect_table('c')`);
});

async function rows(): Promise<string[]> {
  return (
    await rowTexts(client, `select concat_ws(' ', id, a, b, u) as r from d union all select 'c ' || id from c`)
  ).map((row) => row.replace(/^\("?(.*?)"?\)$/, '$1'));
}

/** Makes the rows and the steps; gives the tenant and the transactions to take back. */
async function history({ rows: given = ROW, steps }: Rule): Promise<{ tenant: string; taken: string[] }> {
  const tenant = randomUUID();
  const sql = (text: string): string => text.replaceAll('{T}', tenant);
  await client.query('delete from c; delete from d');
  if (given !== '') await client.query(sql(given));
  const taken: string[] = [];
  for (const step of steps) {
    const xid = await transaction(client, sql(step.replace(/^S:/, '')));
    if (step.startsWith('S:')) taken.push(xid);
  }
  return { tenant, taken };
}

/** The undo as its dry run says beforehand, and the rows after it; all of it is then rolled back. */
async function tried(tenant: string, taken: string[], onConflict: OnConflict): Promise<[Undone, string[]]> {
  const seen = await lookAtUndo(client, tenant, taken, onConflict);
  await client.query('begin');
  try {
    const done = await undo(client, tenant, taken, onConflict, { planHash: seen.planHash });
    assert.equal(done.error, undefined, JSON.stringify(done.error));
    assert.equal(seen.wouldFail, undefined);
    assert.deepEqual(done.conflicts, seen.conflicts);
    assert.equal(done.conflict_count, seen.conflictCount);
    assert.deepEqual(done.warnings, seen.warnings);
    assert.equal(done.rows_restored, seen.stats.totalOperations);
    return [done, await rows()];
  } finally {
    await client.query('rollback');
  }
}

describe('taking changes back', () => {
  for (const rule of RULES)
    test(rule.what, async () => {
      const { tenant, taken } = await history(rule);
      for (const [onConflict, expected] of [
        ['skip', rule.skip],
        ['overwrite', rule.overwrite ?? rule.skip],
      ] as const) {
        const [done, found] = await tried(tenant, taken, onConflict);
        assert.deepEqual(found, expected, onConflict);
        assert.deepEqual(
          done.conflicts.map(({ columns }) => columns.join()),
          rule.conflicts ?? [],
          onConflict,
        );
      }
    });
});
