import type { ListOptions } from './options.ts';

/** The part of a query that every list uses. */
interface Listable<Self> {
  eq(column: 'tenant_id', value: string): Self;
  or(filters: string): Self;
  order(column: 'created_at' | 'id', options: { ascending: boolean }): Self;
  limit(count: number): Self;
}

const USUAL_LIMIT = 50;

/** A page of a query, newest first; rows of one time by their ids. */
export function page<Query extends Listable<Query>>(query: Query, { tenantId, before, limit }: ListOptions): Query {
  let chosen = query;
  if (tenantId !== undefined) chosen = chosen.eq('tenant_id', tenantId);
  if (before !== undefined) {
    const [at, id] = [JSON.stringify(before.created_at), JSON.stringify(before.id)];
    chosen = chosen.or(`created_at.lt.${at},and(created_at.eq.${at},id.lt.${id})`);
  }
  return chosen
    .order('created_at', { ascending: false })
    .order('id', { ascending: false })
    .limit(limit ?? USUAL_LIMIT);
}
