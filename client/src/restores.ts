import { page } from './lists.ts';
import type { M23 } from './m23.ts';
import { invoke, type Project, read } from './supabase.ts';
import type { BackupRestoreResponse, RestoreLog } from './types.ts';
import { mustBeCompleted, watchRestore } from './watch.ts';

type Restores = Pick<M23, 'executeRestore' | 'getRestoreLogs' | 'watchRestore'>;

/** Restores of a project. */
export function restores(project: () => Project): Restores {
  return {
    async executeRestore(restore, options = {}) {
      const answer = await invoke<BackupRestoreResponse>(project(), 'backup-restore', restore, options);
      if (options.wait === false || answer.status !== 'in_progress' || answer.restoreLogId === undefined) return answer;
      return ofLog(mustBeCompleted(await watchRestore(project(), answer.restoreLogId, options)));
    },

    async getRestoreLogs(filter = {}) {
      let query = page(project().from('restore_logs').select('*'), filter);
      if (filter.status !== undefined) query = query.eq('status', filter.status);
      if (filter.restoreType !== undefined) query = query.eq('restore_type', filter.restoreType);
      return (await read(query, filter)) as RestoreLog[];
    },

    watchRestore: async (restoreLogId, options = {}) => watchRestore(project(), restoreLogId, options),
  };
}

/** The answer that a completed restore would have given, had it been waited for. */
function ofLog(log: RestoreLog): BackupRestoreResponse {
  return {
    success: true,
    restoreLogId: log.id,
    status: 'completed',
    restoredTables: log.tables ?? [],
    rowsRestored: log.rows_restored ?? 0,
    duration: log.duration_seconds ?? 0,
    ...(log.snapshot_id === null ? {} : { snapshotId: log.snapshot_id }),
    warnings: log.warnings,
    ...log.metadata.preview,
  };
}
