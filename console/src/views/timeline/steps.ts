// From transaction to transaction.
import type { Transaction } from '../../../../client/src/types.ts';
import { m23 } from '../../project.ts';
import { isoOf, micros } from '../../time.ts';

const SECOND = 1_000_000n;
const LONGEST = 64n * 86_400n * SECOND;
const PAGE = 200;

/** The last transaction before a time. */
export async function before(tenantId: string, time: string, signal: AbortSignal): Promise<Transaction | undefined> {
  const { rows } = await m23.getTransactions({ tenantId, until: time, limit: 20, signal });
  return latest(rows);
}

/** The first transaction at or after a time. The search looks at longer and longer stretches. */
export async function after(tenantId: string, time: string, signal: AbortSignal): Promise<Transaction | undefined> {
  const begin = micros(time);
  for (let length = 60n * SECOND; length <= LONGEST; length *= 8n) {
    const found = await earliestWithin(tenantId, begin, begin + length, signal);
    if (found !== undefined) return found;
    if (begin + length > BigInt(Date.now()) * 1000n) return undefined;
  }
  return undefined;
}

async function earliestWithin(
  tenantId: string,
  begin: bigint,
  end: bigint,
  signal: AbortSignal,
): Promise<Transaction | undefined> {
  const range = { tenantId, since: isoOf(begin), until: isoOf(end), limit: PAGE, signal };
  const { rows } = await m23.getTransactions(range);
  const first = rows.toSorted((a, b) => (micros(a.at) < micros(b.at) ? -1 : 1))[0];
  // A full page has the newest only: the first one is before them.
  if (rows.length < PAGE || first === undefined) return first;
  return (await earliestWithin(tenantId, begin, micros(first.at), signal)) ?? first;
}

function latest(rows: readonly Transaction[]): Transaction | undefined {
  return rows.toSorted((a, b) => (micros(a.at) > micros(b.at) ? -1 : 1))[0];
}

/** The transaction that a moment stands just before. */
export async function following(
  tenantId: string,
  id: string,
  at: string,
  signal: AbortSignal,
): Promise<Transaction | null> {
  const begin = micros(at);
  const range = { tenantId, since: isoOf(begin), until: isoOf(begin + 2n), limit: PAGE, signal };
  const { rows } = await m23.getTransactions(range);
  return rows.find(({ transaction_id }) => transaction_id === id) ?? null;
}
