import { randomBytes } from 'node:crypto';

import type pg from 'pg';

import { ratio, type Spread, spread, timed } from '../measure.ts';
import type { Place } from '../place.ts';
import type { Row } from '../report.ts';
import { tenantOf } from '../rows.ts';
import { type Extent, lowerFifth } from './costs.ts';
import { logBytes } from './log-size.ts';
import { Pipeline } from './pipeline.ts';

const ROWS = 10;
const TEXT_LENGTH = 100_000;
const UPDATES = 50;

const GOALS = { time: { atMost: 2 }, wal: { atMost: 1_000 }, log: { atMost: 500 } };

/** What an update costs, of each repetition; times in milliseconds. */
interface Costs {
  clock: number[];
  cpu: number[];
  walBytes: number[];
  logBytes: number[];
}

/** A counter that is updated beside a text of 100 KB, which stays as it is. */
export async function wideRows(place: Place, extent: Extent): Promise<Row[]> {
  for (const capturer of ['plain', 'm23']) await createTable(place.client, capturer);
  await place.client.query(`select m23.protect_table('bench.wide_m23')`);
  const { plain, m23 } = await Pipeline.in(place, (pipeline) => measure(pipeline, extent));
  const what = 'counter beside 100 KB';
  const note = `uncaptured ${spread(plain.walBytes).median.toFixed(0)} B`;
  const bytes = (figures: readonly number[]): { amount: Spread; unit: 'B' } => ({ amount: spread(figures), unit: 'B' });
  return [
    { what: `${what}: M23 / uncaptured`, ratio: ratio(m23.cpu, plain.cpu), goal: GOALS.time },
    { what: `${what}: M23 / uncaptured, by the clock`, ratio: ratio(m23.clock, plain.clock), goal: GOALS.time },
    { what: `${what}: WAL of an update`, ...bytes(m23.walBytes), goal: GOALS.wal, note },
    { what: `${what}: log of an update`, ...bytes(m23.logBytes), goal: GOALS.log },
  ];
}

async function createTable(client: pg.Client, capturer: string): Promise<void> {
  const table = `bench.wide_${capturer}`;
  await client.query(`create table ${table} (
    id bigint primary key, tenant_id uuid not null, views int not null, body text not null)`);
  for (let id = 1; id <= ROWS; id++) {
    await client.query(`insert into ${table} values ($1, $2, 0, $3)`, [id, tenantOf(0), incompressible()]);
  }
  await client.query(`vacuum analyze ${table}`);
  const {
    rows: [stored],
  } = await client.query<{ bytes: number }>(`
    select min(pg_column_size(body)) as bytes from ${table}`);
  if ((stored?.bytes ?? 0) < TEXT_LENGTH) throw new Error(`${table} has its texts in ${stored?.bytes} bytes`);
}

/** Hex digits: PostgreSQL tries to compress them, as any text, and keeps them as they are. */
function incompressible(): string {
  return randomBytes(TEXT_LENGTH / 2).toString('hex');
}

async function measure(pipeline: Pipeline, { repetitions, blocks }: Extent): Promise<{ plain: Costs; m23: Costs }> {
  const nothing = (): Costs => ({ clock: [], cpu: [], walBytes: [], logBytes: [] });
  const costs = { plain: nothing(), m23: nothing() };
  await repeat(pipeline, 'plain', 1, nothing()); // warms up
  await repeat(pipeline, 'm23', 1, nothing());
  for (let n = 0; n < repetitions; n++) {
    const turn = ['plain', 'm23'] as const;
    for (const capturer of n % 2 === 0 ? turn : turn.toReversed()) {
      await repeat(pipeline, capturer, blocks, costs[capturer]);
    }
  }
  return costs;
}

async function repeat(pipeline: Pipeline, capturer: string, blocks: number, costs: Costs): Promise<void> {
  const counting = Array.from(
    { length: UPDATES },
    (_, n): pg.QueryConfig => ({
      name: `count_${capturer}`,
      text: `update bench.wide_${capturer} set views = views + 1 where id = $1`,
      values: [(n % ROWS) + 1],
    }),
  );
  const [clock, cpu]: [number[], number[]] = [[], []];
  const [wal, log] = [await walBytes(pipeline.client), await logBytes(pipeline.client)];
  for (let block = 0; block < blocks; block++) {
    cpu.push(await pipeline.cost(counting));
    clock.push(await timed(() => pipeline.run(counting)));
  }
  const updates = 2 * blocks * UPDATES;
  costs.clock.push(lowerFifth(clock));
  costs.cpu.push(lowerFifth(cpu));
  costs.walBytes.push(((await walBytes(pipeline.client)) - wal) / updates);
  costs.logBytes.push(((await logBytes(pipeline.client)) - log) / updates);
}

async function walBytes(client: pg.Client): Promise<number> {
  const {
    rows: [wal],
  } = await client.query<{ bytes: string }>(`select pg_current_wal_insert_lsn() - '0/0' as bytes`);
  return Number(wal?.bytes);
}
