import { Meter } from '../meter.ts';
import type { Place } from '../place.ts';
import type { Row } from '../report.ts';
import { added, addedRow, type Extent, inBlocks } from './costs.ts';
import { OPERATIONS, type Operation, single } from './statements.ts';

const GOAL = { atMost: 1.5 };

/** The first write of a session, which reads the catalogue and makes all plans. */
export async function firstWriteRows(place: Place, capturers: readonly string[], extent: Extent): Promise<Row[]> {
  const costs = await inBlocks(capturers, extent, (...one) => firstWrite(place, ...one));
  return OPERATIONS.flatMap((operation): Row[] => {
    const what = `first ${operation} of a session`;
    return [
      { what: `${what}: added by M23`, amount: added(costs[operation], 'm23'), unit: 'ms', goal: GOAL },
      addedRow(what, costs[operation], 'ms'),
    ];
  });
}

async function firstWrite({ postgres }: Place, operation: Operation, capturer: string, block: number): Promise<number> {
  const session = await postgres.connect();
  try {
    await session.query('do $$ begin end $$'); // servers of Supabase load PL/pgSQL beforehand
    const meter = await Meter.of(session);
    return await meter.spent(() => session.query(single(operation, capturer), [3_000_000 + block]));
  } finally {
    await session.end();
  }
}
