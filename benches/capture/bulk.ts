import { type Contender, interleaved } from '../measure.ts';
import { Meter } from '../meter.ts';
import type { Place } from '../place.ts';
import type { Row } from '../report.ts';
import { type Costs, nothing, rowsOf } from './costs.ts';
import { bulk, OPERATIONS, type Operation, tableOf } from './statements.ts';

const GOAL = { atMost: 0.28 };

/** One statement over as many rows as `bench.source` has. */
export async function bulkRows(
  place: Place,
  capturers: readonly string[],
  count: number,
  repetitions: number,
): Promise<Row[]> {
  const costs = await bulkCosts(place, capturers, repetitions);
  const rows = `${count.toLocaleString('en')} rows`;
  return OPERATIONS.flatMap((operation) => rowsOf(`${operation}, ${rows}`, costs[operation], 'ms', GOAL));
}

/** What such statements cost, table by table in turn; `sourceOf` names where a table's rows come from. */
export async function bulkCosts(
  { client }: Place,
  capturers: readonly string[],
  repetitions: number,
  sourceOf: (capturer: string) => string = () => 'source',
): Promise<Record<Operation, Costs>> {
  const meter = await Meter.of(client);
  let measured = nothing(capturers);
  const runAll = async (capturer: string): Promise<void> => {
    for (const operation of OPERATIONS) {
      measured[operation][capturer]?.push(
        await meter.spent(() => client.query(bulk(operation, capturer, sourceOf(capturer)))),
      );
    }
  };
  const contenders = capturers.map(
    (capturer): Contender => ({
      name: capturer,
      prepare: async () => void (await client.query(`vacuum ${tableOf(capturer)}`)),
      run: () => runAll(capturer),
    }),
  );
  await interleaved(1, contenders); // warms up
  measured = nothing(capturers);
  await interleaved(repetitions, contenders);
  return measured;
}
