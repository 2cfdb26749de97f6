import { createClient, FunctionsHttpError, type SupabaseClient } from '@supabase/supabase-js';

import type { DemoUser } from '../stack/demo-tenants.ts';
import { StackFailure } from '../stack/failure.ts';

/** What `backup-create` answers. */
interface Begun {
  jobId: string;
  backupName: string;
  estimatedDuration: number;
}

/** A row of `backup_jobs`, as far as the demo reads it. */
export interface BackupJob {
  id: string;
  status: 'pending' | 'in_progress' | 'completed' | 'failed';
  error_message: string | null;
  duration_seconds: number | null;
  backup_size_bytes: number | null;
  metadata: { progress?: BackupProgress };
}

/** `backup_jobs.metadata.progress` */
export interface BackupProgress {
  rows: number;
  estimated_rows: number;
  bytes: number;
  stored_bytes: number;
  chunks: number;
  tables: number;
  tables_done: number;
  current_table: string | null;
}

/** A row of `restore_logs`, as far as the demo reads it. */
export interface RestoreLog {
  id: string;
  status: 'pending' | 'in_progress' | 'completed' | 'failed' | 'cancelled';
  error_message: string | null;
  duration_seconds: number | null;
  rows_restored: number | null;
  stats: { insertCount: number; updateCount: number; deleteCount: number; affectedTables: string[] } | null;
  warnings: string[];
  metadata: { progress?: { rows: number; total_rows: number } };
}

const LOOK_EVERY_MS = 100;
const GIVE_UP_AFTER_MS = 180_000;

/** Signs a user in with an unmodified supabase-js client. */
export async function signIn(url: string, anonKey: string, { email, password }: DemoUser): Promise<SupabaseClient> {
  const api = createClient(url, anonKey, { auth: { autoRefreshToken: false, persistSession: false } });
  const { error } = await api.auth.signInWithPassword({ email, password });
  if (error !== null) throw new StackFailure(`${email} could not sign in: ${error.message}`);
  return api;
}

/** Makes a full backup and follows it to its end. */
export async function backUp(
  api: SupabaseClient,
  onProgress: (progress: BackupProgress) => void,
): Promise<{ begun: Begun; job: BackupJob }> {
  const begun = await invoke<Begun>(api, 'backup-create', {
    jobType: 'full',
    backupName: 'Demo: before the bad morning',
  });
  const job = await follow<BackupJob>(api, 'backup_jobs', 'id', begun.jobId, ({ metadata }) => {
    if (metadata.progress !== undefined) onProgress(metadata.progress);
  });
  return { begun, job };
}

/** Restores a backup over the live data and follows the restore to its end. */
export async function restore(
  api: SupabaseClient,
  backupJobId: string,
  onProgress: (log: RestoreLog) => void,
): Promise<RestoreLog> {
  const answer = invoke<{ restoreLogId: string }>(api, 'backup-restore', { backupJobId, confirmRestore: true });
  const ended = follow<RestoreLog>(api, 'restore_logs', 'backup_job_id', backupJobId, onProgress);
  // A call that is refused leaves no log row to follow.
  const [log] = await Promise.all([ended, answer]);
  return log;
}

async function invoke<T>(api: SupabaseClient, name: string, body: Record<string, unknown>): Promise<T> {
  const { data, error } = await api.functions.invoke<T>(name, { body });
  if (error === null && data !== null) return data;
  const words = error instanceof FunctionsHttpError ? await (error.context as Response).text() : String(error);
  throw new StackFailure(`${name} was refused: ${words}`);
}

/** Reads a row of the API until its work has ended. */
async function follow<T extends { status: string; error_message: string | null }>(
  api: SupabaseClient,
  table: string,
  column: string,
  value: string,
  onProgress: (row: T) => void,
): Promise<T> {
  const giveUp = performance.now() + GIVE_UP_AFTER_MS;
  while (performance.now() < giveUp) {
    const { data, error } = await api.from(table).select('*').eq(column, value).limit(1).returns<T[]>();
    if (error !== null) throw new StackFailure(`${table} could not be read: ${error.message}`);
    const row = data[0];
    if (row?.status === 'completed') return row;
    if (row?.status === 'failed' || row?.status === 'cancelled')
      throw new StackFailure(`${table}: it ${row.status}: ${row.error_message ?? 'without a reason'}`);
    if (row !== undefined) onProgress(row);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new StackFailure(`${table}: no end within ${GIVE_UP_AFTER_MS / 1000} s`);
}
