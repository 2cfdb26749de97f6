import { randomUUID } from 'node:crypto';

import type pg from 'pg';

interface Begun {
  work_id: string;
  lease: string;
}

interface Outcome {
  rows_restored?: number;
  error?: unknown;
}

/** Restores of one tenant's tables to a moment, by the calls that the edge function makes. */
export class Recovery {
  readonly #client: pg.Client;
  readonly #tenant: string;
  readonly #tables: string[];
  readonly #user = randomUUID();

  private constructor(client: pg.Client, tenant: string, tables: string[]) {
    this.#client = client;
    this.#tenant = tenant;
    this.#tables = tables;
  }

  static async of(client: pg.Client, tenant: string, ...tables: string[]): Promise<Recovery> {
    const recovery = new Recovery(
      client,
      tenant,
      tables.map((table) => `bench.${table}`),
    );
    await client.query(`insert into public.tenant_members values ($1, $2, 'owner')`, [tenant, recovery.#user]);
    return recovery;
  }

  /**
   * The present moment, as a caller would write it. It is noted as a tick, as the first writer of
   * every minute does, so that the log of the repetitions before is older than it.
   */
  async moment(): Promise<string> {
    await this.#client.query('select m23.note_tick()');
    const { rows } = await this.#client.query<{ at: string }>(
      `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
    );
    return rows[0]?.at ?? '';
  }

  /** Restores; gives how many rows it wrote. */
  async restore(at: string): Promise<number> {
    await this.#client.query(`select set_config('request.jwt.claims', $1, false)`, [
      JSON.stringify({ sub: this.#user, role: 'authenticated' }),
    ]);
    try {
      const request = randomUUID();
      await this.#client.query(
        `insert into m23.requests (id, tenant_id, user_id, function) values ($1, $2, $3, 'pitr-restore')`,
        [request, this.#tenant, this.#user],
      );
      const begun = await this.#client.query<{ begun: Begun }>('select public.m23_begin_pitr($1, $2) as begun', [
        request,
        { targetTimestamp: at, tables: this.#tables, confirmRestore: true },
      ]);
      const { work_id, lease } = begun.rows[0]!.begun;
      const done = await this.#client.query<{ outcome: Outcome }>(
        'select public.m23_execute_restore($1, $2) as outcome',
        [work_id, lease],
      );
      const { outcome } = done.rows[0]!;
      if (outcome.error !== undefined) throw new Error(`the restore failed: ${JSON.stringify(outcome.error)}`);
      return outcome.rows_restored ?? 0;
    } finally {
      await this.#client.query(`select set_config('request.jwt.claims', '', false)`);
    }
  }
}
