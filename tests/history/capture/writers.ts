// Writers of a history of capture, each on a connection of its own.
import type pg from 'pg';

import { randomNumbers } from '../../fixtures/time.ts';
import { Draw } from '../statements.ts';
import { statement } from './statements.ts';
import type { Table } from './tables.ts';

/** What writers meet where they get in each other's way, or in the way of triggers. */
const EXPECTED = new Set([
  '23505',
  '23503',
  '23514', // a key that is taken, a parent that is gone, a row that no partition takes
  '40001',
  '40P01',
  '55P03', // others have changed the row, a deadlock, a lock that was not to be had
  '27000',
  '21000',
  '55006', // a row that a trigger has changed, or that one command would change twice; a TRUNCATE then
]);

const SESSION = `set lock_timeout = '150ms'; set deadlock_timeout = '30ms'; set client_min_messages = error`;

/** What the statements of a transaction were, by its number. */
export type Trace = Map<string, string[]>;

/** How the transactions have ended. */
export interface Tally {
  committed: number;
  aborted: number;
  refused: number;
}

/** What writers write. */
export interface Work {
  tables: readonly Table[];
  /** Decides the statements. */
  seed: number;
  /** How many transactions each of them begins. */
  transactions: number;
}

export class Writers {
  readonly tally: Tally = { committed: 0, aborted: 0, refused: 0 };
  readonly trace: Trace = new Map();
  readonly #work: Work;
  readonly #running: Promise<void>[];
  #left: number;

  private constructor(connections: pg.Client[], work: Work) {
    this.#work = work;
    this.#left = connections.length;
    this.#running = connections.map((client, n) => this.#run(client, new Draw(randomNumbers(work.seed * 100 + n))));
    for (const running of this.#running) running.catch(() => undefined); // ended() tells
  }

  /** Starts some, each with a connection of its own. */
  static async start(connect: () => Promise<pg.Client>, count: number, work: Work): Promise<Writers> {
    const connections = await Promise.all(Array.from({ length: count }, connect));
    for (const connection of connections) await connection.query(SESSION);
    return new Writers(connections, work);
  }

  /** Whether some still write: they do not once one has failed. */
  get writing(): boolean {
    return this.#left > 0;
  }

  /** Waits for their end; fails as the first of them has. */
  async ended(): Promise<void> {
    for (const end of await Promise.allSettled(this.#running)) if (end.status === 'rejected') throw end.reason;
  }

  async #run(client: pg.Client, draw: Draw): Promise<void> {
    try {
      for (let n = 0; n < this.#work.transactions && this.writing; n += 1) await this.#transaction(client, draw);
      this.#left -= 1;
    } catch (error) {
      this.#left = 0;
      throw error;
    } finally {
      await client.end();
    }
  }

  async #transaction(client: pg.Client, draw: Draw): Promise<void> {
    const said: string[] = [];
    try {
      await client.query(draw.chance(0.1) ? 'begin isolation level repeatable read' : 'begin');
      if (draw.chance(0.3)) await run(client, `set local fuzz.statements = 'on'`, said);
      if (draw.chance(0.2)) await run(client, 'set constraints all deferred', said);
      for (let left = draw.one([1, 1, 1, 2, 3, 6]); left > 0; left -= 1) await this.#step(client, draw, said);
      if (draw.chance(0.1)) {
        await client.query('rollback');
        this.tally.aborted += 1;
        return;
      }
      await this.#commit(client, said);
    } catch (error) {
      await client.query('rollback');
      tolerate(error, said);
      this.tally.refused += 1;
    }
  }

  /** One statement, or up to two in a savepoint that may be given up, by choice or for an error. */
  async #step(client: pg.Client, draw: Draw, said: string[]): Promise<void> {
    if (draw.chance(0.5)) {
      await run(client, statement(draw, this.#work.tables), said);
      return;
    }
    await run(client, 'savepoint step', said);
    try {
      await run(client, statement(draw, this.#work.tables), said);
      if (draw.chance(0.3)) await run(client, statement(draw, this.#work.tables), said);
      await run(client, draw.chance(0.25) ? 'rollback to step' : 'release step', said);
    } catch (error) {
      tolerate(error, said);
      await run(client, 'rollback to step', said);
    }
  }

  async #commit(client: pg.Client, said: string[]): Promise<void> {
    const {
      rows: [row],
    } = await client.query<{ xid: string | null }>('select pg_current_xact_id_if_assigned()::text as xid');
    await client.query('commit');
    this.tally.committed += 1;
    if (typeof row?.xid === 'string') this.trace.set(row.xid, said);
  }
}

async function run(client: pg.Client, sql: string, said: string[]): Promise<void> {
  said.push(sql);
  await client.query(sql);
}

/** Passes over what writers may meet; everything else is thrown, with what the transaction has said. */
function tolerate(error: unknown, said: string[]): void {
  const { code, message, where } = error as pg.DatabaseError;
  if (EXPECTED.has(code ?? '')) return;
  throw error instanceof UnexpectedRefusal
    ? error
    : new UnexpectedRefusal([code, message, where, 'after', ...said].join('\n  '));
}

class UnexpectedRefusal extends Error {}
