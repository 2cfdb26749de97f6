// Rows that should be the same, and what to show of one that is not.
import assert from 'node:assert/strict';

import type pg from 'pg';

import type { Oracle } from './oracle.ts';
import type { Images } from './tables.ts';

/** Where a comparison stands: what a failing one tells. */
export interface Place {
  seed: number;
  client: pg.Client;
  oracle: Oracle;
}

const LINES = 60;

/** Columns that were added later are at the end, and no part of an older row. Labels are renamed behind a `~`. */
function same(expected: string, actual: string): boolean {
  const [wanted, found] = [expected, actual].map((image) => image.replaceAll(/~\d+/g, '~')) as [string, string];
  return wanted === found || found.startsWith(`${wanted.slice(0, -1)},`);
}

/** Fails at the first row that is missing, differs, or should not be there. */
export async function assertSame(place: Place, what: string, actual: Images, expected: Images): Promise<void> {
  for (const [name, wanted] of expected) {
    const rows = actual.get(name) ?? new Map<string, string>();
    for (const [key, image] of wanted) {
      const found = rows.get(key);
      if (found === undefined || !same(image, found)) await fail(place, what, name, key, image, found);
    }
    for (const [key, image] of rows) {
      if (!wanted.has(key)) await fail(place, what, name, key, undefined, image);
    }
  }
}

async function fail(
  { seed, client, oracle }: Place,
  what: string,
  name: string,
  key: string,
  expected: string | undefined,
  actual: string | undefined,
): Promise<never> {
  const log = await logOf(client, name, key);
  assert.fail(
    [
      `M23_SEED=${seed}: ${what}: history.${name} ${key}`,
      `expected ${expected ?? 'no row'}`,
      `found    ${actual ?? 'no row'}`,
      'the record:',
      ...oracle.history(name, key).slice(-LINES),
      'the log:',
      ...log.slice(-LINES),
    ].join('\n  '),
  );
}

async function logOf(client: pg.Client, name: string, key: string): Promise<string[]> {
  const {
    rows: [table],
  } = await client.query<{ log: string; keys: string }>(
    `select m23.log_name(t.id) as log, (select string_agg('l.c' || c.attnum, ', ' order by c.key_ord) from m23.columns_of(t.relid) c where c.key_ord is not null) as keys
       from m23.protected_tables t where t.relid = $1::regclass`,
    [`history.${name}`],
  );
  const { rows } = await client.query<{ line: string }>(
    `select concat_ws(' ', case when current_setting('track_commit_timestamp')::boolean then (extract(epoch from pg_xact_commit_timestamp(l.xid::xid)) * 1000000)::bigint end, l) as line
       from ${table?.log} l where row(${table?.keys})::text = $1 order by l.change_id`,
    [key],
  );
  return rows.map(({ line }) => line);
}
