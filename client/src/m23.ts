import type { CallOptions, ListOptions, RequestOptions, WatchOptions, WorkOptions } from './options.ts';
import type { PITRPreview } from './preview.ts';
import type {
  ActivePITRSnapshot,
  BackupCreateResponse,
  BackupJob,
  BackupRestoreRequest,
  BackupRestoreResponse,
  BackupStatus,
  ChangeBucket,
  DisasterRecoveryPlan,
  FoundRow,
  HealthSnapshot,
  HistoryEvent,
  JobType,
  LogStatus,
  NewBackupJob,
  NewDRPlan,
  OnBlocked,
  PITRRestoreRequest,
  PITRRestoreResponse,
  PITRRollback,
  PITRRollbackResponse,
  PITRStats,
  RecoveryTest,
  RecoveryTestRequest,
  RecoveryTestResponse,
  RestoreLog,
  RestoreSelection,
  RowChange,
  Transaction,
  TransactionChange,
  TransactionLog,
  Values,
} from './types.ts';

/** What {@link M23.executeBackup} gives: the answer of `backup-create`, and the job as it stands now. */
export interface ExecutedBackup extends Omit<BackupCreateResponse, 'status'> {
  status: BackupStatus;
  /** The job's row; absent with `wait: false`. */
  job?: BackupJob;
}

/** Which backups to list. */
export interface BackupFilter extends ListOptions {
  status?: BackupStatus | undefined;
  jobType?: JobType | undefined;
}

/** Which restores to list. */
export interface RestoreFilter extends ListOptions {
  status?: LogStatus | undefined;
  restoreType?: RestoreLog['restore_type'] | undefined;
}

/** Which changes to list. */
export interface TransactionLogFilter extends CallOptions {
  /** The caller's tenant when absent. */
  tenantId?: string | undefined;
  /** `orders` or `schema.orders`; every protected table when absent. */
  table?: string | undefined;
  operation?: TransactionLog['operation'] | undefined;
  /** Who made the change: a user's id. */
  actor?: string | undefined;
  /** Committed at or after this time. */
  since?: string | Date | undefined;
  /** Committed before this time. */
  until?: string | Date | undefined;
  /** At most this many, newest first. Default 100. */
  limit?: number | undefined;
  /** Only changes older than this one: the last row gives the next page. */
  before?: Pick<TransactionLog, 'id' | 'transaction_id'> | undefined;
}

/** What a search found so far. */
export interface Search<Row> {
  rows: Row[];
  /** Up to when it looked, if it has taken its time and not looked everywhere. */
  searchedBack?: string;
  /** Where the next page begins; absent if there were no rows. */
  before?: object;
}

/** A range of time, and where in it to begin. */
interface RangeOptions extends TenantOptions {
  /** Committed at or after this time. */
  since?: string | Date | undefined;
  /** Committed before this time. */
  until?: string | Date | undefined;
  /** At most this many, up to 1,000. Default 100. */
  limit?: number | undefined;
  /** The `before` of the search so far. */
  before?: object | undefined;
}

/** Which changes to count. */
export interface HistogramChoice extends TenantOptions {
  /** Into how many parts the time is divided, up to 1,000. Default 100. */
  buckets?: number | undefined;
  /** `orders` or `schema.orders`; every protected table when absent. */
  tables?: readonly string[] | undefined;
  /** Who made the changes: a user's id. */
  actor?: string | undefined;
}

/** Which transactions to list. */
export interface TransactionFilter extends RangeOptions {
  /** The newest first, or those that changed or deleted most rows. Default `time`. */
  order?: 'time' | 'rows' | 'deletes' | undefined;
  /** Who made a change: a user's id. */
  actor?: string | undefined;
  source?: string | undefined;
}

/** Which changes of a transaction to list. */
export interface TransactionChanges extends TenantOptions {
  /** At most this many, up to 1,000. Default 100. */
  limit?: number | undefined;
  /** The last row of the page before. */
  before?: Pick<TransactionChange, 'id' | 'table_name'> | undefined;
}

/** Which rows to find. */
export interface FoundRowsFilter extends RangeOptions {
  /** `{ column: value }`, or `{ column: { gte, gt, lte, lt, in } }`; null is a null. */
  where?: Values | undefined;
  operation?: 'UPDATE' | 'DELETE' | undefined;
}

/** Which changes of a row to list. */
export interface RowHistoryFilter extends TenantOptions {
  /** At most this many, up to 1,000. Default 100. */
  limit?: number | undefined;
  /** The last row of the page before. */
  before?: Pick<RowChange, 'id'> | undefined;
}

/** What a look at a moment is of. */
export interface PITRChoice extends CallOptions, RestoreSelection {
  /** The caller's tenant when absent. */
  tenantId?: string | undefined;
  /** `orders` or `schema.orders`; every protected table when absent. */
  tables?: readonly string[] | undefined;
}

/** Of which tenant to ask. */
export interface TenantOptions extends CallOptions {
  /** The caller's tenant when absent. */
  tenantId?: string | undefined;
}

/**
 * The functions of M23, bound to one client.
 *
 * Every function throws an {@link M23Error}, or rejects with the reason of an aborted signal. Any of
 * them can meet `AUTH_REQUIRED` (not signed in), `TENANT_NOT_FOUND` (in no tenant, or in several with
 * none picked) and `UNAVAILABLE`; what else is thrown stands with each.
 */
export interface M23 {
  /**
   * Lists backups, newest first.
   *
   * Needs: any member.
   * Gives: rows of `backup_jobs`; `before` with the last row gives the next page.
   * Throws: `VALIDATION_FAILED` for a filter that cannot be read.
   */
  getBackupJobs(filter?: BackupFilter): Promise<BackupJob[]>;
  /**
   * Describes a backup, to be run by {@link M23.executeBackup}. It is not counted by the rate limit.
   *
   * Needs: owner, admin or operator.
   * Gives: the pending row of `backup_jobs`.
   * Throws: `INSUFFICIENT_PERMISSIONS` for other roles, another's tenant or name; `VALIDATION_FAILED`.
   */
  createBackupJob(backup: NewBackupJob, options?: CallOptions): Promise<BackupJob>;
  /**
   * Runs a pending job by `backup-create`, and waits for its end unless `wait: false`.
   *
   * Needs: owner, admin or operator; counts against `backup-create`'s limit.
   * Gives: the answer, with the job's row at its end.
   * Throws: `BACKUP_NOT_FOUND`, `VALIDATION_FAILED` (not pending any more), `BACKUP_UNUSABLE` (its base),
   * `INSUFFICIENT_PERMISSIONS`, `RATE_LIMIT_EXCEEDED`; `WORK_FAILED` when the backup failed afterwards.
   */
  executeBackup(jobId: string, options?: WorkOptions<BackupJob>): Promise<ExecutedBackup>;
  /**
   * One backup.
   *
   * Needs: any member.
   * Gives: its row of `backup_jobs`.
   * Throws: `BACKUP_NOT_FOUND`; another tenant's looks the same as a missing one.
   */
  getBackupById(id: string, options?: CallOptions): Promise<BackupJob>;
  /**
   * Follows a backup to its end, failed or not.
   *
   * Needs: any member.
   * Gives: the row at its end; `onProgress` gets it each time it has changed (`metadata.progress.percent`).
   * Throws: `BACKUP_NOT_FOUND`.
   */
  watchBackup(jobId: string, options?: WatchOptions<BackupJob>): Promise<BackupJob>;

  /**
   * Restores a backup by `backup-restore`, and waits for its end unless `wait: false`.
   *
   * Needs: owner or admin, and `confirmRestore: true`; counts against the limit.
   * Gives: what was restored, and the `snapshotId` that undoes it.
   * Throws: `BACKUP_NOT_FOUND`, `BACKUP_UNUSABLE`, `CONFLICT`, `RESTORE_IN_PROGRESS`, `VALIDATION_FAILED`,
   * `INSUFFICIENT_PERMISSIONS`, `RATE_LIMIT_EXCEEDED`; `WORK_FAILED` or `WORK_CANCELLED` when it ended so
   * after the call was answered: then nothing was changed.
   */
  executeRestore(restore: BackupRestoreRequest, options?: WorkOptions<RestoreLog>): Promise<BackupRestoreResponse>;
  /**
   * Lists restores, of backups and to moments, newest first.
   *
   * Needs: any member.
   * Gives: rows of `restore_logs`.
   * Throws: `VALIDATION_FAILED` for a filter that cannot be read.
   */
  getRestoreLogs(filter?: RestoreFilter): Promise<RestoreLog[]>;
  /**
   * Follows a restore to its end, however it ends.
   *
   * Needs: any member.
   * Gives: the row of `restore_logs` at its end.
   * Throws: `NOT_FOUND`.
   */
  watchRestore(restoreLogId: string, options?: WatchOptions<RestoreLog>): Promise<RestoreLog>;

  /**
   * Restores to a moment by `pitr-restore`, and waits for its end unless `wait: false`.
   *
   * Needs: owner or admin, and `confirmRestore: true` (or `dryRun: true`, for operators too); counts
   * against the limit.
   * Gives: the figures, and the `snapshotId` that undoes it.
   * Throws: `VALIDATION_FAILED` (a moment out of reach, a broken reference), `PLAN_CHANGED` (the
   * `planHash` no longer holds), `CONFLICT` (blocked rows, rules of now), `RESTORE_IN_PROGRESS`, `BACKUP_NOT_FOUND`, `BACKUP_UNUSABLE`,
   * `INSUFFICIENT_PERMISSIONS`, `RATE_LIMIT_EXCEEDED`; `WORK_FAILED`, `WORK_CANCELLED`.
   */
  executePITR(restore: PITRRestoreRequest, options?: WorkOptions<RestoreLog>): Promise<PITRRestoreResponse>;
  /**
   * Looks at what a restore to a moment would change, and changes nothing.
   *
   * Needs: owner, admin or operator; counts against `pitr-restore`'s limit, its further pages do not.
   * Gives: the figures, the first 100 changes of each table, `rows(table?)`, which fetches the rest
   * page by page while it is read, and the `planHash` to confirm. What was chosen in `options` must be
   * handed to `executePITR` as well.
   * Throws: as {@link M23.executePITR}.
   */
  getPITRPreview(
    targetTimestamp: string | Date,
    baseBackupId?: string,
    tables?: readonly string[],
    options?: RequestOptions & RestoreSelection,
  ): Promise<PITRPreview>;
  /**
   * The same as {@link M23.getPITRPreview} as far as the log reaches, without a call that is counted.
   *
   * Needs: owner, admin or operator; one at a time.
   * Gives: the preview.
   * Throws: `VALIDATION_FAILED` (a moment out of the log's reach, a broken reference),
   * `INSUFFICIENT_PERMISSIONS`; `UNAVAILABLE` while other previews of the caller or tenant are under way.
   */
  lookAtPITR(targetTimestamp: string | Date, choice?: PITRChoice): Promise<PITRPreview>;
  /**
   * Lists changes of protected rows: transactions newest first, by when they began, and the changes of each
   * from the last to the first.
   *
   * Needs: owner, admin or operator.
   * Gives: changes with the rows' old values; `before` with the last row gives the next page.
   * Throws: `VALIDATION_FAILED` for a filter that cannot be read, `INSUFFICIENT_PERMISSIONS`.
   */
  getTransactionLogs(filter?: TransactionLogFilter): Promise<TransactionLog[]>;
  /**
   * How many rows were inserted, updated and deleted when, table by table. Not counted by the rate limit.
   *
   * Needs: owner, admin or operator.
   * Gives: the parts of the time that have changes; those of a minute or more begin with a minute.
   * Throws: `VALIDATION_FAILED`, `INSUFFICIENT_PERMISSIONS`.
   */
  getChangeHistogram(since: string | Date, until: string | Date, choice?: HistogramChoice): Promise<ChangeBucket[]>;
  /**
   * Backups, snapshots, restores, rollbacks, tests, gaps and schema changes between two times, newest first.
   *
   * Needs: owner, admin or operator.
   * Gives: at most 1,000 of them.
   * Throws: `VALIDATION_FAILED`, `INSUFFICIENT_PERMISSIONS`.
   */
  getEvents(since: string | Date, until: string | Date, options?: TenantOptions): Promise<HistoryEvent[]>;
  /**
   * Lists transactions: the newest first, or the largest.
   *
   * Needs: owner, admin or operator.
   * Gives: a page; its `before` gives the next one. `searchedBack` is there if it has not looked everywhere.
   * Throws: `VALIDATION_FAILED`, `INSUFFICIENT_PERMISSIONS`.
   */
  getTransactions(filter?: TransactionFilter): Promise<Search<Transaction>>;
  /**
   * What a transaction has changed, the last change first, with each row before and after it.
   *
   * Needs: owner, admin or operator.
   * Gives: changes; `before` with the last row gives the next page. None, if it changed nothing of the tenant's.
   * Throws: `VALIDATION_FAILED`, `INSUFFICIENT_PERMISSIONS`.
   */
  getTransaction(transactionId: string, filter?: TransactionChanges): Promise<TransactionChange[]>;
  /**
   * Finds rows of a table as they were before they were changed or deleted, the newest change first.
   *
   * Needs: owner, admin or operator.
   * Gives: a page; its `before` gives the next one. `searchedBack` is there if it has not looked everywhere.
   * Throws: `VALIDATION_FAILED` for a filter that does not fit the table, `INSUFFICIENT_PERMISSIONS`.
   */
  findRows(table: string, filter?: FoundRowsFilter): Promise<Search<FoundRow>>;
  /**
   * Every change of one row, the newest first, with the row before and after it.
   *
   * Needs: owner, admin or operator.
   * Gives: changes; `before` with the last row gives the next page.
   * Throws: `VALIDATION_FAILED` for a key that is none of the table's, `INSUFFICIENT_PERMISSIONS`.
   */
  getRowHistory(table: string, key: Values, filter?: RowHistoryFilter): Promise<RowChange[]>;
  /**
   * How many rows a restore of all tables to a moment would change; with a second moment, the net
   * difference between the two. Not counted by the rate limit.
   *
   * Needs: any member.
   * Gives: the figures.
   * Throws: `VALIDATION_FAILED` for a moment out of reach.
   */
  getPITRStats(
    targetTimestamp: string | Date,
    baseBackupTimestamp?: string | Date,
    options?: TenantOptions,
  ): Promise<PITRStats>;
  /**
   * Goes back to a snapshot by `pitr-rollback`, and waits for its end unless `wait: false`.
   *
   * Needs: owner or admin (with `dryRun`, operators too); counts against the limit.
   * Gives: what changed, and the `snapshotId` that undoes the rollback.
   * Throws: `SNAPSHOT_NOT_FOUND`, `CONFLICT`, `RESTORE_IN_PROGRESS`, `PLAN_CHANGED`, `VALIDATION_FAILED`,
   * `INSUFFICIENT_PERMISSIONS`, `RATE_LIMIT_EXCEEDED`; `WORK_FAILED`, `WORK_CANCELLED`.
   */
  executePITRRollback(
    snapshotId: string,
    reason?: string,
    dryRun?: boolean,
    options?: WorkOptions<PITRRollback> & { planHash?: string | undefined; onBlocked?: OnBlocked | undefined },
  ): Promise<PITRRollbackResponse>;
  /**
   * Lists the snapshots that can be rolled back to, newest first.
   *
   * Needs: any member.
   * Gives: their `snapshot_id`, name, type, tables and expiry.
   * Throws: nothing of its own.
   */
  getActivePITRSnapshots(options?: TenantOptions): Promise<ActivePITRSnapshot[]>;
  /**
   * Follows a rollback to its end, however it ends.
   *
   * Needs: any member.
   * Gives: the row of `pitr_rollbacks` at its end.
   * Throws: `NOT_FOUND`.
   */
  watchRollback(rollbackId: string, options?: WatchOptions<PITRRollback>): Promise<PITRRollback>;

  /**
   * Lists disaster recovery plans, newest first.
   *
   * Needs: any member.
   * Gives: rows of `dr_plans`.
   * Throws: `VALIDATION_FAILED` for a filter that cannot be read.
   */
  fetchDRPlans(filter?: ListOptions & { isActive?: boolean | undefined }): Promise<DisasterRecoveryPlan[]>;
  /**
   * Enters a disaster recovery plan.
   *
   * Needs: owner or admin.
   * Gives: the row of `dr_plans`, with the dates when its next backup and test are due.
   * Throws: `VALIDATION_FAILED` with every fault; `INSUFFICIENT_PERMISSIONS`.
   */
  createDRPlan(plan: NewDRPlan, options?: CallOptions): Promise<DisasterRecoveryPlan>;
  /**
   * Proves by `recovery-test` that a backup can be restored, and waits for the end unless `wait: false`.
   *
   * Needs: owner, admin or operator; counts against the limit.
   * Gives: `results`, what the test found; `success` means only that it ran.
   * Throws: `BACKUP_NOT_FOUND`, `BACKUP_UNUSABLE`, `VALIDATION_FAILED`, `INSUFFICIENT_PERMISSIONS`,
   * `RATE_LIMIT_EXCEEDED`; `WORK_FAILED`, `WORK_CANCELLED` when it ended without a result.
   */
  executeRecoveryTest(test: RecoveryTestRequest, options?: WorkOptions<RecoveryTest>): Promise<RecoveryTestResponse>;
  /**
   * Lists health scores over time, newest first.
   *
   * Needs: any member.
   * Gives: rows of `health_snapshots`: the score with its parts.
   * Throws: `VALIDATION_FAILED` for a filter that cannot be read.
   */
  fetchHealthSnapshots(filter?: ListOptions): Promise<HealthSnapshot[]>;
  /**
   * The health of a tenant's backups. Below 70 is a reason to alert.
   *
   * Needs: any member of the tenant.
   * Gives: 0 to 100, of the last `daysBack` days (30).
   * Throws: `TENANT_NOT_FOUND` for another's tenant.
   */
  calculateHealthScore(tenantId?: string, daysBack?: number, options?: CallOptions): Promise<number>;
  /**
   * Follows a recovery test to its end, however it ends.
   *
   * Needs: any member.
   * Gives: the row of `recovery_tests` at its end.
   * Throws: `NOT_FOUND`.
   */
  watchRecoveryTest(testId: string, options?: WatchOptions<RecoveryTest>): Promise<RecoveryTest>;
}
