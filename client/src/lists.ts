import type { ListOptions } from './options.ts';

/** The part of a query that every list uses. */
interface Listable<Self> {
  eq(column: 'tenant_id', value: string): Self;
  lt(column: 'created_at', value: string): Self;
  order(column: 'created_at', options: { ascending: boolean }): Self;
  limit(count: number): Self;
}

const USUAL_LIMIT = 50;

/** A page of a query, newest first. */
export function page<Query extends Listable<Query>>(query: Query, { tenantId, before, limit }: ListOptions): Query {
  let chosen = query;
  if (tenantId !== undefined) chosen = chosen.eq('tenant_id', tenantId);
  if (before !== undefined) chosen = chosen.lt('created_at', before);
  return chosen.order('created_at', { ascending: false }).limit(limit ?? USUAL_LIMIT);
}
