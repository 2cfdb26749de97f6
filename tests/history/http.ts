// The same over HTTP, as a client would.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Stack } from '../../stack/stack.ts';
import { call, jobOf, type Reply } from '../fixtures/functions.ts';
import { tokenOf } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';
import type { History } from './history.ts';
import { type Done, iso, type Owned } from './recovery.ts';
import { TABLES } from './tables.ts';

const ALL = TABLES.map(({ name }) => name);

/** A backup of the first tenant, on another or whole. One in whose middle a column or a label was renamed has failed, and is made again. */
export async function takeBackup(stack: Stack, history: History, baseBackupId?: string): Promise<string> {
  for (let left = 9; ; left -= 1) {
    const id = await beginBackup(stack, history, baseBackupId);
    const job = await eventually(
      () => jobOf(history.client, id),
      ({ status }) => status === 'completed' || status === 'failed',
    );
    if (job.status === 'completed') return id;
    if (left === 0 || !/columns of .* changed|type that .* uses was altered/.test(String(job.error_message))) {
      throw new Error(`M23_SEED=${history.seed}: a backup failed: ${job.error_message}\n${loggedErrors(stack)}`);
    }
  }
}

async function beginBackup(stack: Stack, history: History, baseBackupId: string | undefined): Promise<string> {
  const token = await tokenOf(stack, history.tenants[0]?.owner ?? '');
  const reply = await call(
    stack,
    'backup-create',
    token,
    baseBackupId === undefined ? { jobType: 'full', tables: qualified(ALL) } : { jobType: 'incremental', baseBackupId },
  );
  assertDone(stack, history, reply);
  return String(reply.body['jobId']);
}

/** A failure is told with what the Workers have logged of it: a history does not come again. */
function assertDone(stack: Stack, history: History, reply: Reply): void {
  assert.equal(
    reply.status,
    200,
    reply.status === 200 ? '' : `M23_SEED=${history.seed}: ${JSON.stringify(reply.body)}\n${loggedErrors(stack)}`,
  );
}

function loggedErrors(stack: Stack): string {
  return readFileSync(join(stack.stateDir, 'workers.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes('"level":"error"'))
    .slice(-3)
    .join('\n');
}

function qualified(tables: readonly string[]): string[] {
  return tables.map((name) => `history.${name}`);
}

/** pitr-restore, from the log or from an archive, and its entry in the record. */
export async function restoreOverHttp(
  stack: Stack,
  history: History,
  tenant: Owned,
  at: bigint,
  baseBackupId?: string,
  tables = ALL,
): Promise<Done> {
  const reply = await askForRestore(stack, tenant, at, baseBackupId, tables);
  assertDone(stack, history, reply);
  const {
    rows: [entry],
  } = await history.client.query<{ n: string }>(
    `insert into history.journal (xid, what) select (metadata ->> 'transaction')::xid8, $2 from public.restore_logs where id = $1 returning n`,
    [reply.body['restoreLogId'], JSON.stringify({ tenant: tenant.id, tables, at: String(at) })],
  );
  return {
    workId: String(reply.body['restoreLogId']),
    n: Number(entry?.n ?? 0),
    snapshotId: String(reply.body['snapshotId']),
    warnings: reply.body['warnings'] as string[],
  };
}

export async function askForRestore(
  stack: Stack,
  tenant: Owned,
  at: bigint,
  baseBackupId?: string,
  tables: readonly string[] = ALL,
): Promise<Reply> {
  const body = {
    targetTimestamp: iso(at),
    tables: qualified(tables),
    confirmRestore: true,
    ...(baseBackupId === undefined ? {} : { baseBackupId }),
  };
  return await call(stack, 'pitr-restore', await tokenOf(stack, tenant.owner), body);
}

/** A member of a chain beside the live data; gives the schema. */
export async function copyOverHttp(stack: Stack, tenant: Owned, backupJobId: string): Promise<string> {
  const targetSchema = `copy_${backupJobId.replaceAll('-', '')}`;
  const reply = await call(stack, 'backup-restore', await tokenOf(stack, tenant.owner), {
    backupJobId,
    targetSchema,
    confirmRestore: true,
  });
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  return targetSchema;
}
