// Concurrent clients that write random transactions, each on a connection of its own.
import type pg from 'pg';

import { pause, randomNumbers } from '../fixtures/time.ts';
import { Draw, type Shape, statement } from './statements.ts';
import { SESSION } from './tables.ts';

/**
 * Clients get in each other's way: a key that is taken, a lock, a column that was just renamed; under an old snapshot
 * a row that has no value yet in a column that must have one since.
 */
const EXPECTED = new Set(['23505', '23503', '23502', '40001', '40P01', '55P03', '42703', '0A000', '55006']);

/** What the clients have come to. */
export interface Tally {
  committed: number;
  aborted: number;
  refused: number;
}

export class Clients {
  readonly tally: Tally = { committed: 0, aborted: 0, refused: 0 };
  readonly #tenants: readonly string[];
  readonly #shape: Shape;
  readonly #running: Promise<void>[];
  #stopped = false;

  private constructor(connections: pg.Client[], tenants: readonly string[], shape: Shape, seed: number) {
    this.#tenants = tenants;
    this.#shape = shape;
    this.#running = connections.map((connection, n) =>
      this.#run(connection, new Draw(randomNumbers(seed * 1000 + n)), n === 0),
    );
  }

  static async start(
    connect: () => Promise<pg.Client>,
    count: number,
    tenants: readonly string[],
    shape: Shape,
    seed: number,
  ): Promise<Clients> {
    const connections = await Promise.all(Array.from({ length: count }, connect));
    for (const connection of connections) await connection.query(SESSION);
    return new Clients(connections, tenants, shape, seed);
  }

  /** Ends them; fails as the first of them has. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const end of await Promise.allSettled(this.#running)) if (end.status === 'rejected') throw end.reason;
  }

  /** Whether they still write: they do not once one has failed. */
  get writing(): boolean {
    return !this.#stopped;
  }

  async #run(client: pg.Client, draw: Draw, alters: boolean): Promise<void> {
    try {
      while (!this.#stopped) {
        if (alters && draw.chance(1 / 150)) await this.#alter(client, draw);
        else await this.#transaction(client, draw);
      }
    } finally {
      this.#stopped = true;
      await client.end();
    }
  }

  async #transaction(client: pg.Client, draw: Draw): Promise<void> {
    const isolation = draw.chance(0.12)
      ? draw.one([' isolation level repeatable read', ' isolation level serializable'])
      : '';
    const long = draw.chance(1 / 30);
    try {
      await client.query(`begin${isolation}`);
      for (let left = 1 + draw.below(5); left > 0; left -= 1) {
        await this.#step(client, draw);
        if (long) await pause(draw.below(120));
      }
      if (draw.chance(1 / 8)) {
        await client.query('rollback');
        this.tally.aborted += 1;
        return;
      }
      await client.query('select history.seal()');
      await client.query('commit');
      this.tally.committed += 1;
    } catch (error) {
      await client.query('rollback');
      if (!expected(error)) throw error;
      this.tally.refused += 1;
    }
  }

  /** A statement, now and then in a savepoint that is given up, by choice or for an error. */
  async #step(client: pg.Client, draw: Draw): Promise<void> {
    const sql = statement(draw, this.#tenants, draw.below(this.#tenants.length), this.#shape);
    if (!draw.chance(0.3)) {
      await client.query(sql);
      return;
    }
    await client.query('savepoint step');
    try {
      await client.query(sql);
      if (draw.chance(0.4)) await client.query('rollback to step');
      else if (draw.chance(0.5)) await client.query('release step');
    } catch (error) {
      if (!expected(error)) throw error;
      await client.query('rollback to step');
    }
  }

  async #alter(client: pg.Client, draw: Draw): Promise<void> {
    const { note, extra } = this.#shape;
    try {
      if (draw.chance(0.3)) {
        const mood = draw.one(['calm', 'glad', 'grim']);
        const {
          rows: [label],
        } = await client.query<{ name: string }>(
          `select enumlabel as name from pg_enum where enumtypid = 'history.mood'::regtype and enumlabel like $1`,
          [`${mood}~%`],
        );
        await client.query(
          `alter type history.mood rename value '${label?.name}' to '${mood}~${draw.below(1_000_000)}'`,
        );
      } else if (draw.chance(0.7) || extra.length > 2) {
        const renamed = note === 'note' ? 'remark' : 'note';
        await client.query(`alter table history.tag rename column ${note} to ${renamed}`);
        this.#shape.note = renamed;
      } else {
        const added = `extra${extra.length + 1}`;
        // The usual migration: added, filled, and NOT NULL from then on.
        const filled = draw.chance(0.5)
          ? `; update history.plain set ${added} = 0; alter table history.plain alter ${added} set not null`
          : '';
        await client.query(`begin; set local lock_timeout = '3s'; alter table history.plain add column ${added} int${filled === '' ? ` default ${7 + extra.length}` : filled};
          alter table history.plain alter ${added} set default ${7 + extra.length}; select history.seal(); commit`);
        extra.push(added);
      }
    } catch (error) {
      await client.query('rollback');
      if (!expected(error)) throw error;
    }
  }
}

function expected(error: unknown): boolean {
  return EXPECTED.has((error as { code?: string }).code ?? '');
}
