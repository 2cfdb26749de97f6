// What is known of a tenant's backups: jobs, tests, plans and health.
import type { BackupJob, DisasterRecoveryPlan, RecoveryTest } from '../../../../client/src/types.ts';
import { m23, rows, rpc } from '../../project.ts';

/** A part of the health score. */
export interface Part {
  name: string;
  weight: number;
  points: number;
  said: string;
}

/** How well the tenant could be brought back. */
export interface Health {
  score: number;
  healthy: boolean;
  parts: Part[];
  capped?: string;
}

/** A full backup and what builds on it, oldest first. */
export interface Chain {
  readonly id: string;
  readonly members: readonly BackupJob[];
}

/** All of it. */
export interface Standing {
  readonly health: Health;
  readonly jobs: readonly BackupJob[];
  readonly chains: readonly Chain[];
  readonly tests: readonly RecoveryTest[];
  readonly plans: readonly DisasterRecoveryPlan[];
}

const MOST = 200;

/** Reads all of it. */
export async function readStanding(tenant: string, signal: AbortSignal): Promise<Standing> {
  const [health, jobs, tests, plans] = await Promise.all([
    rpc('get_health', { p_tenant_id: tenant }, signal),
    m23.getBackupJobs({ tenantId: tenant, limit: MOST, signal }),
    rows<RecoveryTest>(
      'recovery_tests',
      (query) => query.eq('tenant_id', tenant).order('created_at', { ascending: false }).limit(MOST),
      signal,
    ),
    m23.fetchDRPlans({ tenantId: tenant, isActive: true, signal }),
  ]);
  const kept = jobs.filter(({ deleted_at }) => deleted_at === null);
  return { health: health as unknown as Health, jobs: kept, chains: chainsOf(kept), tests, plans };
}

/** Backups by the full backup that they build on, the newest chain first. Snapshots are in no chain. */
export function chainsOf(jobs: readonly BackupJob[]): Chain[] {
  const chains = new Map<string, BackupJob[]>();
  for (const job of jobs) {
    if (job.job_type === 'snapshot') continue;
    const id = job.base_backup_id ?? job.id;
    chains.set(id, [job, ...(chains.get(id) ?? [])]);
  }
  return [...chains].map(([id, members]) => ({ id, members }));
}

/** The last test of a backup that has ended. */
export function testOf(job: BackupJob, tests: readonly RecoveryTest[]): RecoveryTest | undefined {
  return tests.find((test) => test.backup_job_id === job.id && test.status === 'completed');
}
