import { bind } from './create.ts';
import type { M23 } from './m23.ts';
import { type Project, projectOf, type SupabaseLike } from './supabase.ts';

let current: Project | undefined;

/** Sets the client that the functions exported by name use. */
export function setClient(supabase: SupabaseLike): void {
  current = projectOf(supabase);
}

const shared = bind(() => {
  if (current === undefined) throw new Error('m23-client: call setClient(supabase) first, or use createM23(supabase)');
  return current;
});

/** See {@link M23.getBackupJobs}. */
export const getBackupJobs: M23['getBackupJobs'] = shared.getBackupJobs;
/** See {@link M23.createBackupJob}. */
export const createBackupJob: M23['createBackupJob'] = shared.createBackupJob;
/** See {@link M23.executeBackup}. */
export const executeBackup: M23['executeBackup'] = shared.executeBackup;
/** See {@link M23.getBackupById}. */
export const getBackupById: M23['getBackupById'] = shared.getBackupById;
/** See {@link M23.watchBackup}. */
export const watchBackup: M23['watchBackup'] = shared.watchBackup;
/** See {@link M23.executeRestore}. */
export const executeRestore: M23['executeRestore'] = shared.executeRestore;
/** See {@link M23.getRestoreLogs}. */
export const getRestoreLogs: M23['getRestoreLogs'] = shared.getRestoreLogs;
/** See {@link M23.watchRestore}. */
export const watchRestore: M23['watchRestore'] = shared.watchRestore;
/** See {@link M23.executePITR}. */
export const executePITR: M23['executePITR'] = shared.executePITR;
/** See {@link M23.getPITRPreview}. */
export const getPITRPreview: M23['getPITRPreview'] = shared.getPITRPreview;
/** See {@link M23.lookAtPITR}. */
export const lookAtPITR: M23['lookAtPITR'] = shared.lookAtPITR;
/** See {@link M23.getTransactionLogs}. */
export const getTransactionLogs: M23['getTransactionLogs'] = shared.getTransactionLogs;
/** See {@link M23.getChangeHistogram}. */
export const getChangeHistogram: M23['getChangeHistogram'] = shared.getChangeHistogram;
/** See {@link M23.getEvents}. */
export const getEvents: M23['getEvents'] = shared.getEvents;
/** See {@link M23.getTransactions}. */
export const getTransactions: M23['getTransactions'] = shared.getTransactions;
/** See {@link M23.getTransaction}. */
export const getTransaction: M23['getTransaction'] = shared.getTransaction;
/** See {@link M23.findRows}. */
export const findRows: M23['findRows'] = shared.findRows;
/** See {@link M23.getRowHistory}. */
export const getRowHistory: M23['getRowHistory'] = shared.getRowHistory;
/** See {@link M23.getPITRStats}. */
export const getPITRStats: M23['getPITRStats'] = shared.getPITRStats;
/** See {@link M23.executePITRRollback}. */
export const executePITRRollback: M23['executePITRRollback'] = shared.executePITRRollback;
/** See {@link M23.getActivePITRSnapshots}. */
export const getActivePITRSnapshots: M23['getActivePITRSnapshots'] = shared.getActivePITRSnapshots;
/** See {@link M23.watchRollback}. */
export const watchRollback: M23['watchRollback'] = shared.watchRollback;
/** See {@link M23.fetchDRPlans}. */
export const fetchDRPlans: M23['fetchDRPlans'] = shared.fetchDRPlans;
/** See {@link M23.createDRPlan}. */
export const createDRPlan: M23['createDRPlan'] = shared.createDRPlan;
/** See {@link M23.executeRecoveryTest}. */
export const executeRecoveryTest: M23['executeRecoveryTest'] = shared.executeRecoveryTest;
/** See {@link M23.fetchHealthSnapshots}. */
export const fetchHealthSnapshots: M23['fetchHealthSnapshots'] = shared.fetchHealthSnapshots;
/** See {@link M23.calculateHealthScore}. */
export const calculateHealthScore: M23['calculateHealthScore'] = shared.calculateHealthScore;
/** See {@link M23.watchRecoveryTest}. */
export const watchRecoveryTest: M23['watchRecoveryTest'] = shared.watchRecoveryTest;
