import type {
  FoundRowsFilter,
  HistogramChoice,
  M23,
  RowHistoryFilter,
  Search,
  TransactionChanges,
  TransactionFilter,
} from './m23.ts';
import { moment } from './moment.ts';
import { type Project, read } from './supabase.ts';
import { tenantOr } from './tenant.ts';
import type { ChangeBucket, FoundRow, HistoryEvent, RowChange, Transaction, TransactionChange } from './types.ts';

type History = Pick<
  M23,
  'getChangeHistogram' | 'getEvents' | 'getTransactions' | 'getTransaction' | 'findRows' | 'getRowHistory'
>;

/** What happened to the rows of a project. */
export function history(project: () => Project): History {
  return {
    async getChangeHistogram(since, until, choice: HistogramChoice = {}) {
      const args = {
        p_tenant_id: await tenantOr(project(), choice.tenantId, choice),
        ...given({
          p_since: moment(since),
          p_until: moment(until),
          p_buckets: choice.buckets,
          p_tables: choice.tables === undefined ? undefined : [...choice.tables],
          p_actor: choice.actor,
        }),
      };
      return (await read(project().rpc('get_change_histogram', args as never), choice)) as ChangeBucket[];
    },

    async getEvents(since, until, options = {}) {
      const tenant = await tenantOr(project(), options.tenantId, options);
      const args = { p_tenant_id: tenant, p_since: moment(since), p_until: moment(until) };
      return (await read(project().rpc('get_events', args), options)) as HistoryEvent[];
    },

    async getTransactions(filter: TransactionFilter = {}) {
      const args = {
        p_tenant_id: await tenantOr(project(), filter.tenantId, filter),
        ...given({
          ...range(filter),
          p_order: filter.order,
          p_actor: filter.actor,
          p_source: filter.source,
          p_limit: filter.limit,
          p_before: filter.before,
        }),
      };
      return searched((await read(project().rpc('get_transactions', args as never), filter)) as (Transaction & Stop)[]);
    },

    async getTransaction(transactionId, filter: TransactionChanges = {}) {
      const args = {
        p_tenant_id: await tenantOr(project(), filter.tenantId, filter),
        p_transaction_id: transactionId,
        ...given({ p_limit: filter.limit, p_before: filter.before }),
      };
      return (await read(project().rpc('get_transaction', args as never), filter)) as TransactionChange[];
    },

    async findRows(table, filter: FoundRowsFilter = {}) {
      const args = {
        p_tenant_id: await tenantOr(project(), filter.tenantId, filter),
        p_table: table,
        ...given({
          ...range(filter),
          p_filter: filter.where,
          p_operation: filter.operation,
          p_limit: filter.limit,
          p_before: filter.before,
        }),
      };
      return searched((await read(project().rpc('find_rows', args as never), filter)) as (FoundRow & Stop)[]);
    },

    async getRowHistory(table, key, filter: RowHistoryFilter = {}) {
      const args = {
        p_tenant_id: await tenantOr(project(), filter.tenantId, filter),
        p_table: table,
        p_key: key,
        ...given({ p_limit: filter.limit, p_before: filter.before }),
      };
      return (await read(project().rpc('get_row_history', args as never), filter)) as RowChange[];
    },
  };
}

/** What the database adds to the rows of a search: on a last one that is none, how far the search came. */
interface Stop {
  searched_back: string | null;
}

/** The rows of a search, without the one that says how far it came. */
function searched<Row extends object>(found: (Row & Stop)[]): Search<Row> {
  const last = found.at(-1);
  return {
    rows: found
      .filter((row) => row.searched_back === null)
      .map(({ searched_back: _, ...row }) => row as unknown as Row),
    ...(last?.searched_back == null ? {} : { searchedBack: last.searched_back }),
    ...(last === undefined ? {} : { before: last }),
  };
}

function range({ since, until }: { since?: string | Date | undefined; until?: string | Date | undefined }): object {
  return {
    p_since: since === undefined ? undefined : moment(since),
    p_until: until === undefined ? undefined : moment(until),
  };
}

/** Arguments without those that are not given. */
function given(args: object): object {
  return Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined));
}
