import type pg from 'pg';

import { quantile, ratio, type Spread, spread, timed } from './measure.ts';
import type { Options } from './options.ts';
import type { Place } from './place.ts';
import { Recovery } from './recovery.ts';
import type { Section } from './report.ts';
import { damage, fillTable, scattered, type TableShape, tenantOf } from './rows.ts';

const RESTORED = 0;
const OTHER = 1;
const QUIET_MS = 1_500;

/** What a client of another tenant sees while something else runs. */
interface Seen {
  /** Milliseconds of each of its statements. */
  latencies: number[];
  /** Milliseconds that the something took. */
  took: number;
}

/** Single-row updates of another tenant: in quiet, beside a restore, beside an ordinary large UPDATE. */
export async function writers(place: Place, { quick }: Options): Promise<Section> {
  const { client } = place;
  const shape: TableShape = { name: 'written', rows: quick ? 100_000 : 400_000, tenants: 4 };
  const count = shape.rows / 4;
  const where = scattered(shape, RESTORED, count);
  await fillTable(client, shape);
  await client.query(`select m23.protect_table('bench.written')`);
  const recovery = await Recovery.of(client, tenantOf(RESTORED), 'written');
  const writer = await place.postgres.connect();

  const quiet: Seen[] = [];
  const restoring: Seen[] = [];
  const updating: Seen[] = [];
  for (let n = 0; n < (quick ? 2 : 5); n++) {
    quiet.push(await beside(writer, () => new Promise((resolve) => setTimeout(resolve, QUIET_MS))));
    const at = await recovery.moment();
    updating.push(await beside(writer, () => damage(client, 'written', where)));
    restoring.push(await beside(writer, () => recovery.restore(at)));
    await client.query('vacuum bench.written');
  }
  await writer.end();
  const longest = restoring.map(({ latencies, took }) => Math.max(...latencies) / took);
  return {
    title: `writers of other tenants, during a restore of ${count.toLocaleString('en')} rows`,
    rows: [
      { what: 'p50: during a restore / in quiet', ratio: compare(restoring, quiet, 0.5) },
      {
        what: 'p50: during a restore / during a plain UPDATE of as many rows',
        ratio: compare(restoring, updating, 0.5),
      },
      { what: 'p99: during a restore / in quiet', ratio: compare(restoring, quiet, 0.99) },
      {
        what: 'p99: during a restore / during a plain UPDATE of as many rows',
        ratio: compare(restoring, updating, 0.99),
      },
      {
        what: 'longest statement during a restore / the restore (1: blocked)',
        ratio: spread(longest),
        goal: { atMost: 0.1 },
      },
    ],
  };
}

function compare(ones: readonly Seen[], others: readonly Seen[], share: number): Spread | undefined {
  return ratio(
    ones.map(({ latencies }) => quantile(latencies, share)),
    others.map(({ latencies }) => quantile(latencies, share)),
  );
}

/** Writes, one statement after the other, for as long as some work runs. */
async function beside(writer: pg.Client, work: () => Promise<unknown>): Promise<Seen> {
  const latencies: number[] = [];
  let running = true;
  const working = timed(work).finally(() => {
    running = false;
  });
  working.catch(() => undefined); // told of below
  for (let n = 1; running; n = (n % 50_000) + 1) {
    const values = [OTHER + 4 * n];
    latencies.push(
      await timed(() =>
        writer.query({ name: 'write', text: 'update bench.written set quantity = quantity + 1 where id = $1', values }),
      ),
    );
  }
  return { latencies, took: await working };
}
