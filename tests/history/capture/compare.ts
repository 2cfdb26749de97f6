// The answers about a history's moments against the rows that were there, and what to show of a wrong one.
import type pg from 'pg';

import { type Moment, placeOf, type Reader } from './moments.ts';
import { type Table, tenantsOf } from './tables.ts';
import type { Trace } from './writers.ts';

/** A row that was answered wrongly. */
export interface Difference {
  table: Table;
  tenant: string;
  position: string;
  key: string;
  expected: string | undefined;
  found: string | undefined;
}

/** What has come out. */
export interface Verdict {
  moments: number;
  /** Moments with a wrong answer. */
  wrong: number;
  /** Those of the latest moment first: nearest to what has gone wrong. */
  differences: Difference[];
}

const LOG_LINES = 40;

/** Asks M23 for each moment, and each tenant and table in it. */
export async function compare(reader: Reader, tables: readonly Table[], moments: readonly Moment[]): Promise<Verdict> {
  const verdict: Verdict = { moments: moments.length, wrong: 0, differences: [] };
  for (const moment of moments) {
    const found = await differencesAt(reader, tables, moment);
    if (found.length > 0) verdict.wrong += 1;
    verdict.differences.unshift(...found);
  }
  return verdict;
}

async function differencesAt(
  reader: Reader,
  tables: readonly Table[],
  { position, rows }: Moment,
): Promise<Difference[]> {
  const found: Difference[] = [];
  for (const table of tables) {
    for (const tenant of tenantsOf(table).tenants) {
      const [wanted, answer] = [rows.get(placeOf(table, tenant))!, await reader.asOf(table, tenant, position)];
      for (const key of new Set([...wanted.keys(), ...answer.keys()])) {
        const [expected, actual] = [wanted.get(key), answer.get(key)];
        if (expected !== actual) found.push({ table, tenant, position, key, expected, found: actual });
      }
    }
  }
  return found;
}

/** Tells a difference with the log's rows of its key and the statements of their transactions. */
export async function tell(client: pg.Client, difference: Difference, trace: Trace): Promise<string> {
  const { table, tenant, position, key, expected, found } = difference;
  const log = await logOf(client, difference);
  const statements = [...new Set(log.map(({ xid }) => xid))].flatMap((xid) => [
    `transaction ${xid}:`,
    ...(trace.get(xid) ?? ['?']).map((sql) => `  ${short(sql)}`),
  ]);
  return [
    `${placeOf(table, tenant)}, key ${key}, as of ${position}`,
    `  expected ${expected ?? 'no row'}`,
    `  found    ${found ?? 'no row'}`,
    '  the log:',
    ...log.map(({ line }) => `    ${short(line)}`),
    '  the statements:',
    ...statements.map((line) => `    ${line}`),
  ].join('\n');
}

/** What the log has of a key that the position does not see, in the order of the changes. */
async function logOf(
  client: pg.Client,
  { table, position, key }: Difference,
): Promise<{ xid: string; line: string }[]> {
  const {
    rows: [log],
  } = await client.query<{ name: string; id: string }>(
    `select m23.log_name(t.id) as name, quote_ident('c' || a.attnum) as id from m23.protected_tables t
       join pg_attribute a on a.attrelid = t.relid and a.attname = 'id' where t.relid = $1::regclass`,
    [table.name],
  );
  const { rows } = await client.query<{ xid: string; line: string }>(
    `select l.xid::text as xid, l::text as line from ${log?.name} l where l.${log?.id}::text = $1
      and not pg_visible_in_snapshot(l.xid, $2)
      order by l.change_id limit ${LOG_LINES}`,
    [key, position],
  );
  return rows;
}

/** Without the long runs of one character that wide values are made of. */
function short(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/(.)\1{15,}/g, '$1$1…')
    .replace(/(?:78){15,}/g, '78…');
}
