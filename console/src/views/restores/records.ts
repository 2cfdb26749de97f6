// Restores and what undid them, as one list.
import type {
  ActivePITRSnapshot,
  LogStatus,
  PITRRollback,
  PITRStats,
  RestoreLog,
} from '../../../../client/src/types.ts';
import { m23, rows } from '../../project.ts';

/** A restore or the undo of one, as its record tells it. */
export interface Record {
  readonly id: string;
  readonly kind: 'restore' | 'undo';
  /** What it went back to: a moment, a backup; undefined for an undo. */
  readonly to: string | undefined;
  readonly status: LogStatus;
  readonly at: string;
  readonly ended: string | null;
  readonly by: string | null;
  readonly rows: number | null;
  readonly tables: readonly string[];
  readonly stats: PITRStats | null;
  readonly seconds: number | null;
  readonly warnings: readonly string[];
  readonly error: string | null;
  /** The last day on which it can be undone; undefined if it cannot be. */
  readonly undo: { readonly snapshot: string; readonly until: string } | undefined;
  /** Whether it was undone. */
  readonly undone: boolean;
}

const MOST = 50;

/** The newest records of a tenant. */
export async function readRecords(tenant: string, signal: AbortSignal): Promise<Record[]> {
  const [restores, rollbacks, snapshots] = await Promise.all([
    m23.getRestoreLogs({ tenantId: tenant, limit: MOST, signal }),
    rows<PITRRollback>(
      'pitr_rollbacks',
      (query) => query.eq('tenant_id', tenant).order('created_at', { ascending: false }).limit(MOST),
      signal,
    ),
    m23.getActivePITRSnapshots({ tenantId: tenant, signal }),
  ]);
  const undone = new Set(rollbacks.filter(({ status }) => status === 'completed').map((one) => one.snapshot_id));
  const looks = restores.filter(({ metadata }) => metadata['dry_run'] === undefined);
  return [
    ...looks.map((log) => ofRestore(log, snapshots, undone)),
    ...rollbacks.map((log) => ofRollback(log, snapshots, undone)),
  ].sort((a, b) => (a.at < b.at ? 1 : -1));
}

function ofRestore(log: RestoreLog, snapshots: readonly ActivePITRSnapshot[], undone: ReadonlySet<string>): Record {
  return {
    id: log.id,
    kind: 'restore',
    to: log.target_timestamp ?? 'a backup',
    status: log.status,
    at: log.created_at,
    ended: log.completed_at,
    by: log.created_by,
    rows: log.rows_restored,
    tables: log.stats?.affectedTables ?? log.tables ?? [],
    stats: log.stats,
    seconds: log.duration_seconds,
    warnings: log.warnings,
    error: log.error_message,
    ...undoOf(log.snapshot_id, log.status, snapshots, undone),
  };
}

function ofRollback(log: PITRRollback, snapshots: readonly ActivePITRSnapshot[], undone: ReadonlySet<string>): Record {
  return {
    id: log.id,
    kind: 'undo',
    to: undefined,
    status: log.status,
    at: log.created_at,
    ended: log.completed_at,
    by: log.created_by,
    rows: log.rows_restored,
    tables: log.affected_tables ?? [],
    stats: null,
    seconds: null,
    warnings: log.warnings,
    error: log.error_message,
    ...undoOf(log.pre_rollback_snapshot_id, log.status, snapshots, undone),
  };
}

function undoOf(
  snapshot: string | null,
  status: LogStatus,
  snapshots: readonly ActivePITRSnapshot[],
  undone: ReadonlySet<string>,
): Pick<Record, 'undo' | 'undone'> {
  const active = snapshots.find(({ snapshot_id }) => snapshot_id === snapshot);
  const open = status === 'completed' && snapshot !== null && active !== undefined;
  return {
    undo: open ? { snapshot, until: active.expires_at } : undefined,
    undone: snapshot !== null && undone.has(snapshot),
  };
}
