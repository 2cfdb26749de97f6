// Histories of capture can tell: each of these weakens capture on purpose, and some moment comes out wrong.
// tests/log/capture-history.test.ts has the same histories with capture as it is.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type pg from 'pg';

import { type Database, startDatabase } from '../fixtures/database.ts';
import { history, type Outcome } from '../history/capture/history.ts';
import { SHAPES } from '../history/capture/shapes.ts';
import type { Table } from '../history/capture/tables.ts';

const SEED = Number(process.env['M23_SEED'] ?? Math.floor(Math.random() * 1_000_000));
/** Not every history comes to what a mutant does wrong. */
const SEEDS = 3;
/** Of each of three writers. */
const TRANSACTIONS = 25;

/** The function of a table's capture that is weakened. */
type Captured = 'insert' | 'update' | 'delete' | 'row';

/** Changes the capture of one table. */
type Weakening = (client: pg.Client, tableId: number) => Promise<void>;

interface Mutant {
  rule: string;
  /** The shape whose histories come to it. */
  shape: string;
  weaken: Weakening;
}

/** In both branches of the row function: `if (differs) then if (key differs) then … else … end if; end if;`. */
const KEY_LOOK = /^( *if \(.*\) then\n *)if \(.*\) then$/gm;
const GROUP_LOOK = /^( *else\n) *if \(case .*$/gm;
const EVERY_FLAG = /undefined_column then\n(.*)$/m;

const MUTANTS: Mutant[] = [
  {
    rule: 'an update leaves what others have logged where it is',
    shape: 'plain',
    weaken: edited('update', /where l\.ctid = later\.place/g, 'where false'),
  },
  {
    rule: 'a delete leaves what others have logged where it is',
    shape: 'family',
    weaken: edited('delete', /where l\.ctid = later\.place/g, 'where false'),
  },
  {
    rule: 'an update of a key that moves is taken for one that does not',
    shape: 'plain',
    weaken: edited('row', KEY_LOOK, '$1if false then'),
  },
  {
    rule: 'long columns that change are taken for unchanged',
    shape: 'rewritten',
    weaken: edited('row', GROUP_LOOK, '$1null;'),
  },
  {
    rule: 'only the first row of a statement is looked at',
    shape: 'plain',
    weaken: edited('row', /(operator\(pg_catalog\.=\) 'yes' then\n)[\s\S]*?(\n {2}else\n {4}begin)/, '$1null;$2'),
  },
  {
    rule: 'a tenant whose case does not count is told by its spelling',
    shape: 'keyed',
    weaken: only('keyed.folded', edited('insert', /select lower\((r\.tenant_id::text)\), 'I'/g, "select $1, 'I'")),
  },
  {
    rule: 'a parent that changes its tenant takes no child along',
    shape: 'children',
    weaken: only('children.projects', edited('update', /foreach v_stale in array m23\.subtree.*$/gm, 'null;')),
  },
  {
    rule: "a child that falls with its parent is nobody's",
    shape: 'children',
    weaken: only('children.tasks', edited('delete', /where m23_a\.table_id = \d+/g, 'where false')),
  },
  {
    rule: 'the statement tells which columns it names, in the place of its rows',
    shape: 'rewritten',
    weaken: toldByStatement,
  },
];

describe(`capture that is weakened gives wrong rows (M23_SEED=${SEED})`, { concurrency: false }, () => {
  let database: Database;
  before(async () => {
    database = await startDatabase();
    await database.client.query('select m23.incarnation()');
  });
  after(() => database.close());

  for (const mutant of MUTANTS) {
    test(mutant.rule, async (t) => {
      for (let seed = SEED; seed < SEED + SEEDS; seed += 1) {
        const { moments, wrong, tally } = await weakened(database, mutant, seed);
        t.diagnostic(`seed ${seed}: ${wrong} of ${moments} moments are wrong, ${JSON.stringify(tally)}`);
        if (wrong > 0) return;
      }
      assert.fail(`no moment is wrong, with ${SEEDS} seeds from ${SEED}`);
    });
  }
});

async function weakened({ postgres }: Database, mutant: Mutant, seed: number): Promise<Outcome> {
  const shape = SHAPES.find(({ name }) => name === mutant.shape)!;
  return await history({
    connect: () => postgres.connect(),
    shape,
    seed,
    transactions: TRANSACTIONS,
    prepare: async (client) => {
      for (const table of shape.tables) await mutant.weaken(client, await idOf(client, table));
    },
  });
}

async function idOf(client: pg.Client, { name }: Table): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    'select id from m23.protected_tables where relid = $1::regclass',
    [name],
  );
  return rows[0]!.id;
}

async function definition(client: pg.Client, name: string): Promise<string> {
  const { rows } = await client.query<{ sql: string }>('select pg_get_functiondef($1::regproc) as sql', [name]);
  return rows[0]!.sql;
}

/** Writes a function anew, with another text where its own matches. */
function edited(captured: Captured, pattern: RegExp, text: string): Weakening {
  return async (client, id) => {
    const own = await definition(client, `m23_log.${captured}_${id}`);
    const weak = own.replace(pattern, text);
    assert.notEqual(weak, own, `${captured}_${id} has no ${pattern}`);
    await client.query(weak);
  };
}

/** Weakens one table of a shape. */
function only(name: string, weaken: Weakening): Weakening {
  return async (client, id) => {
    const { rows } = await client.query('select from m23.protected_tables where id = $1 and name = $2', [id, name]);
    if (rows.length > 0) await weaken(client, id);
  };
}

/** A trigger before the statement names all columns but views, and notes that all have changed; rows tell nothing. */
async function toldByStatement(client: pg.Client, id: number): Promise<void> {
  const flags = EVERY_FLAG.exec(await definition(client, `m23_log.row_${id}`))?.[1];
  assert.ok(flags !== undefined);
  const { rows } = await client.query<{ relation: string; columns: string }>(
    `select t.relid::regclass::text as relation, string_agg(quote_ident(a.attname), ', ') as columns
       from m23.protected_tables t join pg_attribute a on a.attrelid = t.relid
      where t.id = $1 and a.attnum > 0 and not a.attisdropped and a.attname <> 'views' group by t.relid`,
    [id],
  );
  const { relation, columns } = rows[0]!;
  await client.query(`
    create function m23_log.statement_${id}() returns trigger language plpgsql as $$ begin ${flags} return null; end $$;
    create trigger aaa_by_statement before update of ${columns} on ${relation}
      for each statement execute function m23_log.statement_${id}();
    create or replace function m23_log.row_${id}() returns trigger language plpgsql as $$ begin return null; end $$`);
}
