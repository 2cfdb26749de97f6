import type { ChildProcess } from 'node:child_process';
import { channel } from 'node:diagnostics_channel';
import { createWriteStream, existsSync, globSync, mkdirSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';

import { Log, LogLevel, Miniflare, type ModuleDefinition, type MiniflareOptions, type WorkerOptions } from 'miniflare';

import { StackFailure, sentence } from './failure.ts';
import type { CrashListener } from './part.ts';
import { ROOT } from './places.ts';
import { FUNCTIONS, type FunctionName, type WranglerConfig, readWranglerConfig } from './wrangler-config.ts';

const HOST = '127.0.0.1';
const EVERY_MINUTE = '* * * * *';

/** How the Workers are set up. */
export interface WorkersOptions {
  port: number;
  stateDir: string;
  /** Where every outgoing request goes, whatever its host. */
  upstream: { url: string; host: string };
  /** Variables and secrets of the functions, over those of their `wrangler.toml`. */
  bindings: Record<string, string>;
  /** A second Worker of each function with a cron trigger, as when the platform wakes two. */
  twins: boolean;
  onCrash: CrashListener;
}

type Bucket = Awaited<ReturnType<Miniflare['getR2Bucket']>>;
type Namespace = Awaited<ReturnType<Miniflare['getKVNamespace']>>;

/** One event of the child process channel of Node. */
interface Spawned {
  process: ChildProcess;
}

/** The gateway and the five functions in workerd, with KV and R2 on disk. */
export class Workers {
  #options: WorkersOptions;
  readonly #log: WriteStream;
  #miniflare!: Miniflare;
  #workerd: ChildProcess | undefined;
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

  /** The functions that have a cron trigger. */
  static scheduled(): FunctionName[] {
    return FUNCTIONS.filter((name) => readWranglerConfig(`functions/${name}`).triggers?.crons?.includes(EVERY_MINUTE));
  }

  /** Fires a function's cron trigger, or its twin's, and waits for its end. */
  async runCron(name: FunctionName, twin = false): Promise<void> {
    const worker = await this.#miniflare.getWorker(twin ? twinOf(name) : name);
    const { outcome } = await worker.scheduled({ cron: EVERY_MINUTE, scheduledTime: new Date() });
    if (outcome !== 'ok') throw new Error(`the scheduled run of ${name} ended with: ${outcome}`);
  }

  /**
   * Ends workerd at once, as a crash would, and starts it again on the same state and port, with
   * other variables where they are given (undefined takes one away).
   */
  async restart(vars: Record<string, string | undefined> = {}): Promise<void> {
    this.#expected = true;
    const bindings = Object.entries({ ...this.#options.bindings, ...vars }).filter((entry): entry is [string, string] => entry[1] !== undefined);
    this.#options = { ...this.#options, bindings: Object.fromEntries(bindings) };
    const gone = new Promise((resolve) => this.#workerd?.once('exit', resolve));
    this.#workerd?.kill('SIGKILL');
    await gone;
    await this.#miniflare.dispose().catch(() => undefined);
    await this.#bringUp();
  }

  async stop(): Promise<void> {
    this.#expected = true;
    await this.#miniflare.dispose().catch(() => undefined);
    this.#workerd?.kill('SIGKILL');
    await new Promise<void>((resolve) => this.#log.end(() => resolve()));
  }

  async #bringUp(): Promise<void> {
    this.#expected = false;
    const { miniflare, workerd } = await exclusively(() => launch(this.#miniflareOptions()));
    this.#miniflare = miniflare;
    this.#workerd = workerd;
    workerd.once('exit', (code, signal) => {
      if (!this.#expected && this.#workerd === workerd) this.#options.onCrash('workerd', signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
    this.#archives = await miniflare.getR2Bucket('ARCHIVES', FUNCTIONS[0]);
    this.#rateWindows = await miniflare.getKVNamespace('RATE_LIMIT_KV', FUNCTIONS[0]);
  }

  #miniflareOptions(): MiniflareOptions {
    const { port, stateDir, upstream } = this.#options;
    const outboundService = { external: { address: upstream.host, http: {} } };
    for (const folder of ['kv', 'r2']) mkdirSync(join(stateDir, folder), { recursive: true, mode: 0o700 });
    return {
      host: HOST,
      port,
      cf: false,
      log: new Log(LogLevel.ERROR),
      kvPersist: join(stateDir, 'kv'),
      r2Persist: join(stateDir, 'r2'),
      handleStructuredLogs: ({ timestamp, level, message }: { timestamp: number; level: string; message: string }) => {
        this.#log.write(`${new Date(timestamp).toISOString()} ${level} ${message}\n`);
      },
      // The first one gets whatever is not routed, so it has to be the gateway.
      workers: [this.#gateway(outboundService), ...FUNCTIONS.map((name) => this.#function(name, outboundService)), ...this.#twins(outboundService)],
    };
  }

  #twins(outboundService: WorkerOptions['outboundService']): WorkerOptions[] {
    const names = this.#options.twins ? Workers.scheduled() : [];
    return names.map((name) => ({ ...this.#function(name, outboundService), name: twinOf(name) }));
  }

  #gateway(outboundService: WorkerOptions['outboundService']): WorkerOptions {
    const config = readWranglerConfig('.');
    const own = common(config, ROOT);
    return {
      ...own,
      modulesRoot: ROOT,
      modules: [...own.modules, { type: 'Text', path: join(ROOT, 'docs', 'openapi.json') }],
      bindings: { ...config.vars, SUPABASE_URL: this.#options.upstream.url },
      serviceBindings: Object.fromEntries((config.services ?? []).map(({ binding, service }) => [binding, service])),
      outboundService,
    };
  }

  #function(name: FunctionName, outboundService: WorkerOptions['outboundService']): WorkerOptions {
    const folder = join('functions', name);
    const config = readWranglerConfig(folder);
    return {
      ...common(config, join(ROOT, folder)),
      bindings: { ...config.vars, ...this.#options.bindings },
      kvNamespaces: Object.fromEntries((config.kv_namespaces ?? []).map(({ binding, id }) => [binding, id])),
      r2Buckets: Object.fromEntries((config.r2_buckets ?? []).map(({ binding, bucket_name }) => [binding, bucket_name])),
      outboundService,
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
  const others = globSync('**/*.{js,wasm}', { cwd: built }).map((file) => join(built, file)).filter((file) => file !== main);
  return {
    name: config.name,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags ?? [],
    modulesRoot: built,
    modules: [main, ...others].map((path) => ({ type: path.endsWith('.wasm') ? 'CompiledWasm' : 'ESModule', path })),
  };
}

/**
 * Starts Miniflare and finds its workerd process, which Miniflare does not name. Its own signal
 * handlers would end this process before the other parts are stopped, so they are taken off.
 */
async function launch(options: MiniflareOptions): Promise<{ miniflare: Miniflare; workerd: ChildProcess }> {
  const spawned: ChildProcess[] = [];
  // What a child runs is not known yet when it is announced.
  const note = (message: unknown): void => void spawned.push((message as Spawned).process);
  const spawns = channel('child_process');
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const before = signals.map((signal) => process.listeners(signal));
  spawns.subscribe(note);
  const miniflare = new Miniflare(options);
  try {
    await miniflare.ready;
  } catch (error) {
    await miniflare.dispose().catch(() => undefined);
    throw new StackFailure(`the Workers did not start: ${sentence(error)}`);
  } finally {
    spawns.unsubscribe(note);
    signals.forEach((signal, i) => {
      for (const listener of process.listeners(signal)) {
        if (!before[i]?.includes(listener)) process.removeListener(signal, listener);
      }
    });
  }
  const workerd = spawned.find((child) => /workerd[^/]*$/.test(child.spawnfile));
  if (workerd === undefined) throw new Error('the workerd process was not seen to start');
  return { miniflare, workerd };
}

/** Two starts at a time in one process would see each other's child processes. */
let last: Promise<unknown> = Promise.resolve();
async function exclusively<T>(work: () => Promise<T>): Promise<T> {
  const mine = last.then(work, work);
  last = mine.catch(() => undefined);
  return await mine;
}
