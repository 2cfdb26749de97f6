import { M23Error } from './errors.ts';
import type { WatchOptions } from './options.ts';
import { pause } from './pause.ts';
import { type Project, read } from './supabase.ts';
import type { BackupJob, ErrorCode, LogStatus, PITRRollback, RecoveryTest, RestoreLog } from './types.ts';

interface Work {
  readonly id: string;
  readonly status: LogStatus;
  readonly error_message: string | null;
}

const FIRST_PAUSE_MS = 150;
const LONGEST_PAUSE_MS = 2000;
/** Looks in a row that may go unanswered: work goes on while a network does not. */
const PATIENCE = 5;

/** Follows a backup to its end. */
export async function watchBackup(
  project: Project,
  jobId: string,
  options: WatchOptions<BackupJob>,
): Promise<BackupJob> {
  const look = (): Promise<unknown[]> => read(project.from('backup_jobs').select('*').eq('id', jobId), options);
  return await follow<BackupJob>(look, 'BACKUP_NOT_FOUND', options);
}

/** Follows a restore to its end. */
export async function watchRestore(
  project: Project,
  restoreLogId: string,
  options: WatchOptions<RestoreLog>,
): Promise<RestoreLog> {
  const look = (): Promise<unknown[]> => read(project.from('restore_logs').select('*').eq('id', restoreLogId), options);
  return await follow<RestoreLog>(look, 'NOT_FOUND', options);
}

/** Follows a rollback to its end. */
export async function watchRollback(
  project: Project,
  rollbackId: string,
  options: WatchOptions<PITRRollback>,
): Promise<PITRRollback> {
  const look = (): Promise<unknown[]> => read(project.from('pitr_rollbacks').select('*').eq('id', rollbackId), options);
  return await follow<PITRRollback>(look, 'NOT_FOUND', options);
}

/** Follows a recovery test to its end. */
export async function watchRecoveryTest(
  project: Project,
  testId: string,
  options: WatchOptions<RecoveryTest>,
): Promise<RecoveryTest> {
  const look = (): Promise<unknown[]> => read(project.from('recovery_tests').select('*').eq('id', testId), options);
  return await follow<RecoveryTest>(look, 'NOT_FOUND', options);
}

/** The row when its work is completed; throws for work that failed or was cancelled. */
export function mustBeCompleted<Row extends Work>(row: Row): Row {
  if (row.status === 'completed') return row;
  const code = row.status === 'cancelled' ? 'WORK_CANCELLED' : 'WORK_FAILED';
  throw new M23Error(row.error_message ?? `The work ended as ${row.status}.`, { code, details: [`id: ${row.id}`] });
}

async function follow<Row extends Work>(
  look: () => Promise<unknown[]>,
  missing: ErrorCode,
  { signal, onProgress }: WatchOptions<Row>,
): Promise<Row> {
  let shown = '';
  let unanswered = 0;
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 1.5, LONGEST_PAUSE_MS)) {
    const rows = await look().catch((error: unknown) => {
      unanswered += 1;
      if (!(error instanceof M23Error) || error.code !== 'UNAVAILABLE' || unanswered > PATIENCE) throw error;
      return undefined;
    });
    if (rows !== undefined) {
      unanswered = 0;
      const [row] = rows as Row[];
      if (row === undefined)
        throw new M23Error('There is no such work in this tenant.', { code: missing, status: 404 });
      const seen = JSON.stringify(row);
      if (seen !== shown) onProgress?.(row);
      shown = seen;
      if (row.status !== 'pending' && row.status !== 'in_progress') return row;
    }
    await pause(wait, signal);
  }
}
