import { addedRatio, quantile, ratio, type Spread, spread } from '../measure.ts';
import type { Goal, Row } from '../report.ts';
import { OPERATIONS, type Operation } from './statements.ts';

/** Milliseconds of each repetition, by who captures the table; nobody's are `plain`. */
export type Costs = Record<string, number[]>;

/** How much is measured. */
export interface Extent {
  repetitions: number;
  /** Of each repetition. */
  blocks: number;
}

/** What is noise of the machine only adds to a cost, so a repetition is the lower fifth of its blocks. */
const LOWER_FIFTH = 0.2;

/** No costs yet, of each operation. */
export function nothing(capturers: readonly string[]): Record<Operation, Costs> {
  const empty = (): Costs => Object.fromEntries(capturers.map((capturer) => [capturer, []]));
  return { insert: empty(), update: empty(), delete: empty() };
}

/** Costs of small pieces of work: block by block, operation by operation, the tables in turn. */
export async function inBlocks(
  capturers: readonly string[],
  { repetitions, blocks }: Extent,
  cost: (operation: Operation, capturer: string, block: number) => Promise<number>,
): Promise<Record<Operation, Costs>> {
  const measured = nothing(capturers);
  let block = 0;
  const runBlock = async (costs: Record<Operation, Costs>): Promise<void> => {
    block++;
    for (const operation of OPERATIONS) {
      const turn = block % 2 === 0 ? capturers : capturers.toReversed();
      for (const capturer of turn) costs[operation][capturer]?.push(await cost(operation, capturer, block));
    }
  };
  await runBlock(nothing(capturers)); // warms up
  for (let n = 0; n < repetitions; n++) {
    const costs = nothing(capturers);
    for (let m = 0; m < blocks; m++) await runBlock(costs);
    for (const operation of OPERATIONS) {
      for (const capturer of capturers) {
        measured[operation][capturer]?.push(lowerFifth(costs[operation][capturer] ?? []));
      }
    }
  }
  return measured;
}

export function lowerFifth(costs: readonly number[]): number {
  return quantile(costs, LOWER_FIFTH);
}

/** Milliseconds that a capture adds to the uncaptured work. */
export function added(costs: Costs, capturer: string): Spread | undefined {
  const plain = quantile(costs['plain'] ?? [], 0.5);
  const captured = costs[capturer];
  return captured === undefined ? undefined : spread(captured.map((cost) => cost - plain));
}

/** What M23 adds, as a share of what E-Maj adds; the note says what both add, in `unit`. */
export function addedRow(what: string, costs: Costs, unit: 'ms' | 'µs', goal?: Goal): Row {
  return {
    what: `${what}: added by M23 / added by E-Maj`,
    ratio: addedRatio(costs['m23'], costs['emaj'], costs['plain']),
    goal,
    note: noPeer(costs) ?? `+${amount(costs, 'm23', unit)}, +${amount(costs, 'emaj', unit)} ${unit}`,
  };
}

/** What captured work costs, and what is added to it. */
export function rowsOf(what: string, costs: Costs, unit: 'ms' | 'µs', goal: Goal): Row[] {
  return [
    { what: `${what}: M23 / uncaptured`, ratio: ratio(costs['m23'], costs['plain']) },
    { what: `${what}: E-Maj / uncaptured`, ratio: ratio(costs['emaj'], costs['plain']), note: noPeer(costs) },
    addedRow(what, costs, unit, goal),
  ];
}

function noPeer(costs: Costs): string | undefined {
  return costs['emaj'] === undefined ? 'no peer' : undefined;
}

function amount(costs: Costs, capturer: string, unit: 'ms' | 'µs'): string {
  const { median = NaN } = added(costs, capturer) ?? {};
  return (unit === 'ms' ? median : median * 1_000).toFixed(1);
}
