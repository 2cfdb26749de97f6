import type { Database } from './generated/database.ts';
import type { components } from './generated/openapi.ts';

type Schemas = components['schemas'];
type Row<Name extends keyof Database['public']['Tables']> = Database['public']['Tables'][Name]['Row'];
type NewRow<Name extends keyof Database['public']['Tables']> = Database['public']['Tables'][Name]['Insert'];
type Narrow<Wide, Known> = Omit<Wide, keyof Known> & Known;

type FieldOf<Shapes> = Shapes extends unknown ? keyof Shapes : never;
type ValueOf<Shapes, Field> = Shapes extends unknown ? (Field extends keyof Shapes ? Shapes[Field] : never) : never;
/** An answer that has one of several shapes, with the fields of all: those that are not in each may be absent. */
type Answer<Shapes> = { readonly [Field in keyof Shapes]: Shapes[Field] } & {
  readonly [Field in Exclude<FieldOf<Shapes>, keyof Shapes>]?: ValueOf<Shapes, Field>;
} & { readonly error?: string };

export type ErrorBody = Schemas['ErrorBody'];
export type ErrorCode = Schemas['ErrorCode'];
export type JobType = Schemas['JobType'];
export type TestType = Schemas['TestType'];
export type ValidationLevel = Schemas['ValidationLevel'];
export type PreviewChange = Schemas['PreviewChange'];
export type PITRStats = Schemas['PitrStats'];
export type WouldFail = Schemas['WouldFail'];
export type RowsLost = Schemas['RowsLost'];
/** What becomes of rows that need a row which is not there and cannot come; `refuse` when absent. */
export type OnBlocked = NonNullable<PITRRestoreRequest['onBlocked']>;

type SelectionField =
  | 'rows'
  | 'exceptRows'
  | 'where'
  | 'operations'
  | 'withRelated'
  | 'includeRelated'
  | 'mode'
  | 'onBlocked';
/** Which of the changed rows a restore takes, all when absent, and what becomes of them. */
export type RestoreSelection = { readonly [Field in SelectionField]?: PITRRestoreRequest[Field] | undefined };

export type BackupCreateRequest = Schemas['BackupCreateRequest'];
export type BackupCreateResponse = Schemas['BackupCreateResponse'];
export type BackupRestoreRequest = Schemas['BackupRestoreRequest'];
export type BackupRestoreResponse = Answer<Schemas['BackupRestoreResponse']>;
export type PITRRestoreRequest = Schemas['PitrRestoreRequest'];
export type PITRRestoreResponse = Answer<Schemas['PitrRestoreResponse']>;
export type PITRRollbackRequest = Schemas['PitrRollbackRequest'];
export type PITRRollbackResponse = Answer<Schemas['PitrRollbackResponse']>;
export type RecoveryTestRequest = Schemas['RecoveryTestRequest'];
export type RecoveryTestResponse = Answer<Schemas['RecoveryTestResponse']>;

/** Where a backup job stands. */
export type BackupStatus = 'pending' | 'in_progress' | 'completed' | 'failed';
/** Where a restore, a rollback or a recovery test stands. */
export type LogStatus = BackupStatus | 'cancelled';

/** How far a backup has come. */
export interface Progress {
  /** Rows read so far. */
  rows: number;
  /** Of those expected, 0 to 100. */
  percent: number;
}

/** A row of `backup_jobs`. */
export type BackupJob = Narrow<
  Row<'backup_jobs'>,
  {
    job_type: JobType;
    status: BackupStatus;
    metadata: { progress?: Progress; [name: string]: unknown };
  }
>;
/** A row of `restore_logs`. */
export type RestoreLog = Narrow<
  Row<'restore_logs'>,
  {
    restore_type: 'backup' | 'pitr';
    status: LogStatus;
    stats: PITRStats | null;
    /**
     * `preview`: where a dry run that was answered with 202 has its rows. `transaction`: the restore's own, once it has
     * ended. `conflict_count`: the rows in conflict of an undo.
     */
    metadata: {
      transaction?: string;
      conflict_count?: number;
      preview?: Pick<PITRRestoreResponse, 'previewId' | 'planHash' | 'changeCounts'>;
      [name: string]: unknown;
    };
  }
>;
/** A row of `pitr_rollbacks`. */
export type PITRRollback = Narrow<Row<'pitr_rollbacks'>, { status: LogStatus }>;
/** A row of `recovery_tests`. */
export type RecoveryTest = Narrow<
  Row<'recovery_tests'>,
  {
    status: LogStatus;
    test_type: TestType;
    validation_level: ValidationLevel;
    results: RecoveryTestResponse['results'] | null;
  }
>;
/** A row of `dr_plans`. */
export type DisasterRecoveryPlan = Row<'dr_plans'>;
/** A row of `health_snapshots`. */
export type HealthSnapshot = Row<'health_snapshots'>;

/** A snapshot that can be rolled back to. */
export type ActivePITRSnapshot = Narrow<
  Database['public']['Functions']['get_active_pitr_snapshots']['Returns'][number],
  { snapshot_type: 'pre_restore' | 'manual' | 'automated' }
>;
/** A change of a protected row; `old_values` is the row as it was before, but for the `unchanged_columns` of an update. */
export type TransactionLog = Narrow<
  Database['public']['Functions']['get_transaction_logs']['Returns'][number],
  {
    operation: 'INSERT' | 'UPDATE' | 'DELETE' | 'KEY_FROM' | 'KEY_TO' | 'TENANT_FROM' | 'TENANT_TO';
    row_key: Record<string, unknown>;
    old_values: Record<string, unknown> | null;
    unchanged_columns: string[] | null;
  }
>;

/** The values of a row by its columns. Numbers that a double cannot hold are strings. */
export type Values = Record<string, unknown>;

/** How many rows of a table were changed in one part of a range of time. */
export type ChangeBucket = Narrow<
  Database['public']['Functions']['get_change_histogram']['Returns'][number],
  { operation: 'INSERT' | 'UPDATE' | 'DELETE' }
>;
/** What happened beside the changes of rows. `id` is that of its record; `null` for a gap. */
export type HistoryEvent = Narrow<
  Database['public']['Functions']['get_events']['Returns'][number],
  { kind: 'backup' | 'snapshot' | 'restore' | 'rollback' | 'test' | 'gap' | 'schema_change'; id: string | null }
>;
/** A transaction and how many rows it changed. `source`: `restore` or `rollback` with its id, for what M23 wrote. */
export type Transaction = Omit<
  Narrow<
    Database['public']['Functions']['get_transactions']['Returns'][number],
    { actor: string | null; source: string | null }
  >,
  'searched_back'
>;
/** A change of a row within a transaction; null where there was no row before, or is none after it. */
export type TransactionChange = Narrow<
  Database['public']['Functions']['get_transaction']['Returns'][number],
  Pick<TransactionLog, 'operation'> & {
    row_key: Values;
    changed_columns: string[] | null;
    old_values: Values | null;
    new_values: Values | null;
    actor: string | null;
  }
>;
/** A row as it was before a change. */
export type FoundRow = Omit<
  Narrow<
    Database['public']['Functions']['find_rows']['Returns'][number],
    {
      operation: 'UPDATE' | 'DELETE';
      row_key: Values;
      old_values: Values;
      actor: string | null;
      source: string | null;
    }
  >,
  'searched_back'
>;
/** A change of one row. `restore_log_id`: the restore that made it. */
export type RowChange = Narrow<
  Database['public']['Functions']['get_row_history']['Returns'][number],
  Pick<TransactionLog, 'operation'> & {
    changed_columns: string[] | null;
    old_values: Values | null;
    new_values: Values | null;
    actor: string | null;
    source: string | null;
    restore_log_id: string | null;
  }
>;

/** A backup that is described and not yet run. */
export interface NewBackupJob {
  jobType: JobType;
  backupName: string;
  /** The caller's tenant when absent. */
  tenantId?: string;
  /** The caller; nobody else can be named. */
  createdBy?: string;
  description?: string;
  /** Every protected table when absent. */
  tables?: string[];
  /** The backup that an incremental builds on. */
  baseBackupId?: string;
}

/** A plan to be entered; tenant and creator are the caller's when absent. */
export type NewDRPlan = NewRow<'dr_plans'>;
