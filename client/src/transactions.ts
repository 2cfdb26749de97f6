import type { TransactionLogFilter } from './m23.ts';
import { moment } from './moment.ts';
import { type Project, read } from './supabase.ts';
import { tenantOr } from './tenant.ts';
import type { TransactionLog } from './types.ts';

const USUAL_LIMIT = 100;
/** The most that one call of the database gives. */
const LARGEST_PAGE = 1000;

/** The newest changes that a filter lets through. The database filters; nothing else is fetched. */
export async function transactionLogs(project: Project, filter: TransactionLogFilter): Promise<TransactionLog[]> {
  const { table, operation, actor, since, until, limit = USUAL_LIMIT } = filter;
  const wanted = {
    p_tenant_id: await tenantOr(project, filter.tenantId, filter),
    ...(table === undefined ? {} : { p_table: table }),
    ...(operation === undefined ? {} : { p_operation: operation }),
    ...(actor === undefined ? {} : { p_actor: actor }),
    ...(since === undefined ? {} : { p_since: moment(since) }),
    ...(until === undefined ? {} : { p_until: moment(until) }),
  };
  const found: TransactionLog[] = [];
  for (let last = filter.before; found.length < limit; last = found.at(-1)) {
    const size = Math.min(limit - found.length, LARGEST_PAGE);
    const before = last === undefined ? {} : { p_before: { id: last.id, transaction_id: last.transaction_id } };
    const page = (await read(
      project.rpc('get_transaction_logs', { ...wanted, ...before, p_limit: size }),
      filter,
    )) as TransactionLog[];
    found.push(...page);
    if (page.length < size) break;
  }
  return found;
}
