import type pg from 'pg';

import { type Stack, startStack } from '../stack/stack.ts';
import { backUp } from '../tests/fixtures/functions.ts';
import { recoveryTest, testRow } from '../tests/fixtures/recovery.ts';
import type { Tenant } from '../tests/fixtures/tenants.ts';
import { eventually } from '../tests/fixtures/time.ts';
import { ratio } from './measure.ts';
import type { Options } from './options.ts';
import { newStateFolder, removeStateFolder } from './place.ts';
import type { Row, Section } from './report.ts';
import { createTable, tenantWith } from './rows.ts';

const UNLIMITED = { 'backup-create': 1_000, 'recovery-test': 1_000 };
const LEVELS = ['basic', 'full', 'deep'] as const;

/** Recovery tests over HTTP at every level, against the full backup that they are of. */
export async function proof({ quick }: Options): Promise<Section> {
  const stateDir = newStateFolder();
  const stack = await startStack({ stateDir, ephemeral: true, rateLimits: UNLIMITED });
  const client = await stack.postgres.connect();
  try {
    await createTable(client, 'items');
    await client.query(`select m23.protect_table('bench.items')`);
    const rows: Row[] = [];
    for (const count of quick ? [2_000, 10_000] : [10_000, 100_000, 300_000])
      rows.push(...(await measure(stack, client, count, quick ? 2 : 3)));
    return { title: 'proof: recovery tests against the full backup that they are of', rows };
  } finally {
    await client.end();
    await stack.close();
    removeStateFolder(stateDir);
  }
}

/** Seconds as the database has noted them in the rows of backups and tests. */
async function measure(stack: Stack, client: pg.Client, count: number, repetitions: number): Promise<Row[]> {
  const tenant = await tenantWith(stack, client, count);
  const seconds: Record<string, number[]> = { backup: [], basic: [], full: [], deep: [] };
  for (let n = 0; n < repetitions; n += 1) {
    const backup = await backUp(stack, client, tenant);
    const {
      rows: [job],
    } = await client.query<{ seconds: string }>(
      'select duration_seconds as seconds from public.backup_jobs where id = $1',
      [backup],
    );
    seconds['backup']?.push(Number(job?.seconds));
    for (const level of LEVELS) seconds[level]?.push(await tested(stack, client, tenant, backup, level));
  }
  const last = (name: string): string => `${seconds[name]?.at(-1)?.toFixed(1)} s`;
  return LEVELS.map((level) => ({
    what: `${level} test of ${count.toLocaleString('en')} rows / their full backup`,
    ratio: ratio(seconds[level], seconds['backup']),
    note: `${last(level)}, ${last('backup')}`,
  }));
}

async function tested(stack: Stack, client: pg.Client, tenant: Tenant, backup: string, level: string): Promise<number> {
  const { body } = await recoveryTest(stack, tenant, { validation_level: level, backup_job_id: backup });
  const row = await eventually(
    () => testRow(client, body['testId']),
    ({ status }) => status === 'completed' || status === 'failed',
    300_000,
  );
  const results = row['results'] as { duration: number; issuesFound: number } | null;
  if (results?.issuesFound !== 0) throw new Error(`the ${level} test did not pass: ${JSON.stringify(row)}`);
  return results.duration;
}
