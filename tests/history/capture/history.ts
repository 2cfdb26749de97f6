// A history of capture: some transactions in the tables of a shape, then every kept moment is asked for.
import type pg from 'pg';

import { randomNumbers } from '../../fixtures/time.ts';
import { Draw } from '../statements.ts';
import { compare, tell, type Verdict } from './compare.ts';
import { keepMoments, Reader } from './moments.ts';
import type { Shape } from './shapes.ts';
import { insertion, KEYS, parentFrom, type Table, tenantsOf } from './tables.ts';
import { type Tally, Writers } from './writers.ts';

const SHOWN = 3;

export interface Outcome extends Verdict {
  tally: Tally;
  /** The first differences, told; empty where every answer was right. */
  report: string;
}

/** Where and how a history is written. */
export interface Setting {
  connect: () => Promise<pg.Client>;
  shape: Shape;
  seed: number;
  /** How many transactions each writer begins. */
  transactions: number;
  /** How many write at once. */
  writers?: number;
  /** Called when the tables are protected, before anybody writes. */
  prepare?: (client: pg.Client) => Promise<void>;
}

/** Makes the tables, writes and compares; the tables are gone afterwards. */
export async function history(setting: Setting): Promise<Outcome> {
  const client = await setting.connect();
  try {
    await client.query(`set client_min_messages = error`);
    await makeTables(client, setting.shape);
    await setting.prepare?.(client);
    const outcome = await write(client, setting);
    await dropTables(client, setting.shape);
    return outcome;
  } finally {
    await client.end();
  }
}

async function makeTables(client: pg.Client, { tables, sql }: Shape): Promise<void> {
  await client.query(sql);
  for (const table of tables) await client.query(firstRows(table));
}

function firstRows(table: Table): string {
  const { through } = table;
  const { type, tenants } = tenantsOf(table);
  return insertion(
    table,
    'g',
    through === undefined ? `(array['${tenants.join("', '")}'])[1 + g % 2]::${type}` : parentFrom(through, 'g'),
    'g',
    `'first ' || g || repeat('z', (g % 3) * 3000)`,
    `from generate_series(1, ${Math.floor((KEYS * 2) / 3)}) g`,
  );
}

async function dropTables(client: pg.Client, { name, tables }: Shape): Promise<void> {
  for (const table of tables.toReversed()) await client.query(`select m23.unprotect_table('${table.name}')`);
  await client.query(`drop schema ${name} cascade`);
}

async function write(client: pg.Client, setting: Setting): Promise<Outcome> {
  const { connect, seed, writers: wanted = 3 } = setting;
  const { tables, writers: most = wanted } = setting.shape;
  const count = Math.min(wanted, most);
  const transactions = Math.ceil((setting.transactions * wanted) / count);
  const watcher = await connect();
  const writers = await Writers.start(connect, count, { tables, seed, transactions });
  const keeping = keepMoments(watcher, tables, {
    draw: new Draw(randomNumbers(seed)),
    pause: Math.min(150, 5 * transactions),
    going: () => writers.writing,
  });
  const [kept] = await Promise.allSettled([keeping]);
  await watcher.end();
  await writers.ended();
  if (kept.status === 'rejected') throw kept.reason;
  const verdict = await compare(await Reader.open(client, tables), tables, kept.value);
  const told = [];
  for (const one of verdict.differences.slice(0, SHOWN)) told.push(await tell(client, one, writers.trace));
  return { ...verdict, tally: writers.tally, report: told.join('\n') };
}
