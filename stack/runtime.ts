import type { ChildProcess } from 'node:child_process';
import { channel } from 'node:diagnostics_channel';

import { StackFailure, sentence } from './failure.ts';
import { Miniflare, type MiniflareOptions } from './miniflare.ts';

/** Far more than a busy machine needs, and the end of a wait that would have none. */
const WITHIN_MS = 60_000;
const LAUNCHES = 2;

/** One event of the child process channel of Node. */
interface Spawned {
  process: ChildProcess;
}

/** Miniflare, and the workerd process of it, which it does not name. */
export class Runtime {
  readonly miniflare: Miniflare;
  readonly workerd: ChildProcess;

  private constructor(miniflare: Miniflare, workerd: ChildProcess) {
    this.miniflare = miniflare;
    this.workerd = workerd;
  }

  /** Resolves when the Workers answer. One that is not ready within the time is ended, and another tried. */
  static async start(options: MiniflareOptions, withinMs = WITHIN_MS): Promise<Runtime> {
    return await exclusively(async () => {
      for (let n = 1; n <= LAUNCHES; n += 1) {
        const runtime = await Runtime.#launch(options, withinMs);
        if (runtime !== undefined) return runtime;
      }
      throw new StackFailure(
        `the Workers did not start: workerd was not ready within ${withinMs / 1000} s, ${LAUNCHES} times`,
      );
    });
  }

  /**
   * Ends workerd at once, as a crash would. False when Miniflare has not ended within the time: it
   * has no process any more, and another one can be started in its place.
   */
  async end(withinMs = WITHIN_MS): Promise<boolean> {
    return await end(this.miniflare, this.workerd, withinMs);
  }

  static async #launch(options: MiniflareOptions, withinMs: number): Promise<Runtime | undefined> {
    const seen = watch();
    const miniflare = new Miniflare(options);
    try {
      const ready = await within(withinMs, miniflare.ready);
      const workerd = seen.workerd();
      if (ready && workerd !== undefined) return new Runtime(miniflare, workerd);
      await end(miniflare, workerd, withinMs);
      if (ready) throw new Error('the workerd process was not seen to start');
      return undefined;
    } catch (error) {
      await end(miniflare, seen.workerd(), withinMs);
      throw new StackFailure(`the Workers did not start: ${sentence(error)}`);
    } finally {
      seen.stop();
    }
  }
}

/**
 * Miniflare is told first. It takes the end of a workerd that it has not ended for a crash, and begins
 * another one on the same port, which would then be starting while it is ended itself.
 */
async function end(miniflare: Miniflare, workerd: ChildProcess | undefined, withinMs: number): Promise<boolean> {
  const disposed = miniflare.dispose().catch(() => undefined);
  if (workerd !== undefined) await killed(workerd);
  return await within(withinMs, disposed);
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** Whether it came to its end in time. */
async function within(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  return await Promise.race([work.then(() => true), late]).finally(() => clearTimeout(timer));
}

/**
 * Sees what Miniflare does to this process as it starts: which workerd it spawns, and its signal
 * handlers, which would end this process before the other parts are stopped; they are taken off.
 */
function watch(): { workerd: () => ChildProcess | undefined; stop: () => void } {
  const spawned: ChildProcess[] = [];
  // What a child runs is not known yet when it is announced.
  const note = (message: unknown): void => void spawned.push((message as Spawned).process);
  const spawns = channel('child_process');
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const before = signals.map((signal) => process.listeners(signal));
  spawns.subscribe(note);
  return {
    workerd: () => spawned.find((child) => /workerd[^/]*$/.test(child.spawnfile)),
    stop: () => {
      spawns.unsubscribe(note);
      signals.forEach((signal, i) => {
        for (const listener of process.listeners(signal)) {
          if (!before[i]?.includes(listener)) process.removeListener(signal, listener);
        }
      });
    },
  };
}

/** Two starts at a time in one process would see each other's child processes. */
let last: Promise<unknown> = Promise.resolve();
async function exclusively<T>(work: () => Promise<T>): Promise<T> {
  const mine = last.then(work, work);
  last = mine.catch(() => undefined);
  return await mine;
}
