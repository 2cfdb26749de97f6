import { join } from 'node:path';

import { StackFailure } from './failure.ts';
import { type CrashListener, Part, waitUntil } from './part.ts';
import { postgrestProgram } from './places.ts';
import { claimPorts } from './ports.ts';

const START_WITHIN_MS = 15_000;

/** How many connections PostgREST keeps. */
export const POOL_SIZE = 10;

/** How PostgREST is set up. */
export interface PostgrestOptions {
  /** The database, as role `authenticator`. */
  databaseUrl: string;
  /** The public keys that access tokens are verified with: a JWKS, as JSON. */
  jwks: string;
  stateDir: string;
  onCrash: CrashListener;
}

/** A running PostgREST, on the loopback interface only. */
export class Postgrest {
  readonly port: number;
  readonly #adminPort: number;
  readonly #start: () => Part;
  #part: Part;

  private constructor(port: number, adminPort: number, start: () => Part) {
    this.port = port;
    this.#adminPort = adminPort;
    this.#start = start;
    this.#part = start();
  }

  static async start(options: PostgrestOptions): Promise<Postgrest> {
    const [port, adminPort] = (await claimPorts(2)) as [number, number];
    const env = environment(options, port, adminPort);
    const postgrest = new Postgrest(
      port,
      adminPort,
      () =>
        new Part({
          name: 'PostgREST',
          program: postgrestProgram(),
          args: [],
          logFile: join(options.stateDir, 'postgrest.log'),
          spawn: { env, cwd: '/' },
          stopSignal: 'SIGTERM',
          onCrash: options.onCrash,
        }),
    );
    await postgrest.ready();
    return postgrest;
  }

  /** Waits until it answers and knows the database's schema. */
  async ready(): Promise<void> {
    const answers = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${this.#adminPort}/ready`)).ok;
    if (await waitUntil(answers, START_WITHIN_MS, () => this.#part.running)) return;
    await this.#part.stop();
    throw new StackFailure(`PostgREST did not start: ${this.#part.lastWords()}`);
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    await this.#part.kill();
  }

  /** Brings it up again at the same address. */
  async restart(): Promise<void> {
    await this.#part.stop();
    this.#part = this.#start();
    await this.ready();
  }

  async stop(): Promise<void> {
    await this.#part.stop();
  }
}

function environment(options: PostgrestOptions, port: number, adminPort: number): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    PGRST_DB_URI: options.databaseUrl,
    PGRST_DB_SCHEMAS: 'public',
    PGRST_DB_ANON_ROLE: 'anon',
    PGRST_DB_POOL: String(POOL_SIZE),
    // A hosted project's default: a read of more rows has to page.
    PGRST_DB_MAX_ROWS: '1000',
    PGRST_JWT_SECRET: options.jwks,
    PGRST_JWT_AUD: 'authenticated',
    PGRST_SERVER_HOST: '127.0.0.1',
    PGRST_SERVER_PORT: String(port),
    PGRST_ADMIN_SERVER_PORT: String(adminPort),
    PGRST_LOG_LEVEL: 'warn',
  };
}
