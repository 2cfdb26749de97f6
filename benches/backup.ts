import { join } from 'node:path';

import type pg from 'pg';

import { type Stack, type StackOptions, startStack } from '../stack/stack.ts';
import { backUp, restored } from '../tests/fixtures/functions.ts';
import { measureDump } from './dump.ts';
import { interleaved, ratio } from './measure.ts';
import { memoryRows, type Needed, PeakMemory } from './memory.ts';
import type { Options } from './options.ts';
import { newStateFolder, removeStateFolder } from './place.ts';
import type { Row, Section } from './report.ts';
import { createTable, tenantWith } from './rows.ts';
import { peakOf, type WorkerPeak } from './worker-memory.ts';

const UNLIMITED = { 'backup-create': 1_000, 'backup-restore': 1_000, 'pitr-restore': 1_000 };
const BACKUP = { jobType: 'full', tables: ['bench.items'] };

/** Backups and restores over HTTP, through PostgREST and the Workers, against COPY in the server. */
export async function backup({ quick }: Options): Promise<Section> {
  const rows = await withStack({}, async (stack, client) => [
    ...(await measureSpeed(stack, client, quick)),
    ...(await measureDump(stack, client, quick)),
  ]);
  const memory = await withStack(
    { inspector: true },
    async (stack, client) => await measureMemory(stack, client, quick),
  );
  return { title: 'backup: over HTTP, through PostgREST and the Worker', rows: [...rows, ...memory] };
}

async function withStack(
  options: Pick<StackOptions, 'inspector'>,
  measure: (stack: Stack, client: pg.Client) => Promise<Row[]>,
): Promise<Row[]> {
  const stateDir = newStateFolder();
  const stack = await startStack({ ...options, stateDir, ephemeral: true, rateLimits: UNLIMITED });
  const client = await stack.postgres.connect();
  try {
    await createTable(client, 'items');
    await client.query(`select m23.protect_table('bench.items')`);
    return await measure(stack, client);
  } finally {
    await client.end();
    await stack.close();
    removeStateFolder(stateDir);
  }
}

async function measureSpeed(stack: Stack, client: pg.Client, quick: boolean): Promise<Row[]> {
  const count = quick ? 20_000 : 100_000;
  const tenant = await tenantWith(stack, client, count);
  const rows = `select * from bench.items where tenant_id = '${tenant.id}'`;
  const {
    rows: [folder],
  } = await client.query<{ data_directory: string }>('show data_directory');
  const file = join(folder?.data_directory ?? '', 'bench.copy');
  await client.query(`copy (${rows}) to '${file}'`);
  let job = '';
  const empty = async (): Promise<void> => {
    await client.query(`delete from bench.items where tenant_id = '${tenant.id}'`);
    await client.query('vacuum bench.items');
  };
  const contenders = [
    {
      name: 'backup',
      run: async () => {
        job = await backUp(stack, client, tenant, BACKUP);
      },
    },
    { name: 'copy out', run: async () => void (await client.query(`copy (${rows}) to program 'gzip -1 > bench.gz'`)) },
    { name: 'restore', prepare: empty, run: async () => void (await restored(stack, tenant, job)) },
    { name: 'copy in', prepare: empty, run: async () => void (await client.query(`copy bench.items from '${file}'`)) },
  ];
  job = await backUp(stack, client, tenant, BACKUP);
  const times = await interleaved(quick ? 2 : 5, contenders);
  const what = `${count.toLocaleString('en')} rows`;
  return [
    {
      what: `full backup of ${what} / COPY (…) TO | gzip -1`,
      ratio: ratio(times['backup'], times['copy out']),
      goal: { atMost: 3 },
    },
    {
      what: `restore of ${what} into live tables / COPY FROM, captured`,
      ratio: ratio(times['restore'], times['copy in']),
      goal: { atMost: 3 },
    },
  ];
}

async function measureMemory(stack: Stack, client: pg.Client, quick: boolean): Promise<Row[]> {
  const warmUp = await tenantWith(stack, client, 10);
  const needed: Needed[] = [];
  for (const rows of quick ? [10_000, 50_000] : [10_000, 100_000, 1_000_000]) {
    const tenant = await tenantWith(stack, client, rows);
    // The memory of a module never shrinks: each size begins with a new workerd.
    const peakOfBackup = async (collecting: boolean): Promise<[WorkerPeak, number | undefined]> => {
      await stack.restartWorkers();
      await backUp(stack, client, warmUp, BACKUP);
      const process = new PeakMemory();
      process.reset();
      const worker = await peakOf(await stack.inspectorUrl(), 'backup-create', collecting, () =>
        backUp(stack, client, tenant, BACKUP),
      );
      return [worker, process.megabytes];
    };
    const [peak, process] = await peakOfBackup(false);
    const [held] = await peakOfBackup(true);
    needed.push({ rows, peak, held, process });
  }
  return memoryRows(needed);
}
