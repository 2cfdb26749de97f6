import type { Json } from './generated/database.ts';
import type { M23 } from './m23.ts';
import { moment } from './moment.ts';
import { previewOf } from './preview.ts';
import { invoke, type Project, read } from './supabase.ts';
import { tenantOr } from './tenant.ts';
import { transactionLogs } from './transactions.ts';
import type {
  ActivePITRSnapshot,
  PITRRestoreRequest,
  PITRRestoreResponse,
  PITRRollback,
  PITRRollbackRequest,
  PITRRollbackResponse,
  RestoreLog,
  RestoreSelection,
} from './types.ts';
import { mustBeCompleted, watchRestore, watchRollback } from './watch.ts';

type PITR = Pick<
  M23,
  | 'executePITR'
  | 'getPITRPreview'
  | 'lookAtPITR'
  | 'getTransactionLogs'
  | 'getPITRStats'
  | 'executePITRRollback'
  | 'getActivePITRSnapshots'
  | 'watchRollback'
>;

/** Point-in-time recovery of a project. */
export function pitr(project: () => Project): PITR {
  const executePITR: M23['executePITR'] = async (restore, options = {}) => {
    const answer = await invoke<PITRRestoreResponse>(project(), 'pitr-restore', restore, options);
    if (options.wait === false || answer.status !== 'in_progress' || answer.restoreLogId === undefined) return answer;
    return ofRestore(mustBeCompleted(await watchRestore(project(), answer.restoreLogId, options)));
  };
  return {
    executePITR,

    async getPITRPreview(targetTimestamp, baseBackupId, tables, options = {}) {
      const request: PITRRestoreRequest = {
        targetTimestamp: moment(targetTimestamp),
        dryRun: true,
        ...(baseBackupId === undefined ? {} : { baseBackupId }),
        ...(tables === undefined ? {} : { tables }),
        ...selectionOf(options),
      };
      return previewOf(project(), await executePITR(request, options));
    },

    async lookAtPITR(targetTimestamp, choice = {}) {
      const selection = selectionOf(choice);
      const args = {
        p_tenant_id: await tenantOr(project(), choice.tenantId, choice),
        p_target_timestamp: moment(targetTimestamp),
        ...(choice.tables === undefined ? {} : { p_tables: [...choice.tables] }),
        ...(Object.keys(selection).length === 0 ? {} : { p_selection: selection as unknown as Json }),
      };
      const seen = await read(project().rpc('get_pitr_preview', args), choice);
      return previewOf(project(), seen as unknown as PITRRestoreResponse);
    },

    getTransactionLogs: async (filter = {}) => transactionLogs(project(), filter),

    async getPITRStats(targetTimestamp, baseBackupTimestamp, options = {}) {
      const args = {
        p_tenant_id: await tenantOr(project(), options.tenantId, options),
        p_target_timestamp: moment(targetTimestamp),
        ...(baseBackupTimestamp === undefined ? {} : { p_base_backup_timestamp: moment(baseBackupTimestamp) }),
      };
      const stats = (await read(project().rpc('calculate_pitr_stats', args), options)) as unknown as DatabaseStats;
      return {
        totalOperations: stats.total_operations,
        insertCount: stats.insert_count,
        updateCount: stats.update_count,
        deleteCount: stats.delete_count,
        affectedTables: stats.affected_tables,
      };
    },

    async executePITRRollback(snapshotId, reason, dryRun = false, options = {}) {
      const request: PITRRollbackRequest = {
        snapshotId,
        ...(reason === undefined ? {} : { reason }),
        ...(options.planHash === undefined ? {} : { planHash: options.planHash }),
        ...(options.onBlocked === undefined ? {} : { onBlocked: options.onBlocked }),
        ...(dryRun ? { dryRun } : { confirmRollback: true }),
      };
      const answer = await invoke<PITRRollbackResponse>(project(), 'pitr-rollback', request, options);
      if (options.wait === false || answer.status !== 'in_progress' || answer.rollbackId === undefined) return answer;
      return ofRollback(mustBeCompleted(await watchRollback(project(), answer.rollbackId, options)));
    },

    async getActivePITRSnapshots(options = {}) {
      const tenant = await tenantOr(project(), options.tenantId, options);
      return (await read(
        project().rpc('get_active_pitr_snapshots', { p_tenant_id: tenant }),
        options,
      )) as ActivePITRSnapshot[];
    },

    watchRollback: async (rollbackId, options = {}) => watchRollback(project(), rollbackId, options),
  };
}

/** The fields of a choice that are there. */
type ChosenFields = { readonly [Field in keyof RestoreSelection]?: NonNullable<RestoreSelection[Field]> };

/** The fields of a choice that choose rows, as a body has them. */
function selectionOf(choice: RestoreSelection): ChosenFields {
  const { rows, exceptRows, where, operations, withRelated, includeRelated, mode, onBlocked } = choice;
  const fields = { rows, exceptRows, where, operations, withRelated, includeRelated, mode, onBlocked };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** What `calculate_pitr_stats` gives. */
interface DatabaseStats {
  total_operations: number;
  insert_count: number;
  update_count: number;
  delete_count: number;
  affected_tables: string[];
}

/** The answers that completed work would have given, had it been waited for. */
function ofRestore(log: RestoreLog): PITRRestoreResponse {
  return {
    success: true,
    restoreLogId: log.id,
    status: 'completed',
    ...(log.stats === null ? {} : { stats: log.stats }),
    ...(log.snapshot_id === null ? {} : { snapshotId: log.snapshot_id }),
    ...(log.metadata.transaction === undefined ? {} : { transactionId: log.metadata.transaction }),
    ...(log.metadata.conflict_count === undefined ? {} : { conflictCount: log.metadata.conflict_count }),
    warnings: log.warnings,
    ...log.metadata.preview,
  };
}

function ofRollback(log: PITRRollback): PITRRollbackResponse {
  return {
    success: true,
    rollbackId: log.id,
    status: 'completed',
    affectedTables: log.affected_tables ?? [],
    rowsRestored: log.rows_restored ?? 0,
    ...(log.pre_rollback_snapshot_id === null ? {} : { snapshotId: log.pre_rollback_snapshot_id }),
    warnings: log.warnings,
  };
}
