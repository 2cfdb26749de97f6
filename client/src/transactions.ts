import type { TransactionLogFilter } from './m23.ts';
import { type Project, read } from './supabase.ts';
import { tenantOr } from './tenant.ts';
import type { TransactionLog } from './types.ts';

const USUAL_LIMIT = 100;
/** The most that one call of the database gives. */
const LARGEST_PAGE = 1000;

/** The newest changes that a filter lets through. */
export async function transactionLogs(project: Project, filter: TransactionLogFilter): Promise<TransactionLog[]> {
  const { limit = USUAL_LIMIT, table } = filter;
  const tenant = await tenantOr(project, filter.tenantId, filter);
  const wanted = matcher(filter);
  const size = wanted === undefined ? Math.min(limit, LARGEST_PAGE) : LARGEST_PAGE;
  const found: TransactionLog[] = [];
  for (let before = filter.before; found.length < limit;) {
    const args = { p_tenant_id: tenant, p_limit: size, ...(table === undefined ? {} : { p_table: table }), ...(before === undefined ? {} : { p_before: before }) };
    const rows = (await read(project.rpc('get_transaction_logs', args), filter)) as TransactionLog[];
    found.push(...(wanted === undefined ? rows : rows.filter(wanted)));
    before = rows.at(-1)?.id;
    if (rows.length < size || before === undefined) break;
  }
  return found.slice(0, limit);
}

/** What the database cannot filter by index; nothing where the filter asks for nothing of it. */
function matcher({ operation, actor, since, until }: TransactionLogFilter): ((row: TransactionLog) => boolean) | undefined {
  if (operation === undefined && actor === undefined && since === undefined && until === undefined) return undefined;
  const [from, to] = [time(since) ?? -Infinity, time(until) ?? Infinity];
  return (row) => {
    const at = time(row.created_at) ?? Infinity;
    return (operation === undefined || row.operation === operation) && (actor === undefined || row.actor === actor) && at >= from && at < to;
  };
}

function time(moment: string | Date | null | undefined): number | undefined {
  return moment === undefined || moment === null ? undefined : new Date(moment).getTime();
}
