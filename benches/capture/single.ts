import type pg from 'pg';

import type { Place } from '../place.ts';
import type { Goal, Row } from '../report.ts';
import { addedRow, type Costs, type Extent, inBlocks, rowsOf } from './costs.ts';
import { Pipeline } from './pipeline.ts';
import { OPERATIONS, type Operation, prepared, tableOf } from './statements.ts';

const STATEMENTS = 100;
const IN_TRANSACTION = 10;

const SINGLE_GOALS: Record<Operation, Goal> = {
  insert: { atMost: 0.8 },
  update: { atMost: 0.65 },
  delete: { atMost: 1 },
};
const TRANSACTION_GOALS: Partial<Record<Operation, Goal>> = { update: { atMost: 1 }, delete: { atMost: 1.5 } };

/** Prepared statements over one row, each a transaction of its own. */
export async function singleRows(place: Place, capturers: readonly string[], extent: Extent): Promise<Row[]> {
  const costs = await singleCosts(place, capturers, extent);
  return OPERATIONS.flatMap((operation) =>
    rowsOf(`${operation}, single row`, costs[operation], 'µs', SINGLE_GOALS[operation]),
  );
}

/** The same statements, ten in a transaction: those after the first are made in one that has written. */
export async function transactionRows(place: Place, capturers: readonly string[], extent: Extent): Promise<Row[]> {
  const costs = await measure(place, capturers, extent, inTransactions);
  return OPERATIONS.map((operation) =>
    addedRow(`${operation}, ten in a transaction`, costs[operation], 'µs', TRANSACTION_GOALS[operation]),
  );
}

/** What single statements cost, table by table in turn. */
export async function singleCosts(
  place: Place,
  capturers: readonly string[],
  extent: Extent,
): Promise<Record<Operation, Costs>> {
  return await measure(place, capturers, extent, (statements) => statements);
}

type Statement = string | pg.QueryConfig;

async function measure(
  place: Place,
  capturers: readonly string[],
  extent: Extent,
  arrange: (statements: Statement[]) => Statement[],
): Promise<Record<Operation, Costs>> {
  for (const capturer of capturers) await place.client.query(`vacuum analyze ${tableOf(capturer)}`);
  return await Pipeline.in(place, (pipeline) =>
    inBlocks(capturers, extent, async (operation, capturer, block) => {
      const statements = keysOf(block).map((id) => prepared(operation, capturer, id));
      return (await pipeline.cost(arrange(statements))) / STATEMENTS;
    }),
  );
}

/** Keys of rows that only this block has. */
function keysOf(block: number): number[] {
  return Array.from({ length: STATEMENTS }, (_, n) => 1_000_000 + block * STATEMENTS + n);
}

function inTransactions(statements: Statement[]): Statement[] {
  return statements.flatMap((statement, n) => {
    if (n % IN_TRANSACTION === 0) return ['begin', statement];
    return (n + 1) % IN_TRANSACTION === 0 ? [statement, 'commit'] : [statement];
  });
}
