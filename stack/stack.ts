import { resolve } from 'node:path';

import { AuthApi } from './auth-api.ts';
import { AuthServer } from './auth-server.ts';
import { DEMO_USERS, type DemoUser, seedDemo } from './demo-tenants.ts';
import { Issuer } from './issuer.ts';
import { startMigrated, supabaseShape } from './migrated.ts';
import type { CrashListener } from './part.ts';
import { chosenMajor } from './places.ts';
import { claimPort, onFreePorts } from './ports.ts';
import { Postgres } from './postgres.ts';
import { Postgrest } from './postgrest.ts';
import { checkReady } from './readiness.ts';
import { clearState, prepareState, removeDevJson } from './state.ts';
import { PROJECT_URL, Workers } from './workers.ts';
import type { FunctionName } from './wrangler-config.ts';

/** How a stack is started. */
export interface StackOptions {
  /** The port of the one address; 0, the default, takes any free one. */
  port?: number;
  stateDir: string;
  /** Nothing is kept: the folder's content is removed by `close`. */
  ephemeral?: boolean;
  /** Limits per tenant and hour that differ from the contract's. */
  rateLimits?: Record<string, number>;
  /** Further variables and secrets of the functions. */
  vars?: Record<string, string>;
  /** Fire cron triggers every minute, as in production; tests fire them by hand. */
  cron?: boolean;
  /** A second Worker of each function with a cron trigger. */
  twins?: boolean;
  /** workerd's inspector for `inspectorUrl`, on a free port of the loopback interface. */
  inspector?: boolean;
  /** Gets PostgREST's host and port, and gives those where the Workers are to find it: something may stand between. */
  between?: (rest: string) => Promise<string>;
  /** Brings the database up instead of M23's migrations and the demo tables: a project of one's own. */
  prepare?: (databaseUrl: string) => Promise<void>;
  /** Gets one line for each step. */
  log?: (line: string) => void;
}

/** A running stack. */
export interface Stack {
  /** Where its parts keep their state and their logs. */
  readonly stateDir: string;
  /** The one address that serves everything: what `createClient` takes. */
  readonly url: string;
  readonly anonKey: string;
  readonly serviceRoleKey: string;
  /** A superuser's connection. */
  readonly databaseUrl: string;
  readonly users: readonly DemoUser[];
  readonly issuer: Issuer;
  readonly postgres: Postgres;
  /** The archives' bucket; read it anew after `restartWorkers`. */
  readonly archives: Workers['archives'];
  /** The rate windows; read them anew after `restartWorkers`. */
  readonly rateWindows: Workers['rateWindows'];
  /** Settles when a part ends that nobody stopped, with a sentence that names it. */
  readonly crashed: Promise<string>;
  /** Where workerd's inspector is, where the stack was started with it; ask anew after `restartWorkers`. */
  inspectorUrl(): Promise<URL>;
  /** Fires a function's cron trigger, or its twin's, and waits for its end. */
  runCron(name: FunctionName, twin?: boolean): Promise<void>;
  /**
   * Kills workerd as a crash would, and starts it again on the same state and address, with other
   * variables of the functions where they are given (undefined takes one away).
   */
  restartWorkers(vars?: Record<string, string | undefined>): Promise<void>;
  killPostgrest(): Promise<void>;
  restartPostgrest(): Promise<void>;
  restartPostgres(): Promise<void>;
  close(): Promise<void>;
}

/** Starts everything and resolves when a sign-in and a call work. */
export async function startStack(options: StackOptions): Promise<Stack> {
  return (options.port ?? 0) === 0 ? await onFreePorts(() => startOnce(options)) : await startOnce(options);
}

async function startOnce(options: StackOptions): Promise<Stack> {
  const stateDir = resolve(options.stateDir);
  const stages = new Stages(options.log ?? (() => undefined));
  const cleanUp: (() => Promise<void>)[] = [];
  const close = once(async () => {
    for (const step of cleanUp.reverse()) await step().catch(() => undefined);
    removeDevJson(stateDir);
    if (options.ephemeral) clearState(stateDir);
  });
  prepareState(stateDir);
  removeDevJson(stateDir);
  try {
    return await bringUp({ ...options, stateDir }, stages, cleanUp, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function bringUp(
  options: StackOptions,
  stages: Stages,
  cleanUp: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<Stack> {
  const { stateDir, ephemeral = false } = options;
  const { crashed, onCrash } = crashWatch();
  const port = await claimPort(options.port ?? 0);
  const url = `http://127.0.0.1:${port}`;
  const issuer = await Issuer.open(stateDir, `${url}/auth/v1`);

  const major = chosenMajor();
  const begin = options.prepare === undefined ? startMigrated : Postgres.start;
  const postgres = await stages.run(`PostgreSQL ${major}, with migrations`, () =>
    begin({ stateDir, ephemeral, major, onCrash }),
  );
  cleanUp.push(() => postgres.stop());
  const authenticatorUrl = await stages.run('demo tenants', () => prepareDatabase(postgres, options.prepare));

  const postgrest = await stages.run('PostgREST 12', () =>
    Postgrest.start({ databaseUrl: authenticatorUrl, jwks: issuer.jwks, stateDir, onCrash }),
  );
  cleanUp.push(() => postgrest.stop());
  const auth = await AuthServer.start(new AuthApi(issuer, DEMO_USERS));
  cleanUp.push(() => auth.stop());

  const own = `127.0.0.1:${postgrest.port}`;
  const rest = (await options.between?.(own)) ?? own;
  const anonKey = await issuer.projectKey('anon');
  const serviceRoleKey = await issuer.projectKey('service_role');
  const workers = await stages.run('gateway and functions', () =>
    Workers.start({
      port,
      stateDir,
      auth: auth.host,
      rest,
      bindings: {
        SUPABASE_URL: PROJECT_URL,
        SUPABASE_ANON_KEY: anonKey,
        SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey,
        JWT_ISSUER: issuer.address,
        RATE_LIMITS: JSON.stringify(options.rateLimits ?? {}),
        ...options.vars,
      },
      twins: options.twins ?? false,
      inspector: options.inspector ?? false,
      onCrash,
    }),
  );
  cleanUp.push(() => workers.stop());
  if (options.cron) cleanUp.push(everyMinute(workers, options.log));

  await stages.run('a sign-in and a call', async () => checkReady(url, anonKey, await hasDemoTables(postgres)));
  return {
    stateDir,
    url,
    anonKey,
    serviceRoleKey,
    databaseUrl: postgres.url,
    users: DEMO_USERS,
    issuer,
    postgres,
    crashed,
    get archives() {
      return workers.archives;
    },
    get rateWindows() {
      return workers.rateWindows;
    },
    inspectorUrl: () => workers.inspectorUrl(),
    runCron: (name, twin) => workers.runCron(name, twin),
    restartWorkers: (vars) => workers.restart(vars),
    killPostgrest: () => postgrest.kill(),
    restartPostgrest: () => postgrest.restart(),
    restartPostgres: () => postgres.restart(),
    close,
  };
}

/** Brings the database up to date; gives the address that PostgREST connects to. */
async function prepareDatabase(postgres: Postgres, prepare: StackOptions['prepare']): Promise<string> {
  const client = await postgres.connect();
  try {
    if (prepare !== undefined) await supabaseShape(client);
    await seedDemo(client);
    await prepare?.(postgres.url);
    const password = new URL(postgres.url).password;
    await client.query(`alter role authenticator password '${password}'`);
    return postgres.urlFor('authenticator', password);
  } finally {
    await client.end();
  }
}

async function hasDemoTables(postgres: Postgres): Promise<boolean> {
  const client = await postgres.connect();
  const { rows } = await client.query<{ there: boolean }>(
    "select to_regclass('public.customers') is not null as there",
  );
  await client.end();
  return rows[0]?.there === true;
}

function everyMinute(workers: Workers, log: StackOptions['log']): () => Promise<void> {
  const names = Workers.scheduled();
  const timer = setInterval(() => {
    for (const name of names)
      workers.runCron(name).catch((error: unknown) => log?.(`cron of ${name}: ${String(error)}`));
  }, 60_000);
  return async () => clearInterval(timer);
}

function crashWatch(): { crashed: Promise<string>; onCrash: CrashListener } {
  const { promise, resolve: settle } = Promise.withResolvers<string>();
  return { crashed: promise, onCrash: (part, reason) => settle(`${part} ended by itself (${reason})`) };
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= work());
}

/** Says what is done and how long it took. */
class Stages {
  readonly #log: (line: string) => void;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await work();
    this.#log(`✓ ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    return result;
  }
}
