// Generated: run `cargo xtask generate`.
export interface paths {
  '/functions/v1/backup-create': {
    /**
     * Back the tenant up
     * @description Accepts a backup and answers at once; the work goes on. `backup_jobs` follows it.
     *
     * Who: owner, admin, operator. Limit: 10 requests per tenant and hour, unless the deployment says otherwise.
     */
    post: operations['createBackup'];
  };
  '/functions/v1/backup-create/health': {
    /**
     * Whether the service works
     * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
     */
    get: operations['health-backup-create'];
  };
  '/functions/v1/backup-restore': {
    /**
     * Restore a backup
     * @description Verifies the whole archive, then writes the difference in one transaction, after a `pre_restore` snapshot.
     *
     * Who: owner, admin. Limit: 5 requests per tenant and hour, unless the deployment says otherwise.
     */
    post: operations['restoreBackup'];
  };
  '/functions/v1/backup-restore/health': {
    /**
     * Whether the service works
     * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
     */
    get: operations['health-backup-restore'];
  };
  '/functions/v1/health': {
    /**
     * Whether the service works
     * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
     */
    get: operations['health'];
  };
  '/functions/v1/pitr-restore': {
    /**
     * Restore to a moment, or preview it
     * @description Takes the tenant's tables back to what was committed at `targetTimestamp`. With `dryRun` it only looks.
     *
     * Who: owner, admin (a dry run: owner, admin, operator). Limit: 3 requests per tenant and hour, unless the deployment says otherwise.
     */
    post: operations['restoreToMoment'];
  };
  '/functions/v1/pitr-restore/health': {
    /**
     * Whether the service works
     * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
     */
    get: operations['health-pitr-restore'];
  };
  '/functions/v1/pitr-rollback': {
    /**
     * Go back to a snapshot, or preview it
     * @description Undoes a restore by its `snapshotId`, or goes back to a snapshot made by hand. With `dryRun` it only looks.
     *
     * Who: owner, admin (a dry run: owner, admin, operator). Limit: 5 requests per tenant and hour, unless the deployment says otherwise.
     */
    post: operations['rollBack'];
  };
  '/functions/v1/pitr-rollback/health': {
    /**
     * Whether the service works
     * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
     */
    get: operations['health-pitr-rollback'];
  };
  '/functions/v1/recovery-test': {
    /**
     * Prove that a backup can be restored
     * @description Restores a backup into a place of its own and checks it. `success` means that the test ran; what it found is in `results`.
     *
     * Who: owner, admin, operator. Limit: 20 requests per tenant and hour, unless the deployment says otherwise.
     */
    post: operations['testRecovery'];
  };
  '/functions/v1/recovery-test/health': {
    /**
     * Whether the service works
     * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
     */
    get: operations['health-recovery-test'];
  };
}
/** WithRequired type helpers */
type WithRequired<T, K extends keyof T> = T & { [P in K]-?: T[P] };

export type webhooks = Record<string, never>;

export interface components {
  schemas: {
    /** @description `backup-create`: a new backup, or the run of a job that is already described. */
    readonly BackupCreateRequest:
      | components['schemas']['NewBackup']
      | {
          /**
           * Format: uuid
           * @description The row of `backup_jobs`.
           */
          readonly jobId: string;
        };
    /** @description The answer of `backup-create`. */
    readonly BackupCreateResponse: {
      /** @description Its name, given or made up. */
      readonly backupName: string;
      /**
       * Format: double
       * @description Seconds, from measured throughput.
       */
      readonly estimatedDuration: number;
      /**
       * Format: uuid
       * @description The row of `backup_jobs`.
       */
      readonly jobId: string;
      /** @description Where it stands. */
      readonly status: components['schemas']['JobStatus'];
      /** @description Always `true`. */
      readonly success: boolean;
    };
    /** @description A backup that has been restored. */
    readonly BackupRestoreCompleted: {
      /**
       * Format: double
       * @description Seconds.
       */
      readonly duration: number;
      /**
       * Format: uuid
       * @description The row of `restore_logs`.
       */
      readonly restoreLogId: string;
      /** @description Which tables were restored. */
      readonly restoredTables: readonly string[];
      /**
       * Format: uint64
       * @description Net row changes.
       */
      readonly rowsRestored: number;
      /**
       * Format: uuid
       * @description The `pre_restore` snapshot that undoes it.
       */
      readonly snapshotId?: string;
      /** @description `completed`. */
      readonly status: components['schemas']['WorkStatus'];
      /**
       * @description Always `true`.
       * @default true
       */
      readonly success: boolean;
      /** @description What could not be as asked. */
      readonly warnings: readonly string[];
    };
    /** @description `backup-restore`. */
    readonly BackupRestoreRequest: WithRequired<
      {
        /**
         * Format: uuid
         * @description Which backup.
         */
        readonly backupJobId: string;
        /** @description Must be true unless dryRun is: live data is changed. */
        readonly confirmRestore?: boolean | null;
        /**
         * @description Only look?
         * @default false
         */
        readonly dryRun?: boolean | null;
        /** @description All but the rows with these keys, by table: at most 1,000. */
        readonly exceptRows?: {
          [key: string]: readonly {
            [key: string]: string | number | boolean;
          }[];
        } | null;
        /**
         * @description What becomes of live rows; `exact` when absent.
         * @default exact
         * @enum {unknown}
         */
        readonly mode?: 'exact' | 'missing_only' | 'overwrite_existing' | '';
        /**
         * @description What becomes of rows that need a row which is not there and cannot come; `refuse` when absent.
         * @enum {unknown}
         */
        readonly onBlocked?: 'refuse' | 'skip' | 'null' | '';
        /** @description What has happened since; all three when absent. */
        readonly operations?: readonly ('insert' | 'update' | 'delete')[] | null;
        /** @description The plan that the caller saw and confirms. */
        readonly planHash?: string | null;
        /** @description The rows with these keys, by table; with `where` a row of either is chosen. */
        readonly rows?: {
          [key: string]: readonly {
            [key: string]: string | number | boolean;
          }[];
        } | null;
        /** @description Which of its tables; all when absent. */
        readonly tables?: readonly string[] | null;
        /** @description Restore beside the live data, into this schema. */
        readonly targetSchema?: string | null;
        /** @description The rows with these values, by table: as of the moment; of a row that is new since, as it is. At most 1,000. */
        readonly where?: {
          [key: string]: {
            [key: string]:
              | (string | number | boolean | null)
              | {
                  readonly gt?: string | number | boolean;
                  readonly gte?: string | number | boolean;
                  readonly in?: readonly (string | number | boolean | null)[];
                  readonly lt?: string | number | boolean;
                  readonly lte?: string | number | boolean;
                };
          };
        } | null;
        /**
         * @description Which rows come along; none when absent.
         * @enum {unknown}
         */
        readonly withRelated?: 'children' | 'parents' | 'both' | '';
      } & (
        | {
            readonly targetSchema?: null;
          }
        | {
            /** @enum {unknown} */
            readonly dryRun?: '';
            /** @enum {unknown} */
            readonly mode?: 'exact' | '';
            readonly withRelated?: null;
          }
      ),
      'backupJobId'
    > &
      (
        | {
            /** @constant */
            readonly dryRun: true;
          }
        | {
            /** @constant */
            readonly confirmRestore: true;
          }
      );
    /** @description The answer of `backup-restore`. */
    readonly BackupRestoreResponse:
      | components['schemas']['Preview']
      | components['schemas']['BackupRestoreCompleted']
      | components['schemas']['RestoreAccepted'];
    /** @description Why a row is in a preview. */
    readonly Because:
      | 'chosen'
      | {
          readonly childOf: components['schemas']['RowOf'];
        }
      | {
          readonly parentOf: components['schemas']['RowOf'];
        };
    /**
     * @description A row where keeping what others did since, and taking the changes back wholly, come to different results; or one that
     * something stands in the way of.
     */
    readonly Conflict: {
      /** @description Those columns with the changes taken back wholly; none, if there would be no row. */
      readonly before: {
        [key: string]: unknown;
      } | null;
      /** @description Who touched the row last, since; none, if nobody did. */
      readonly by: components['schemas']['ConflictingChange'] | null;
      /** @description The columns in conflict; all of them, where it is the row itself. */
      readonly columns: readonly string[];
      /** @description Its primary key. */
      readonly key: {
        [key: string]: unknown;
      };
      /** @description Those columns as they are; none, if there is no row. */
      readonly now: {
        [key: string]: unknown;
      } | null;
      /**
       * @description `changed`: others have changed it. `key`, `unique`, `reference`: another row has its key, has a value that only
       * one may have, or needs it or is needed by it. `history`: its changes do not fit together.
       */
      readonly reason: string;
      /** @description Its table. */
      readonly table: string;
      /** @description Those columns after the last change that is taken back; none, if that deleted the row. */
      readonly undone: {
        [key: string]: unknown;
      } | null;
    };
    /** @description Who touched a row in conflict last, since. */
    readonly ConflictingChange: {
      /**
       * Format: uuid
       * @description The user; none for the service.
       */
      readonly actor: string | null;
      /** @description When it was committed. */
      readonly at: string;
      /** @description Where it came from, as far as that is known. */
      readonly source: string | null;
      /** @description The transaction. */
      readonly transactionId: string;
    };
    /** @description The body of every refusal. */
    readonly ErrorBody: {
      /** @description The code for a program. */
      readonly code: components['schemas']['ErrorCode'];
      /** @description The single faults, where there are several. */
      readonly details?: readonly string[];
      /** @description A sentence for a person. */
      readonly error: string;
      /** @description Always `false`. */
      readonly success: boolean;
    };
    /** @description A code of the contract's error table. */
    readonly ErrorCode:
      | 'AUTH_REQUIRED'
      | 'TENANT_NOT_FOUND'
      | 'INSUFFICIENT_PERMISSIONS'
      | 'VALIDATION_FAILED'
      | 'BACKUP_NOT_FOUND'
      | 'SNAPSHOT_NOT_FOUND'
      | 'RESTORE_IN_PROGRESS'
      | 'RATE_LIMIT_EXCEEDED'
      | 'METHOD_NOT_ALLOWED'
      | 'NOT_FOUND'
      | 'PAYLOAD_TOO_LARGE'
      | 'PLAN_CHANGED'
      | 'CONFLICT'
      | 'BACKUP_UNUSABLE'
      | 'UNAVAILABLE'
      | 'INTERNAL';
    /** @description A check of a recovery test that did not hold. */
    readonly Finding: {
      /** @description A word for a program. */
      readonly kind: string;
      /** @description The object of the archive, or the table, that it is about. */
      readonly object: string;
      /** @description A sentence for a person. */
      readonly sentence: string;
    };
    /** @description The answer of a health endpoint. */
    readonly Health: {
      /** @description Seconds since each job of the clock last came. */
      readonly cron: {
        [key: string]: number;
      };
      /** @description The database, through its API. */
      readonly database: components['schemas']['PartStatus'];
      /** @description The rate windows. */
      readonly kv: components['schemas']['PartStatus'];
      /** @description The archives' bucket. */
      readonly objects: components['schemas']['PartStatus'];
      /** @description The whole. */
      readonly status: components['schemas']['HealthStatus'];
      /** @description The releases in force. */
      readonly versions: components['schemas']['Versions'];
    };
    /** @description How the service is. */
    readonly HealthStatus: 'ok' | 'degraded' | 'down';
    /** @description Where a backup job stands right after `backup-create`. */
    readonly JobStatus: 'pending' | 'in_progress';
    /** @description The kind of a backup. */
    readonly JobType: 'full' | 'incremental' | 'snapshot';
    /** @description A new backup, described in full. */
    readonly NewBackup: {
      /** @description Its name. */
      readonly backupName?: string | null;
      /**
       * Format: uuid
       * @description What an incremental builds on.
       */
      readonly baseBackupId?: string | null;
      /** @description A remark. */
      readonly description?: string | null;
      /** @description The kind. */
      readonly jobType: components['schemas']['JobType'];
      /** @description Which tables; every protected one when absent. */
      readonly tables?: readonly string[] | null;
    } & (
      | {
          /** @enum {unknown} */
          readonly jobType?: 'full' | 'snapshot';
        }
      | {
          readonly baseBackupId: string;
          readonly tables?: null;
        }
    );
    /** @description What becomes of values that others have set since. */
    readonly OnConflict: 'skip' | 'overwrite' | 'refuse';
    /** @description What a restore does with a row. */
    readonly Operation: 'insert' | 'update' | 'delete';
    /** @description How one part is. */
    readonly PartStatus: 'ok' | 'down';
    /** @description A moment that has been restored. */
    readonly PitrRestoreCompleted: {
      /**
       * Format: uint64
       * @description Of an undo: how many rows are in conflict.
       */
      readonly conflictCount?: number;
      /** @description Of an undo: the first 100 of them. */
      readonly conflicts?: readonly components['schemas']['Conflict'][];
      /**
       * Format: uuid
       * @description The row of `restore_logs`.
       */
      readonly restoreLogId: string;
      /**
       * Format: uuid
       * @description The `pre_restore` snapshot that undoes it.
       */
      readonly snapshotId?: string;
      /** @description The figures. */
      readonly stats: components['schemas']['PitrStats'];
      /** @description `completed`. */
      readonly status: components['schemas']['WorkStatus'];
      /**
       * @description Always `true`.
       * @default true
       */
      readonly success: boolean;
      /** @description The transaction that wrote it, by which an undo can be undone. */
      readonly transactionId?: string;
      /** @description What could not be as asked. */
      readonly warnings: readonly string[];
    };
    /** @description `pitr-restore`. */
    readonly PitrRestoreRequest: ({
      /**
       * Format: uuid
       * @description The backup to start from, where the log does not reach.
       */
      readonly baseBackupId?: string | null;
      /** @description Go back to just before this transaction was committed. */
      readonly beforeTransaction?: string | null;
      /** @description Must be true unless dryRun is: live data is changed. */
      readonly confirmRestore?: boolean | null;
      /**
       * @description Only look?
       * @default false
       */
      readonly dryRun?: boolean | null;
      /** @description All but the rows with these keys, by table: at most 1,000. */
      readonly exceptRows?: {
        [key: string]: readonly {
          [key: string]: string | number | boolean;
        }[];
      } | null;
      /**
       * @description Also the tables that the chosen ones are tied to by foreign keys?
       * @default false
       */
      readonly includeRelated?: boolean | null;
      /**
       * @description What becomes of live rows; `exact` when absent.
       * @enum {unknown}
       */
      readonly mode?: 'exact' | 'missing_only' | 'overwrite_existing' | '';
      /**
       * @description What becomes of rows that need a row which is not there and cannot come; when absent `refuse`, and `skip` with
       * `undo`.
       * @enum {unknown}
       */
      readonly onBlocked?: 'refuse' | 'skip' | 'null' | '';
      /** @description With `undo`: what becomes of values that others have set since; `skip` when absent. */
      readonly onConflict?: components['schemas']['OnConflict'] | null;
      /** @description What has happened since; all three when absent. */
      readonly operations?: readonly ('insert' | 'update' | 'delete')[] | null;
      /** @description The plan that the caller saw and confirms. */
      readonly planHash?: string | null;
      /** @description The rows with these keys, by table; with `where` a row of either is chosen. */
      readonly rows?: {
        [key: string]: readonly {
          [key: string]: string | number | boolean;
        }[];
      } | null;
      /** @description Which tables; every protected one when absent. */
      readonly tables?: readonly string[] | null;
      /** @description Restore beside the live data, into this schema. */
      readonly targetSchema?: string | null;
      /**
       * Format: date-time
       * @description The moment to go back to. One of this, `beforeTransaction` and `undo` is required.
       */
      readonly targetTimestamp?: string | null;
      /** @description Take changes back, and leave what others did. */
      readonly undo?:
        | {
            readonly transactions: readonly string[];
          }
        | {
            /** Format: uuid */
            readonly actor: string;
            /** Format: date-time */
            readonly since: string;
            readonly until?: string | null;
          }
        | {
            /** Format: date-time */
            readonly since: string;
            readonly source: string;
            readonly until?: string | null;
          }
        | null;
      /** @description The rows with these values, by table: as of the moment; of a row that is new since, as it is. At most 1,000. */
      readonly where?: {
        [key: string]: {
          [key: string]:
            | (string | number | boolean | null)
            | {
                readonly gt?: string | number | boolean;
                readonly gte?: string | number | boolean;
                readonly in?: readonly (string | number | boolean | null)[];
                readonly lt?: string | number | boolean;
                readonly lte?: string | number | boolean;
              };
        };
      } | null;
      /**
       * @description Which rows come along; none when absent.
       * @enum {unknown}
       */
      readonly withRelated?: 'children' | 'parents' | 'both' | '';
    } & (
      | {
          readonly targetSchema?: null;
        }
      | {
          /** @enum {unknown} */
          readonly dryRun?: '';
          /** @enum {unknown} */
          readonly mode?: 'exact' | '';
          readonly withRelated?: null;
        }
    ) &
      (
        | {
            readonly beforeTransaction?: null;
            readonly onConflict?: null;
            readonly targetTimestamp: unknown;
            readonly undo?: null;
          }
        | {
            readonly baseBackupId?: null;
            readonly beforeTransaction: unknown;
            readonly onConflict?: null;
            readonly targetTimestamp?: null;
            readonly undo?: null;
          }
        | {
            readonly baseBackupId?: null;
            readonly beforeTransaction?: null;
            readonly exceptRows?: null;
            readonly mode?: null;
            readonly operations?: null;
            readonly rows?: null;
            readonly targetSchema?: null;
            readonly targetTimestamp?: null;
            readonly undo: unknown;
            readonly where?: null;
            readonly withRelated?: null;
          }
      )) &
      (
        | {
            /** @constant */
            readonly dryRun: true;
          }
        | {
            /** @constant */
            readonly confirmRestore: true;
          }
      );
    /** @description The answer of `pitr-restore`. */
    readonly PitrRestoreResponse:
      | components['schemas']['Preview']
      | components['schemas']['PitrRestoreCompleted']
      | components['schemas']['RestoreAccepted'];
    /** @description A rollback that is done. */
    readonly PitrRollbackCompleted: {
      /** @description Tables with at least one change. */
      readonly affectedTables: readonly string[];
      /**
       * Format: uuid
       * @description The row of `pitr_rollbacks`.
       */
      readonly rollbackId: string;
      /**
       * Format: uint64
       * @description Net row changes.
       */
      readonly rowsRestored: number;
      /**
       * Format: uuid
       * @description The `pre_restore` snapshot that undoes the rollback.
       */
      readonly snapshotId?: string;
      /** @description `completed`. */
      readonly status: components['schemas']['WorkStatus'];
      /**
       * @description Always `true`.
       * @default true
       */
      readonly success: boolean;
      /** @description What could not be as asked. */
      readonly warnings: readonly string[];
    };
    /** @description `pitr-rollback`. */
    readonly PitrRollbackRequest: {
      /** @description Must be true unless dryRun is: live data is changed. */
      readonly confirmRollback?: boolean | null;
      /**
       * @description Only look?
       * @default false
       */
      readonly dryRun?: boolean | null;
      /**
       * @description What becomes of rows that need a row which is not there and cannot come; `refuse` when absent.
       * @enum {unknown}
       */
      readonly onBlocked?: 'refuse' | 'skip' | 'null' | '';
      /** @description The plan that the caller saw and confirms. */
      readonly planHash?: string | null;
      /** @description Why, for the log. */
      readonly reason?: string | null;
      /**
       * Format: uuid
       * @description The snapshot to go back to.
       */
      readonly snapshotId: string;
    } & (
      | {
          /** @constant */
          readonly dryRun: true;
        }
      | {
          /** @constant */
          readonly confirmRollback: true;
        }
    );
    /** @description The answer of `pitr-rollback`. */
    readonly PitrRollbackResponse:
      | components['schemas']['Preview']
      | components['schemas']['PitrRollbackCompleted']
      | components['schemas']['RollbackAccepted'];
    /** @description Net row changes of a point-in-time restore. */
    readonly PitrStats: {
      /** @description Tables with at least one. */
      readonly affectedTables: readonly string[];
      /**
       * Format: uint64
       * @description Rows that go.
       */
      readonly deleteCount: number;
      /**
       * Format: uint64
       * @description Rows that come back.
       */
      readonly insertCount: number;
      /**
       * Format: uint64
       * @description All of them.
       */
      readonly totalOperations: number;
      /**
       * Format: uint64
       * @description Rows that change back.
       */
      readonly updateCount: number;
    };
    /** @description What a restore or rollback would do, and has not done: the answer of a dry run. */
    readonly Preview: {
      /** @description How many rows of each table would change. */
      readonly changeCounts: {
        [key: string]: number;
      };
      /**
       * Format: uint64
       * @description Of an undo: how many rows are in conflict.
       */
      readonly conflictCount?: number;
      /** @description Of an undo: the first 100 of them. */
      readonly conflicts?: readonly components['schemas']['Conflict'][];
      /** @description The plan, to be confirmed. */
      readonly planHash?: string;
      /** @description The first changes of each table that has any. */
      readonly previewChanges: {
        [key: string]: readonly components['schemas']['PreviewChange'][];
      };
      /**
       * Format: uuid
       * @description The preview, whose next rows `get_pitr_preview_page` gives.
       */
      readonly previewId?: string;
      /**
       * @description What was written after the moment and would be lost, by who wrote it and from where; most rows first.
       * @default []
       */
      readonly rowsLost: readonly components['schemas']['RowsLost'][];
      /** @description The figures. */
      readonly stats: components['schemas']['PitrStats'];
      /**
       * @description Always `true`.
       * @default true
       */
      readonly success: boolean;
      /** @description Whether the preview was cut at 1 MB; the pages give the rest. */
      readonly truncated?: boolean;
      /** @description What could not be as asked. */
      readonly warnings: readonly string[];
      /** @description Why the execution would be refused; absent where it would not. */
      readonly wouldFail?: components['schemas']['WouldFail'];
    };
    /** @description A row of a preview. */
    readonly PreviewChange: {
      /** @description Why it is there. */
      readonly because: components['schemas']['Because'];
      /** @description Its primary key. */
      readonly key: {
        [key: string]: unknown;
      };
      /** @description The row as it is; of an update, only the columns that differ. */
      readonly now: {
        [key: string]: unknown;
      } | null;
      /** @description What would happen to it. */
      readonly operation: components['schemas']['Operation'];
      /** @description The row as it was then; of an update, only the columns that differ. */
      readonly then: {
        [key: string]: unknown;
      } | null;
    };
    /** @description A recovery test that goes on after this answer (202). */
    readonly RecoveryTestAccepted: {
      /** @description `in_progress`. */
      readonly status: components['schemas']['WorkStatus'];
      /**
       * @description Always `true`.
       * @default true
       */
      readonly success: boolean;
      /**
       * Format: uuid
       * @description The row of `recovery_tests`.
       */
      readonly testId: string;
    };
    /** @description A recovery test that ran. What it found is in the results. */
    readonly RecoveryTestCompleted: {
      /** @description What it found. */
      readonly results: components['schemas']['RecoveryTestResults'];
      /** @description `completed`. */
      readonly status: components['schemas']['WorkStatus'];
      /**
       * @description Always `true`.
       * @default true
       */
      readonly success: boolean;
      /**
       * Format: uuid
       * @description The row of `recovery_tests`.
       */
      readonly testId: string;
    };
    /** @description `recovery-test` (snake case, as the contract has it). */
    readonly RecoveryTestRequest: {
      /**
       * Format: uuid
       * @description The backup to test.
       */
      readonly backup_job_id?: string | null;
      /**
       * Format: uuid
       * @description The plan whose newest backup is tested.
       */
      readonly dr_plan_id?: string | null;
      /** @description The test's name. */
      readonly test_name: string;
      /** @description Who asked. */
      readonly test_type: components['schemas']['TestType'];
      /** @description How far it goes. */
      readonly validation_level: components['schemas']['ValidationLevel'];
    };
    /** @description The answer of `recovery-test`. */
    readonly RecoveryTestResponse:
      | components['schemas']['RecoveryTestCompleted']
      | components['schemas']['RecoveryTestAccepted'];
    /** @description What a recovery test found. */
    readonly RecoveryTestResults: {
      /**
       * Format: double
       * @description Seconds between the moment of the backup and the end of the test.
       */
      readonly backupAgeSeconds?: number;
      /**
       * Format: uuid
       * @description The backup that was tested.
       */
      readonly backupJobId?: string;
      /**
       * Format: double
       * @description Seconds.
       */
      readonly duration: number;
      /**
       * @description The checks that failed, the first hundred of them.
       * @default []
       */
      readonly findings: readonly components['schemas']['Finding'][];
      /**
       * Format: uint64
       * @description Checks that failed.
       */
      readonly issuesFound: number;
      /** @description What to do about it. */
      readonly recommendations: readonly string[];
      /**
       * Format: double
       * @description Seconds that reading back and restoring took (deep only).
       */
      readonly recoverySeconds?: number;
      /**
       * Format: uint64
       * @description Rows that were restored (deep only).
       */
      readonly rowsRestored?: number;
      /**
       * Format: uint64
       * @description Rows that were damaged in the copy, restored in place and taken back again (deep only).
       */
      readonly rowsUndone?: number;
      /**
       * Format: uint64
       * @description Checks that passed.
       */
      readonly validationsPassed: number;
    };
    /** @description A restore that goes on after this answer (202). */
    readonly RestoreAccepted: {
      /**
       * Format: uuid
       * @description The row of `restore_logs`.
       */
      readonly restoreLogId: string;
      /** @description `in_progress`. */
      readonly status: components['schemas']['WorkStatus'];
      /**
       * @description Always `true`.
       * @default true
       */
      readonly success: boolean;
    };
    /** @description A rollback that goes on after this answer (202). */
    readonly RollbackAccepted: {
      /**
       * Format: uuid
       * @description The row of `pitr_rollbacks`.
       */
      readonly rollbackId: string;
      /** @description `in_progress`. */
      readonly status: components['schemas']['WorkStatus'];
      /**
       * @description Always `true`.
       * @default true
       */
      readonly success: boolean;
    };
    /** @description A row of a table. */
    readonly RowOf: {
      /** @description The row's key. */
      readonly key: {
        [key: string]: unknown;
      };
      /** @description The table, as callers write it. */
      readonly table: string;
    };
    /** @description Rows that somebody has written after the moment and that would be lost: they would go, or get other values. */
    readonly RowsLost: {
      /**
       * Format: uuid
       * @description Who wrote them; null where that is nobody in particular.
       */
      readonly actor: string | null;
      /**
       * Format: uint64
       * @description How many. A row that two have written counts for both.
       */
      readonly rows: number;
      /** @description From where, such as `api: POST /orders as authenticated`; null where nobody knows. */
      readonly source: string | null;
      /** @description The tables that they are in. */
      readonly tables: readonly string[];
    };
    /** @description Who asked for a recovery test. */
    readonly TestType: 'manual' | 'automated' | 'scheduled';
    /** @description How far a recovery test goes. */
    readonly ValidationLevel: 'basic' | 'full' | 'deep';
    /** @description The releases in force. The database has to be of the functions' own minor version, or of the next. */
    readonly Versions: {
      /** @description Of the migrations; null while the database does not answer. */
      readonly database: string | null;
      /** @description Of the function that answers. */
      readonly functions: string;
    };
    /** @description Where work stands when a call is answered. */
    readonly WorkStatus: 'in_progress' | 'completed';
    /** @description Why the execution of what a dry run has looked at would be refused. */
    readonly WouldFail: {
      /** @description The code of the refusal. */
      readonly code: components['schemas']['ErrorCode'];
      /**
       * @description The single faults: tables, columns, constraints, and the way on.
       * @default []
       */
      readonly details: readonly string[];
      /** @description A sentence for a person. */
      readonly error: string;
    };
  };
  responses: never;
  parameters: {
    /** @description A word of the caller's own for this request, such as a UUID. A repetition with the same key and body gets the first answer again (`Idempotent-Replayed: true`) and is not counted; with another body it is `VALIDATION_FAILED`; before the first one has ended it is `UNAVAILABLE`. */
    readonly IdempotencyKey?: string;
  };
  requestBodies: never;
  headers: {
    /** @description `true` when this answer was given before. */
    readonly 'Idempotent-Replayed': 'true';
    /** @description Seconds to wait before another attempt. */
    readonly 'Retry-After': number;
    /** @description Requests per sliding hour, for this tenant and function. */
    readonly 'X-RateLimit-Limit': number;
    /** @description How many are left now. */
    readonly 'X-RateLimit-Remaining': number;
    /** @description When the oldest counted request leaves the window, in Unix seconds. */
    readonly 'X-RateLimit-Reset': number;
    /** @description The id under which our log has this request. */
    readonly 'X-Request-Id': string;
  };
  pathItems: never;
}

export type $defs = Record<string, never>;

export type external = Record<string, never>;

export interface operations {
  /**
   * Back the tenant up
   * @description Accepts a backup and answers at once; the work goes on. `backup_jobs` follows it.
   *
   * Who: owner, admin, operator. Limit: 10 requests per tenant and hour, unless the deployment says otherwise.
   */
  createBackup: {
    parameters: {
      header?: {
        'Idempotency-Key'?: components['parameters']['IdempotencyKey'];
      };
    };
    readonly requestBody: {
      readonly content: {
        readonly 'application/json': components['schemas']['BackupCreateRequest'];
      };
    };
    responses: {
      /** @description Accepted; the work goes on after this answer. */
      200: {
        headers: {
          readonly 'Idempotent-Replayed': components['headers']['Idempotent-Replayed'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['BackupCreateResponse'];
        };
      };
      /** @description `VALIDATION_FAILED`: The input is invalid; `details` lists every fault, each naming its field. */
      400: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'VALIDATION_FAILED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `AUTH_REQUIRED`: There is no access token, or not a good one of a signed-in user; or the service key names no tenant. */
      401: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'AUTH_REQUIRED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `TENANT_NOT_FOUND`: The user belongs to no tenant, or to several and has picked none of them; or the service named one that nothing knows. `INSUFFICIENT_PERMISSIONS`: The user's role in the tenant does not allow this. */
      403: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'TENANT_NOT_FOUND' | 'INSUFFICIENT_PERMISSIONS';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `BACKUP_NOT_FOUND`: There is no such backup in this tenant. `NOT_FOUND`: There is nothing at this address. */
      404: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'BACKUP_NOT_FOUND' | 'NOT_FOUND';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `METHOD_NOT_ALLOWED`: Only POST is answered, and the OPTIONS of a preflight. */
      405: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'METHOD_NOT_ALLOWED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `BACKUP_UNUSABLE`: The backup is unfinished, damaged, cannot be decrypted, or its chain is broken. */
      409: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'BACKUP_UNUSABLE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `PAYLOAD_TOO_LARGE`: The body is larger than 64 KB. */
      413: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'PAYLOAD_TOO_LARGE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `RATE_LIMIT_EXCEEDED`: The tenant's hourly quota of this function is used up. */
      429: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'RATE_LIMIT_EXCEEDED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `INTERNAL`: A fault of ours; the log has it under the `X-Request-Id`. */
      500: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'INTERNAL';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `UNAVAILABLE`: The database or the store does not answer; try again after `Retry-After`. */
      503: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'UNAVAILABLE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
    };
  };
  /**
   * Whether the service works
   * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
   */
  'health-backup-create': {
    responses: {
      /** @description It works, or some of it does not (`degraded`). */
      200: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
      /** @description Nothing can be asked of it (`down`). */
      503: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
    };
  };
  /**
   * Restore a backup
   * @description Verifies the whole archive, then writes the difference in one transaction, after a `pre_restore` snapshot.
   *
   * Who: owner, admin. Limit: 5 requests per tenant and hour, unless the deployment says otherwise.
   */
  restoreBackup: {
    parameters: {
      header?: {
        'Idempotency-Key'?: components['parameters']['IdempotencyKey'];
      };
    };
    readonly requestBody: {
      readonly content: {
        readonly 'application/json': components['schemas']['BackupRestoreRequest'];
      };
    };
    responses: {
      /** @description Done, or looked at. */
      200: {
        headers: {
          readonly 'Idempotent-Replayed': components['headers']['Idempotent-Replayed'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['BackupRestoreResponse'];
        };
      };
      /** @description It goes on after this answer; the log row of the id given tells the end. */
      202: {
        headers: {
          readonly 'Idempotent-Replayed': components['headers']['Idempotent-Replayed'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['BackupRestoreResponse'];
        };
      };
      /** @description `VALIDATION_FAILED`: The input is invalid; `details` lists every fault, each naming its field. */
      400: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'VALIDATION_FAILED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `AUTH_REQUIRED`: There is no access token, or not a good one of a signed-in user; or the service key names no tenant. */
      401: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'AUTH_REQUIRED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `TENANT_NOT_FOUND`: The user belongs to no tenant, or to several and has picked none of them; or the service named one that nothing knows. `INSUFFICIENT_PERMISSIONS`: The user's role in the tenant does not allow this. */
      403: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'TENANT_NOT_FOUND' | 'INSUFFICIENT_PERMISSIONS';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `BACKUP_NOT_FOUND`: There is no such backup in this tenant. `NOT_FOUND`: There is nothing at this address. */
      404: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'BACKUP_NOT_FOUND' | 'NOT_FOUND';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `METHOD_NOT_ALLOWED`: Only POST is answered, and the OPTIONS of a preflight. */
      405: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'METHOD_NOT_ALLOWED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `RESTORE_IN_PROGRESS`: A restore or rollback of this tenant is running; try again after `Retry-After`. `PLAN_CHANGED`: The data has changed since the plan of `planHash` was made; look at a new one. `CONFLICT`: Rows are blocked and `onBlocked` is `refuse`, or a table's present rules do not take them; `details` name table, column, constraint, and the way on. `BACKUP_UNUSABLE`: The backup is unfinished, damaged, cannot be decrypted, or its chain is broken. */
      409: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'RESTORE_IN_PROGRESS' | 'PLAN_CHANGED' | 'CONFLICT' | 'BACKUP_UNUSABLE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `PAYLOAD_TOO_LARGE`: The body is larger than 64 KB. */
      413: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'PAYLOAD_TOO_LARGE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `RATE_LIMIT_EXCEEDED`: The tenant's hourly quota of this function is used up. */
      429: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'RATE_LIMIT_EXCEEDED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `INTERNAL`: A fault of ours; the log has it under the `X-Request-Id`. */
      500: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'INTERNAL';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `UNAVAILABLE`: The database or the store does not answer; try again after `Retry-After`. */
      503: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'UNAVAILABLE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
    };
  };
  /**
   * Whether the service works
   * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
   */
  'health-backup-restore': {
    responses: {
      /** @description It works, or some of it does not (`degraded`). */
      200: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
      /** @description Nothing can be asked of it (`down`). */
      503: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
    };
  };
  /**
   * Whether the service works
   * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
   */
  health: {
    responses: {
      /** @description It works, or some of it does not (`degraded`). */
      200: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
      /** @description Nothing can be asked of it (`down`). */
      503: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
    };
  };
  /**
   * Restore to a moment, or preview it
   * @description Takes the tenant's tables back to what was committed at `targetTimestamp`. With `dryRun` it only looks.
   *
   * Who: owner, admin (a dry run: owner, admin, operator). Limit: 3 requests per tenant and hour, unless the deployment says otherwise.
   */
  restoreToMoment: {
    parameters: {
      header?: {
        'Idempotency-Key'?: components['parameters']['IdempotencyKey'];
      };
    };
    readonly requestBody: {
      readonly content: {
        readonly 'application/json': components['schemas']['PitrRestoreRequest'];
      };
    };
    responses: {
      /** @description Done, or looked at. */
      200: {
        headers: {
          readonly 'Idempotent-Replayed': components['headers']['Idempotent-Replayed'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['PitrRestoreResponse'];
        };
      };
      /** @description It goes on after this answer; the log row of the id given tells the end. */
      202: {
        headers: {
          readonly 'Idempotent-Replayed': components['headers']['Idempotent-Replayed'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['PitrRestoreResponse'];
        };
      };
      /** @description `VALIDATION_FAILED`: The input is invalid; `details` lists every fault, each naming its field. */
      400: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'VALIDATION_FAILED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `AUTH_REQUIRED`: There is no access token, or not a good one of a signed-in user; or the service key names no tenant. */
      401: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'AUTH_REQUIRED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `TENANT_NOT_FOUND`: The user belongs to no tenant, or to several and has picked none of them; or the service named one that nothing knows. `INSUFFICIENT_PERMISSIONS`: The user's role in the tenant does not allow this. */
      403: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'TENANT_NOT_FOUND' | 'INSUFFICIENT_PERMISSIONS';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `BACKUP_NOT_FOUND`: There is no such backup in this tenant. `NOT_FOUND`: There is nothing at this address. */
      404: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'BACKUP_NOT_FOUND' | 'NOT_FOUND';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `METHOD_NOT_ALLOWED`: Only POST is answered, and the OPTIONS of a preflight. */
      405: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'METHOD_NOT_ALLOWED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `RESTORE_IN_PROGRESS`: A restore or rollback of this tenant is running; try again after `Retry-After`. `PLAN_CHANGED`: The data has changed since the plan of `planHash` was made; look at a new one. `CONFLICT`: Rows are blocked and `onBlocked` is `refuse`, or a table's present rules do not take them; `details` name table, column, constraint, and the way on. `BACKUP_UNUSABLE`: The backup is unfinished, damaged, cannot be decrypted, or its chain is broken. */
      409: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'RESTORE_IN_PROGRESS' | 'PLAN_CHANGED' | 'CONFLICT' | 'BACKUP_UNUSABLE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `PAYLOAD_TOO_LARGE`: The body is larger than 64 KB. */
      413: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'PAYLOAD_TOO_LARGE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `RATE_LIMIT_EXCEEDED`: The tenant's hourly quota of this function is used up. */
      429: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'RATE_LIMIT_EXCEEDED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `INTERNAL`: A fault of ours; the log has it under the `X-Request-Id`. */
      500: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'INTERNAL';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `UNAVAILABLE`: The database or the store does not answer; try again after `Retry-After`. */
      503: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'UNAVAILABLE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
    };
  };
  /**
   * Whether the service works
   * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
   */
  'health-pitr-restore': {
    responses: {
      /** @description It works, or some of it does not (`degraded`). */
      200: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
      /** @description Nothing can be asked of it (`down`). */
      503: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
    };
  };
  /**
   * Go back to a snapshot, or preview it
   * @description Undoes a restore by its `snapshotId`, or goes back to a snapshot made by hand. With `dryRun` it only looks.
   *
   * Who: owner, admin (a dry run: owner, admin, operator). Limit: 5 requests per tenant and hour, unless the deployment says otherwise.
   */
  rollBack: {
    parameters: {
      header?: {
        'Idempotency-Key'?: components['parameters']['IdempotencyKey'];
      };
    };
    readonly requestBody: {
      readonly content: {
        readonly 'application/json': components['schemas']['PitrRollbackRequest'];
      };
    };
    responses: {
      /** @description Done, or looked at. */
      200: {
        headers: {
          readonly 'Idempotent-Replayed': components['headers']['Idempotent-Replayed'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['PitrRollbackResponse'];
        };
      };
      /** @description It goes on after this answer; the log row of the id given tells the end. */
      202: {
        headers: {
          readonly 'Idempotent-Replayed': components['headers']['Idempotent-Replayed'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['PitrRollbackResponse'];
        };
      };
      /** @description `VALIDATION_FAILED`: The input is invalid; `details` lists every fault, each naming its field. */
      400: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'VALIDATION_FAILED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `AUTH_REQUIRED`: There is no access token, or not a good one of a signed-in user; or the service key names no tenant. */
      401: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'AUTH_REQUIRED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `TENANT_NOT_FOUND`: The user belongs to no tenant, or to several and has picked none of them; or the service named one that nothing knows. `INSUFFICIENT_PERMISSIONS`: The user's role in the tenant does not allow this. */
      403: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'TENANT_NOT_FOUND' | 'INSUFFICIENT_PERMISSIONS';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `SNAPSHOT_NOT_FOUND`: There is no such snapshot in this tenant that can still be used. `NOT_FOUND`: There is nothing at this address. */
      404: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'SNAPSHOT_NOT_FOUND' | 'NOT_FOUND';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `METHOD_NOT_ALLOWED`: Only POST is answered, and the OPTIONS of a preflight. */
      405: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'METHOD_NOT_ALLOWED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `RESTORE_IN_PROGRESS`: A restore or rollback of this tenant is running; try again after `Retry-After`. `PLAN_CHANGED`: The data has changed since the plan of `planHash` was made; look at a new one. `CONFLICT`: Rows are blocked and `onBlocked` is `refuse`, or a table's present rules do not take them; `details` name table, column, constraint, and the way on. */
      409: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'RESTORE_IN_PROGRESS' | 'PLAN_CHANGED' | 'CONFLICT';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `PAYLOAD_TOO_LARGE`: The body is larger than 64 KB. */
      413: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'PAYLOAD_TOO_LARGE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `RATE_LIMIT_EXCEEDED`: The tenant's hourly quota of this function is used up. */
      429: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'RATE_LIMIT_EXCEEDED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `INTERNAL`: A fault of ours; the log has it under the `X-Request-Id`. */
      500: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'INTERNAL';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `UNAVAILABLE`: The database or the store does not answer; try again after `Retry-After`. */
      503: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'UNAVAILABLE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
    };
  };
  /**
   * Whether the service works
   * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
   */
  'health-pitr-rollback': {
    responses: {
      /** @description It works, or some of it does not (`degraded`). */
      200: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
      /** @description Nothing can be asked of it (`down`). */
      503: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
    };
  };
  /**
   * Prove that a backup can be restored
   * @description Restores a backup into a place of its own and checks it. `success` means that the test ran; what it found is in `results`.
   *
   * Who: owner, admin, operator. Limit: 20 requests per tenant and hour, unless the deployment says otherwise.
   */
  testRecovery: {
    parameters: {
      header?: {
        'Idempotency-Key'?: components['parameters']['IdempotencyKey'];
      };
    };
    readonly requestBody: {
      readonly content: {
        readonly 'application/json': components['schemas']['RecoveryTestRequest'];
      };
    };
    responses: {
      /** @description Done, or looked at. */
      200: {
        headers: {
          readonly 'Idempotent-Replayed': components['headers']['Idempotent-Replayed'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['RecoveryTestResponse'];
        };
      };
      /** @description It goes on after this answer; the log row of the id given tells the end. */
      202: {
        headers: {
          readonly 'Idempotent-Replayed': components['headers']['Idempotent-Replayed'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['RecoveryTestResponse'];
        };
      };
      /** @description `VALIDATION_FAILED`: The input is invalid; `details` lists every fault, each naming its field. */
      400: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'VALIDATION_FAILED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `AUTH_REQUIRED`: There is no access token, or not a good one of a signed-in user; or the service key names no tenant. */
      401: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'AUTH_REQUIRED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `TENANT_NOT_FOUND`: The user belongs to no tenant, or to several and has picked none of them; or the service named one that nothing knows. `INSUFFICIENT_PERMISSIONS`: The user's role in the tenant does not allow this. */
      403: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'TENANT_NOT_FOUND' | 'INSUFFICIENT_PERMISSIONS';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `BACKUP_NOT_FOUND`: There is no such backup in this tenant. `NOT_FOUND`: There is nothing at this address. */
      404: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'BACKUP_NOT_FOUND' | 'NOT_FOUND';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `METHOD_NOT_ALLOWED`: Only POST is answered, and the OPTIONS of a preflight. */
      405: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'METHOD_NOT_ALLOWED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `BACKUP_UNUSABLE`: The backup is unfinished, damaged, cannot be decrypted, or its chain is broken. */
      409: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'BACKUP_UNUSABLE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `PAYLOAD_TOO_LARGE`: The body is larger than 64 KB. */
      413: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'PAYLOAD_TOO_LARGE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `RATE_LIMIT_EXCEEDED`: The tenant's hourly quota of this function is used up. */
      429: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'RATE_LIMIT_EXCEEDED';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `INTERNAL`: A fault of ours; the log has it under the `X-Request-Id`. */
      500: {
        headers: {
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'INTERNAL';
            /** @constant */
            readonly success?: false;
          };
        };
      };
      /** @description `UNAVAILABLE`: The database or the store does not answer; try again after `Retry-After`. */
      503: {
        headers: {
          readonly 'Retry-After': components['headers']['Retry-After'];
          readonly 'X-RateLimit-Limit': components['headers']['X-RateLimit-Limit'];
          readonly 'X-RateLimit-Remaining': components['headers']['X-RateLimit-Remaining'];
          readonly 'X-RateLimit-Reset': components['headers']['X-RateLimit-Reset'];
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['ErrorBody'] & {
            /** @enum {unknown} */
            readonly code?: 'UNAVAILABLE';
            /** @constant */
            readonly success?: false;
          };
        };
      };
    };
  };
  /**
   * Whether the service works
   * @description For monitors: no token, no limit. What is answered is at most 10 seconds old.
   */
  'health-recovery-test': {
    responses: {
      /** @description It works, or some of it does not (`degraded`). */
      200: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
      /** @description Nothing can be asked of it (`down`). */
      503: {
        headers: {
          readonly 'X-Request-Id': components['headers']['X-Request-Id'];
        };
        content: {
          readonly 'application/json': components['schemas']['Health'];
        };
      };
    };
  };
}
