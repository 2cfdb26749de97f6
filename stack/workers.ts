import { createWriteStream, existsSync, globSync, mkdirSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';

import { StackFailure } from './failure.ts';
import {
  Log,
  LogLevel,
  type Miniflare,
  type MiniflareOptions,
  type ModuleDefinition,
  type WorkerOptions,
} from './miniflare.ts';
import type { CrashListener } from './part.ts';
import { ROOT } from './places.ts';
import { Runtime } from './runtime.ts';
import { FUNCTIONS, type FunctionName, readWranglerConfig, type WranglerConfig } from './wrangler-config.ts';

const HOST = '127.0.0.1';
const PROJECT = 'project';

/** The Supabase project's address, which exists inside workerd only. */
export const PROJECT_URL = 'http://project.internal';
const EVERY_MINUTE = '* * * * *';

/** How the Workers are set up. */
export interface WorkersOptions {
  port: number;
  stateDir: string;
  /** Host and port of the development issuer, and of PostgREST. */
  auth: string;
  rest: string;
  /** Variables and secrets of the functions, over those of their `wrangler.toml`. */
  bindings: Record<string, string>;
  /** A second Worker of each function with a cron trigger, as when the platform wakes two. */
  twins: boolean;
  /** workerd's inspector, on a free port of the loopback interface. */
  inspector: boolean;
  onCrash: CrashListener;
}

type Bucket = Awaited<ReturnType<Miniflare['getR2Bucket']>>;
type Namespace = Awaited<ReturnType<Miniflare['getKVNamespace']>>;

/** The gateway and the five functions in workerd, with KV and R2 on disk. */
export class Workers {
  #options: WorkersOptions;
  readonly #log: WriteStream;
  #runtime!: Runtime;
  #expected = false;
  #archives!: Bucket;
  #rateWindows!: Namespace;

  private constructor(options: WorkersOptions) {
    this.#options = options;
    this.#log = createWriteStream(join(options.stateDir, 'workers.log'), { flags: 'a', mode: 0o600 });
  }

  static async start(options: WorkersOptions): Promise<Workers> {
    const workers = new Workers(options);
    await workers.#bringUp();
    return workers;
  }

  /** The bucket of the archives; another object after a restart. */
  get archives(): Bucket {
    return this.#archives;
  }

  /** The rate windows; another object after a restart. */
  get rateWindows(): Namespace {
    return this.#rateWindows;
  }

  /** Where workerd's inspector is; another address after a restart. */
  async inspectorUrl(): Promise<URL> {
    return await this.#runtime.miniflare.getInspectorURL();
  }

  /** The functions that have a cron trigger. */
  static scheduled(): FunctionName[] {
    return FUNCTIONS.filter((name) => readWranglerConfig(`functions/${name}`).triggers?.crons?.includes(EVERY_MINUTE));
  }

  /** Fires a function's cron trigger, or its twin's, and waits for its end. */
  async runCron(name: FunctionName, twin = false): Promise<void> {
    const worker = await this.#runtime.miniflare.getWorker(twin ? twinOf(name) : name);
    const { outcome } = await worker.scheduled({ cron: EVERY_MINUTE, scheduledTime: new Date() });
    if (outcome !== 'ok') throw new Error(`the scheduled run of ${name} ended with: ${outcome}`);
  }

  /**
   * Ends workerd at once, as a crash would, and starts it again on the same state and port, with
   * other variables where they are given (undefined takes one away).
   */
  async restart(vars: Record<string, string | undefined> = {}): Promise<void> {
    this.#expected = true;
    const bindings = Object.entries({ ...this.#options.bindings, ...vars }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    this.#options = { ...this.#options, bindings: Object.fromEntries(bindings) };
    await this.#end();
    await this.#bringUp();
  }

  async stop(): Promise<void> {
    this.#expected = true;
    await this.#end();
    await new Promise<void>((resolve) => this.#log.end(() => resolve()));
  }

  async #end(): Promise<void> {
    if (!(await this.#runtime.end()))
      this.#log.write(`${new Date().toISOString()} warn Miniflare did not end; it is left behind without a workerd\n`);
  }

  async #bringUp(): Promise<void> {
    this.#expected = false;
    const runtime = await Runtime.start(this.#miniflareOptions());
    const { miniflare, workerd } = runtime;
    this.#runtime = runtime;
    workerd.once('exit', (code, signal) => {
      if (!this.#expected && this.#runtime === runtime)
        this.#options.onCrash('workerd', signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
    this.#archives = await miniflare.getR2Bucket('ARCHIVES', FUNCTIONS[0]);
    this.#rateWindows = await miniflare.getKVNamespace('RATE_LIMIT_KV', FUNCTIONS[0]);
  }

  #miniflareOptions(): MiniflareOptions {
    const { port, stateDir, inspector } = this.#options;
    for (const folder of ['kv', 'r2']) mkdirSync(join(stateDir, folder), { recursive: true, mode: 0o700 });
    return {
      host: HOST,
      port,
      ...(inspector ? { inspectorPort: 0 } : {}),
      cf: false,
      log: new Log(LogLevel.ERROR),
      kvPersist: join(stateDir, 'kv'),
      r2Persist: join(stateDir, 'r2'),
      handleStructuredLogs: ({ timestamp, level, message }: { timestamp: number; level: string; message: string }) => {
        this.#log.write(`${new Date(timestamp).toISOString()} ${level} ${message}\n`);
      },
      // The first one gets whatever is not routed, so it has to be the gateway.
      workers: [this.#gateway(), ...FUNCTIONS.map((name) => this.#function(name)), ...this.#twins(), this.#project()],
    };
  }

  #twins(): WorkerOptions[] {
    const names = this.#options.twins ? Workers.scheduled() : [];
    return names.map((name) => ({ ...this.#function(name), name: twinOf(name) }));
  }

  /** Where every request goes that leaves a Worker, whatever its host. */
  #project(): WorkerOptions {
    const {
      auth,
      rest,
      bindings: { ALERT_WEBHOOK_URL: webhook },
    } = this.#options;
    return {
      name: PROJECT,
      compatibilityDate: readWranglerConfig('.').compatibility_date,
      modules: [{ type: 'ESModule', path: join(ROOT, 'stack', 'project.js') }],
      modulesRoot: join(ROOT, 'stack'),
      bindings: { PROJECT_URL, WEBHOOK: webhook === undefined ? '' : new URL(webhook).href },
      serviceBindings: {
        AUTH: { external: { address: auth, http: {} } },
        REST: { external: { address: rest, http: {} } },
      },
    };
  }

  #gateway(): WorkerOptions {
    const config = readWranglerConfig('.');
    const own = common(config, ROOT);
    return {
      ...own,
      modulesRoot: ROOT,
      modules: [...own.modules, { type: 'Text', path: join(ROOT, 'docs', 'openapi.json') }],
      bindings: {
        ...config.vars,
        SUPABASE_URL: PROJECT_URL,
        SUPABASE_ANON_KEY: this.#options.bindings['SUPABASE_ANON_KEY'] ?? '',
      },
      assets: {
        directory: join(ROOT, config.assets?.directory ?? ''),
        binding: config.assets?.binding,
        routerConfig: { invoke_user_worker_ahead_of_assets: true, has_user_worker: true },
      },
      serviceBindings: Object.fromEntries((config.services ?? []).map(({ binding, service }) => [binding, service])),
      outboundService: PROJECT,
    };
  }

  #function(name: FunctionName): WorkerOptions {
    const folder = join('functions', name);
    const config = readWranglerConfig(folder);
    return {
      ...common(config, join(ROOT, folder)),
      bindings: { ...config.vars, ...this.#options.bindings },
      kvNamespaces: Object.fromEntries((config.kv_namespaces ?? []).map(({ binding, id }) => [binding, id])),
      r2Buckets: Object.fromEntries(
        (config.r2_buckets ?? []).map(({ binding, bucket_name }) => [binding, bucket_name]),
      ),
      outboundService: PROJECT,
    };
  }
}

function twinOf(name: FunctionName): string {
  return `${name}-twin`;
}

function common(config: WranglerConfig, folder: string): WorkerOptions & { modules: ModuleDefinition[] } {
  const main = join(folder, config.main);
  if (!existsSync(main)) throw new StackFailure(`${config.name} is not built: run \`cargo xtask build\``);
  const built = join(main, '..');
  const others = globSync('**/*.{js,wasm}', { cwd: built })
    .map((file) => join(built, file))
    .filter((file) => file !== main);
  return {
    name: config.name,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags ?? [],
    modulesRoot: built,
    modules: [main, ...others].map((path) => ({ type: path.endsWith('.wasm') ? 'CompiledWasm' : 'ESModule', path })),
  };
}
