// A backup or a test that this page has begun.
import { signal } from '@preact/signals';

import type { M23Error } from '../../../../client/src/errors.ts';
import type { BackupJob, ValidationLevel } from '../../../../client/src/types.ts';
import { toldError } from '../../load.ts';
import { m23 } from '../../project.ts';

/** Work under way, or how it failed. */
export interface Work {
  readonly tenant: string;
  readonly title: string;
  /** The job of a backup: what can be stopped. */
  readonly job?: BackupJob;
  readonly error?: M23Error;
}

/** The work of this page; undefined when there is none. */
export const work = signal<Work | undefined>();

/** Makes a backup: an incremental if there is something to build on and it is asked for. */
export async function backUp(tenant: string, base: BackupJob | undefined): Promise<void> {
  const title = base === undefined ? 'Full backup' : 'Incremental backup';
  await follow({ tenant, title }, async (show) => {
    const backupName = `console ${new Date().toISOString().slice(0, 16)}`;
    const kind =
      base === undefined ? { jobType: 'full' as const } : { jobType: 'incremental' as const, baseBackupId: base.id };
    const job = await m23.createBackupJob({ ...kind, backupName, tenantId: tenant });
    show({ tenant, title, job });
    await m23.executeBackup(job.id, { onProgress: (now) => show({ tenant, title, job: now }) });
  });
}

/** Tests a backup to a level. */
export async function testBackup(tenant: string, job: BackupJob, level: ValidationLevel): Promise<void> {
  await follow({ tenant, title: `${level.charAt(0).toUpperCase()}${level.slice(1)} test` }, async () => {
    const request = {
      test_name: 'console',
      test_type: 'manual',
      validation_level: level,
      backup_job_id: job.id,
    } as const;
    await m23.executeRecoveryTest(request, { idempotencyKey: crypto.randomUUID() });
  });
}

async function follow(begun: Work, run: (show: (now: Work) => void) => Promise<void>): Promise<void> {
  work.value = begun;
  try {
    await run((now) => {
      work.value = now;
    });
    work.value = undefined;
  } catch (error) {
    work.value = { ...begun, error: toldError(error) };
  }
}
