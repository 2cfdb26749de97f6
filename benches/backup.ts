import { join } from 'node:path';

import type pg from 'pg';

import { type Stack, startStack } from '../stack/stack.ts';
import { backUp, restored } from '../tests/fixtures/functions.ts';
import { measureDump } from './dump.ts';
import { interleaved, ratio, spread } from './measure.ts';
import { PeakMemory } from './memory.ts';
import type { Options } from './options.ts';
import { newStateFolder, removeStateFolder } from './place.ts';
import type { Row, Section } from './report.ts';
import { createTable, tenantWith } from './rows.ts';

const UNLIMITED = { 'backup-create': 1_000, 'backup-restore': 1_000, 'pitr-restore': 1_000 };
const BACKUP = { jobType: 'full', tables: ['bench.items'] };

/** Backups and restores over HTTP, through PostgREST and the Workers, against COPY in the server. */
export async function backup({ quick }: Options): Promise<Section> {
  const stateDir = newStateFolder();
  const stack = await startStack({ stateDir, ephemeral: true, rateLimits: UNLIMITED });
  const client = await stack.postgres.connect();
  try {
    await createTable(client, 'items');
    await client.query(`select m23.protect_table('bench.items')`);
    const memory = await measureMemory(stack, client, quick);
    const rows = [...await measureSpeed(stack, client, quick), ...await measureDump(stack, client, quick), memory];
    return { title: 'backup: over HTTP, through PostgREST and the Worker', rows };
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
  const { rows: [folder] } = await client.query<{ data_directory: string }>('show data_directory');
  const file = join(folder?.data_directory ?? '', 'bench.copy');
  await client.query(`copy (${rows}) to '${file}'`);
  let job = '';
  const empty = async (): Promise<void> => {
    await client.query(`delete from bench.items where tenant_id = '${tenant.id}'`);
    await client.query('vacuum bench.items');
  };
  const contenders = [
    { name: 'backup', run: async () => { job = await backUp(stack, client, tenant, BACKUP); } },
    { name: 'copy out', run: async () => void await client.query(`copy (${rows}) to program 'gzip -1 > bench.gz'`) },
    { name: 'restore', prepare: empty, run: async () => void await restored(stack, tenant, job) },
    { name: 'copy in', prepare: empty, run: async () => void await client.query(`copy bench.items from '${file}'`) },
  ];
  job = await backUp(stack, client, tenant, BACKUP);
  const times = await interleaved(quick ? 2 : 5, contenders);
  const what = `${count.toLocaleString('en')} rows`;
  return [
    { what: `full backup of ${what} / COPY (…) TO | gzip -1`, ratio: ratio(times['backup'], times['copy out']), goal: { atMost: 3 } },
    { what: `restore of ${what} into live tables / COPY FROM, captured`, ratio: ratio(times['restore'], times['copy in']), goal: { atMost: 3 } },
  ];
}

async function measureMemory(stack: Stack, client: pg.Client, quick: boolean): Promise<Row> {
  const [few, many] = quick ? [10_000, 50_000] : [10_000, 300_000];
  const memory = new PeakMemory();
  const peaks: number[] = [];
  for (const count of [few, few, many]) {
    const tenant = await tenantWith(stack, client, count);
    memory.reset();
    await backUp(stack, client, tenant, BACKUP);
    peaks.push(memory.megabytes ?? NaN);
  }
  const [, small = NaN, large = NaN] = peaks;  // the first one warms up
  return {
    what: `peak memory of workerd: backup of ${many.toLocaleString('en')} rows / of ${few.toLocaleString('en')}`,
    ratio: Number.isNaN(large) ? undefined : spread([large / small]),
    goal: { atMost: 1.3 },
    note: Number.isNaN(large) ? 'only Linux tells' : `${Math.round(small)} and ${Math.round(large)} MB, all Workers and the simulated R2 together`,
  };
}
