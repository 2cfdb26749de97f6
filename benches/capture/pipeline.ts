import pg from 'pg';

import { Meter } from '../meter.ts';
import type { Place } from '../place.ts';

/**
 * A connection that sends statements without waiting for answers, each a transaction of its own all the same.
 * The server goes from one to the next without being put to sleep, which costs more than a small statement.
 */
export class Pipeline {
  readonly client: pg.Client;
  readonly #meter: Meter;

  private constructor(client: pg.Client, meter: Meter) {
    this.client = client;
    this.#meter = meter;
  }

  /** Does some work with a new pipeline. */
  static async in<T>({ postgres }: Place, work: (pipeline: Pipeline) => Promise<T>): Promise<T> {
    const config = { connectionString: postgres.url, pipeline: true };
    const client = new pg.Client(config);
    await client.connect();
    try {
      return await work(new Pipeline(client, await Meter.of(client)));
    } finally {
      await client.end();
    }
  }

  async run(statements: readonly (string | pg.QueryConfig)[]): Promise<void> {
    await Promise.all(statements.map((statement) => this.client.query(statement)));
  }

  /** Milliseconds that the statements cost the server. */
  async cost(statements: readonly (string | pg.QueryConfig)[]): Promise<number> {
    return await this.#meter.spent(() => this.run(statements));
  }
}
