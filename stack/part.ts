import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** Called when a part ends that nobody has stopped. */
export type CrashListener = (part: string, reason: string) => void;

/** How a part is started and stopped. */
export interface PartOptions {
  /** Its name, as people know it. */
  name: string;
  program: string;
  args: string[];
  /** Where its output goes. */
  logFile: string;
  spawn?: SpawnOptions;
  /** Asks it to stop at once but in order. */
  stopSignal: NodeJS.Signals;
  onCrash: CrashListener;
}

const STOP_WITHIN_MS = 5_000;

/** A process of the stack: its end is expected only after {@link Part.stop} or {@link Part.kill}. */
export class Part {
  readonly name: string;
  readonly #options: PartOptions;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #expected = false;
  #running = true;

  constructor(options: PartOptions) {
    this.name = options.name;
    this.#options = options;
    const log = openSync(options.logFile, 'a', 0o600);
    this.#child = spawn(options.program, options.args, { ...options.spawn, stdio: ['ignore', log, log] });
    closeSync(log);
    this.#ended = once(this.#child, 'exit').catch(() => undefined);
    this.#child.once('error', (error) => this.#end(error.message));
    this.#child.once('exit', (code, signal) => this.#end(signal === null ? `exit code ${code}` : `signal ${signal}`));
  }

  get running(): boolean {
    return this.#running;
  }

  /** The last lines of its output, for the sentence that says why it did not start. */
  lastWords(): string {
    const text = readFileSync(this.#options.logFile, 'utf8');
    return text.trimEnd().split('\n').slice(-3).join(' | ');
  }

  /** Stops it in order, by force when that takes too long. */
  async stop(): Promise<void> {
    await this.#finish(this.#options.stopSignal);
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    await this.#finish('SIGKILL');
  }

  async #finish(signal: NodeJS.Signals): Promise<void> {
    this.#expected = true;
    if (!this.#running) return;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_WITHIN_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #end(reason: string): void {
    this.#running = false;
    if (!this.#expected) this.#options.onCrash(this.name, reason);
  }
}

/** Waits until `ready` says yes; gives up when the part ends or time runs out. */
export async function waitUntil(
  ready: () => Promise<boolean>,
  withinMs: number,
  alive: () => boolean,
): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline && alive()) {
    if (await ready().catch(() => false)) return true;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return false;
}
