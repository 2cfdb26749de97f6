import { M23Error } from './errors.ts';
import { page } from './lists.ts';
import type { M23 } from './m23.ts';
import { invoke, type Project, read } from './supabase.ts';
import type { BackupCreateRequest, BackupCreateResponse, BackupJob } from './types.ts';
import { mustBeCompleted, watchBackup } from './watch.ts';

type Backups = Pick<M23, 'getBackupJobs' | 'createBackupJob' | 'executeBackup' | 'getBackupById' | 'watchBackup'>;

/** Backups of a project. */
export function backups(project: () => Project): Backups {
  return {
    async getBackupJobs(filter = {}) {
      let query = page(project().from('backup_jobs').select('*'), filter);
      if (filter.status !== undefined) query = query.eq('status', filter.status);
      if (filter.jobType !== undefined) query = query.eq('job_type', filter.jobType);
      return (await read(query, filter)) as BackupJob[];
    },

    async createBackupJob(backup, options = {}) {
      const row = {
        job_type: backup.jobType,
        backup_name: backup.backupName,
        ...(backup.tenantId === undefined ? {} : { tenant_id: backup.tenantId }),
        ...(backup.createdBy === undefined ? {} : { created_by: backup.createdBy }),
        ...(backup.description === undefined ? {} : { description: backup.description }),
        ...(backup.tables === undefined ? {} : { tables: backup.tables }),
        ...(backup.baseBackupId === undefined ? {} : { base_backup_id: backup.baseBackupId }),
      };
      const [job] = await read(project().from('backup_jobs').insert(row).select('*'), options);
      return job as BackupJob;
    },

    async executeBackup(jobId, options = {}) {
      const request: BackupCreateRequest = { jobId };
      const begun = await invoke<BackupCreateResponse>(project(), 'backup-create', request, options);
      if (options.wait === false) return begun;
      const job = mustBeCompleted(await watchBackup(project(), begun.jobId, options));
      return { ...begun, status: job.status, job };
    },

    async getBackupById(id, options = {}) {
      const [job] = await read(project().from('backup_jobs').select('*').eq('id', id), options);
      if (job === undefined)
        throw new M23Error('There is no such backup in this tenant.', { code: 'BACKUP_NOT_FOUND', status: 404 });
      return job as BackupJob;
    },

    watchBackup: async (jobId, options = {}) => watchBackup(project(), jobId, options),
  };
}
