// A stack with a gate in its middle, a shop, and steps inside its database.
import { readFileSync } from 'node:fs';

import type pg from 'pg';

import { type Stack, startStack } from '../../stack/stack.ts';
import { reconnected } from '../fixtures/sessions.ts';
import { openShop } from '../fixtures/shop.ts';
import { Gate } from './gate.ts';

/** Far more than any piece of work takes here, however busy the machine is. */
export const WITHIN_MS = 180_000;

/** Room for every call of a run. */
export const RATE_LIMITS = Object.fromEntries(
  ['backup-create', 'backup-restore', 'pitr-restore', 'pitr-rollback', 'recovery-test'].map((name) => [
    name,
    1_000_000,
  ]),
);

/** The key of the lock that a step in the database waits for. */
const STEP = 7823;

export class World {
  readonly stack: Stack;
  readonly gate: Gate;
  #client: pg.Client;

  private constructor(stack: Stack, gate: Gate, client: pg.Client) {
    this.stack = stack;
    this.gate = gate;
    this.#client = client;
  }

  static async open(stateDir: string): Promise<World> {
    let gate: Gate | undefined;
    const between = async (rest: string): Promise<string> => {
      gate = await Gate.open(rest);
      return gate.address;
    };
    const stack = await startStack({ stateDir, ephemeral: true, rateLimits: RATE_LIMITS, between });
    if (gate === undefined) throw new Error('nothing stands between');
    const world = new World(stack, gate, await stack.postgres.connect());
    await openShop(world.client);
    // As in production: what is committed survives a crash. Several chunks, and a lease that soon lapses.
    await world.client.query(`alter database postgres set synchronous_commit = on;
      update m23.settings set value = '15' where name = 'chunk_rows';
      update m23.settings set value = '1' where name = 'lease_seconds';
      update m23.settings set value = '1000000' where name = 'limit.pitr-rollback'`);
    await world.client.query(readFileSync(new URL('steps.sql', import.meta.url), 'utf8'));
    await stack.restartPostgrest();
    return world;
  }

  /** A superuser's connection: another one after a crash. */
  get client(): pg.Client {
    return this.#client;
  }

  async reconnect(): Promise<void> {
    this.#client = await reconnected(this.stack.postgres, this.#client, WITHIN_MS);
  }

  async close(): Promise<void> {
    await this.gate.close();
    await this.#client.end().catch(() => undefined);
    await this.stack.close();
  }

  /** The steps in the database since it was asked last. */
  async countSteps(): Promise<number> {
    const {
      rows: [row],
    } = await this.client.query<{ n: string }>(`select last_value as n from torture.counted`);
    await this.client.query(`select setval('torture.counted', 0)`);
    return Number(row?.n ?? 0);
  }

  /** A step in the database that is to wait does so until this is let go. */
  async holdSteps(): Promise<void> {
    await this.client.query('select pg_advisory_lock($1)', [STEP]);
  }

  async letStepsGo(): Promise<void> {
    await this.client.query('select pg_advisory_unlock_all()');
  }

  /** The backend that waits at a step. */
  async heldBackend(): Promise<number | undefined> {
    const {
      rows: [row],
    } = await this.client.query<{ pid: number }>(
      `select pid from pg_stat_activity where usename = 'authenticator' and wait_event = 'PgSleep'`,
    );
    return row?.pid;
  }

  async backends(): Promise<number[]> {
    const { rows } = await this.client.query<{ pid: number }>(
      `select pid from pg_stat_activity where usename = 'authenticator'`,
    );
    return rows.map(({ pid }) => pid);
  }
}
