import { page } from './lists.ts';
import type { M23 } from './m23.ts';
import { invoke, type Project, read } from './supabase.ts';
import { tenantOr } from './tenant.ts';
import type { DisasterRecoveryPlan, HealthSnapshot, RecoveryTest, RecoveryTestResponse } from './types.ts';
import { mustBeCompleted, watchRecoveryTest } from './watch.ts';

type Recovery = Pick<
  M23,
  | 'fetchDRPlans'
  | 'createDRPlan'
  | 'executeRecoveryTest'
  | 'fetchHealthSnapshots'
  | 'calculateHealthScore'
  | 'watchRecoveryTest'
>;

/** Plans, recovery tests and health of a project. */
export function recovery(project: () => Project): Recovery {
  return {
    async fetchDRPlans(filter = {}) {
      const query = page(project().from('dr_plans').select('*'), filter);
      const chosen = filter.isActive === undefined ? query : query.eq('is_active', filter.isActive);
      return (await read(chosen, filter)) as DisasterRecoveryPlan[];
    },

    async createDRPlan(plan, options = {}) {
      const [entered] = await read(project().from('dr_plans').insert(plan).select('*'), options);
      return entered as DisasterRecoveryPlan;
    },

    async executeRecoveryTest(test, options = {}) {
      const answer = await invoke<RecoveryTestResponse>(project(), 'recovery-test', test, options);
      if (options.wait === false || answer.status !== 'in_progress' || answer.testId === undefined) return answer;
      return ofTest(mustBeCompleted(await watchRecoveryTest(project(), answer.testId, options)));
    },

    async fetchHealthSnapshots(filter = {}) {
      return (await read(page(project().from('health_snapshots').select('*'), filter), filter)) as HealthSnapshot[];
    },

    async calculateHealthScore(tenantId, daysBack, options = {}) {
      const tenant = await tenantOr(project(), tenantId, options);
      const args = { p_tenant_id: tenant, ...(daysBack === undefined ? {} : { p_days_back: daysBack }) };
      return Number(await read(project().rpc('calculate_health_score', args), options));
    },

    watchRecoveryTest: async (testId, options = {}) => watchRecoveryTest(project(), testId, options),
  };
}

/** The answer that a completed test would have given, had it been waited for. */
function ofTest(test: RecoveryTest): RecoveryTestResponse {
  return {
    success: true,
    testId: test.id,
    status: 'completed',
    ...(test.results == null ? {} : { results: test.results }),
  };
}
