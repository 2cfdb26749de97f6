import { bind } from './create.ts';
import type { M23 } from './m23.ts';
import { type Project, type SupabaseLike, projectOf } from './supabase.ts';

let current: Project | undefined;

/** Sets the client that the functions exported by name use. */
export function setClient(supabase: SupabaseLike): void {
  current = projectOf(supabase);
}

const shared = bind(() => {
  if (current === undefined) throw new Error('m23-client: call setClient(supabase) first, or use createM23(supabase)');
  return current;
});

// What each of them needs, gives and throws stands in M23.
export const getBackupJobs: M23['getBackupJobs'] = shared.getBackupJobs;
export const createBackupJob: M23['createBackupJob'] = shared.createBackupJob;
export const executeBackup: M23['executeBackup'] = shared.executeBackup;
export const getBackupById: M23['getBackupById'] = shared.getBackupById;
export const watchBackup: M23['watchBackup'] = shared.watchBackup;
export const executeRestore: M23['executeRestore'] = shared.executeRestore;
export const getRestoreLogs: M23['getRestoreLogs'] = shared.getRestoreLogs;
export const watchRestore: M23['watchRestore'] = shared.watchRestore;
export const executePITR: M23['executePITR'] = shared.executePITR;
export const getPITRPreview: M23['getPITRPreview'] = shared.getPITRPreview;
export const getTransactionLogs: M23['getTransactionLogs'] = shared.getTransactionLogs;
export const getPITRStats: M23['getPITRStats'] = shared.getPITRStats;
export const executePITRRollback: M23['executePITRRollback'] = shared.executePITRRollback;
export const getActivePITRSnapshots: M23['getActivePITRSnapshots'] = shared.getActivePITRSnapshots;
export const watchRollback: M23['watchRollback'] = shared.watchRollback;
export const fetchDRPlans: M23['fetchDRPlans'] = shared.fetchDRPlans;
export const createDRPlan: M23['createDRPlan'] = shared.createDRPlan;
export const executeRecoveryTest: M23['executeRecoveryTest'] = shared.executeRecoveryTest;
export const fetchHealthSnapshots: M23['fetchHealthSnapshots'] = shared.fetchHealthSnapshots;
export const calculateHealthScore: M23['calculateHealthScore'] = shared.calculateHealthScore;
export const watchRecoveryTest: M23['watchRecoveryTest'] = shared.watchRecoveryTest;
