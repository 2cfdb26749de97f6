// The tables of the random history, as tests name them.
import { readFileSync } from 'node:fs';

import type pg from 'pg';

export interface HistoryTable {
  name: string;
  /** The key of a row `r`, as one text. */
  key: string;
  /** Rows of it go from tenant to tenant, or become nobody's. */
  shared: boolean;
}

export const TABLES: readonly HistoryTable[] = [
  { name: 'plain', key: 'row(r.id)::text', shared: true },
  { name: 'pair', key: 'row(r.tenant_id, r.a, r.b)::text', shared: true },
  { name: 'tag', key: 'row(r.id)::text', shared: false },
  { name: 'swap', key: 'row(r.id)::text', shared: false },
  { name: 'seat', key: 'row(r.id)::text', shared: false },
  { name: 'node', key: 'row(r.id)::text', shared: false },
  { name: 'leaf', key: 'row(r.node, r.line)::text', shared: false },
  { name: 'branch', key: 'row(r.id, r.region)::text', shared: false },
  { name: 'twig', key: 'row(r.id)::text', shared: false },
  { name: 'word', key: 'row(r.id)::text', shared: false },
  { name: 'usage', key: 'row(r.id)::text', shared: false },
  { name: 'loose', key: 'row(r.id)::text', shared: true },
];

/** A connection whose texts are those of the record. */
export const SESSION = `set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set client_min_messages = warning;
  set deadlock_timeout = '50ms'; set lock_timeout = '3s'`;

/** What a Supabase project has before M23's migrations. */
export async function makeTables(client: pg.Client): Promise<void> {
  await client.query(readFileSync(new URL('tables.sql', import.meta.url), 'utf8'));
}

/** Row texts by key, by table. */
export type Images = Map<string, Map<string, string>>;

/** A tenant's rows now. */
export async function liveImages(client: pg.Client, tenant: string): Promise<Images> {
  return await imagesIn(client, 'history', tenant);
}

/** A tenant's rows in a schema that has the tables of the history, or some of them. */
export async function imagesIn(client: pg.Client, schema: string, tenant: string): Promise<Images> {
  return await imagesOf(client, (name) => `${schema}.${name}`, 'r.tenant_id = $1', [tenant]);
}

/** A tenant's rows as of a moment, a timestamptz as text: M23's answer. */
export async function imagesAsOf(client: pg.Client, tenant: string, at: string): Promise<Images> {
  return await imagesOf(client, (name) => `m23.as_of(null::history.${name}, $1::text, $2::timestamptz)`, 'true', [
    tenant,
    at,
  ]);
}

/** Everybody else's rows, each with its place: equal answers mean that nobody has written. */
export async function placesOfOthers(client: pg.Client, tenant: string): Promise<string> {
  const all: string[] = [];
  for (const { name } of TABLES) {
    const {
      rows: [row],
    } = await client.query<{ sum: string }>(
      `select concat_ws(' ', count(*), sum(hashtextextended(concat_ws(' ', r.ctid, r.xmin, r), 0)::numeric)) as sum from history.${name} r where r.tenant_id <> $1`,
      [tenant],
    );
    all.push(`${name}: ${row?.sum}`);
  }
  return all.join('\n');
}

/** The columns are those that there are when it is asked: one that is added meanwhile is not looked at. */
async function imagesOf(
  client: pg.Client,
  from: (name: string) => string,
  where: string,
  values: string[],
): Promise<Images> {
  const columns = await columnsNow(client);
  const all: Images = new Map();
  for (const { name, key } of TABLES) {
    const list = columns.get(name)?.join(', ');
    const { rows } = await client.query<{ key: string; image: string }>(
      `select ${key} as key, row(${list})::text as image from ${from(name)} r (${list}) where ${where}`,
      values,
    );
    all.set(name, new Map(rows.map((row) => [row.key, row.image])));
  }
  return all;
}

/** By the names that they have now: whoever asks gives them to the columns by their order, so that a renamed one is found. */
async function columnsNow(client: pg.Client): Promise<Map<string, string[]>> {
  const { rows } = await client.query<{ name: string; columns: string[] }>(`
    select c.relname as name, array_agg(a.attname::text order by a.attnum) as columns
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'history'::regnamespace and c.relkind in ('r', 'p') group by c.relname`);
  return new Map(rows.map(({ name, columns }) => [name, columns]));
}
