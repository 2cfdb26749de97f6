import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

import type pg from 'pg';

/** How long a server process may take, after its answer, until it waits for the next statement. */
const SETTLES_WITHIN_MS = 1;

/** What work costs the server process of one connection: its CPU time, or the clock's where that cannot be read. */
export class Meter {
  readonly #file: string;
  /** Whether it measures CPU time; only Linux tells it of another process. */
  readonly readsCpu: boolean;

  private constructor(file: string) {
    this.#file = file;
    this.readsCpu = cpuTime(file) > 0;
  }

  static async of(client: pg.Client): Promise<Meter> {
    const {
      rows: [backend],
    } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    return new Meter(`/proc/${backend?.pid}/schedstat`);
  }

  /** Milliseconds that some work costs. */
  async spent(work: () => Promise<unknown>): Promise<number> {
    if (this.readsCpu) await setTimeout(SETTLES_WITHIN_MS);
    const started = this.#now();
    await work();
    if (this.readsCpu) await setTimeout(SETTLES_WITHIN_MS);
    return this.#now() - started;
  }

  #now(): number {
    return this.readsCpu ? cpuTime(this.#file) : performance.now();
  }
}

/** Milliseconds that a process has run; 0 where nobody says. */
function cpuTime(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return 0;
  }
}
