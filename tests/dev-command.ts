import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ROOT } from '../stack/places.ts';
import type { DevJson } from '../stack/state.ts';
import { descendants, type Process } from './processes.ts';

export const XTASK = process.env['M23_XTASK'] ?? join(ROOT, 'target', 'debug', 'xtask');
const READY_WITHIN_MS = 60_000;

/** `cargo xtask dev`, run as people run it. */
export class DevCommand {
  readonly stateDir: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown[]>;
  #output = '';

  constructor(stateDir: string, ...args: string[]) {
    this.stateDir = stateDir;
    const port = args.includes('--port') ? [] : ['--port', '0'];
    this.#child = spawn(XTASK, ['dev', ...port, '--state-dir', stateDir, ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#ended = once(this.#child, 'exit');
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk) => (this.#output += String(chunk)));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it has said so far. */
  get output(): string {
    return this.#output;
  }

  /** The lines that say what went wrong. */
  get errors(): string[] {
    return this.#output.split('\n').filter((line) => line.startsWith('error'));
  }

  /** Its processes, itself included. */
  get family(): Process[] {
    return [{ pid: this.pid, parent: process.pid, command: '(xtask)' }, ...descendants(this.pid)];
  }

  /** The process of one part. */
  part(name: string): Process {
    const found = this.family.find((one) => one.command.includes(name));
    if (found === undefined)
      throw new Error(`${name} is not running: ${this.family.map((one) => one.command).join(' ')}`);
    return found;
  }

  /** Waits until it says that it is ready. */
  async ready(): Promise<DevJson> {
    const deadline = Date.now() + READY_WITHIN_MS;
    while (Date.now() < deadline && this.#child.exitCode === null) {
      if (this.#output.includes('Ctrl-C stops everything'))
        return JSON.parse(readFileSync(join(this.stateDir, 'dev.json'), 'utf8')) as DevJson;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`the stack did not become ready:\n${this.#output}`);
  }

  /** Waits for its end and gives the exit code (null when a signal ended it). */
  async ended(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }

  /** Asks it to stop and waits for its end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal);
    return await this.ended();
  }
}

/**
 * A new folder. It is removed when the test file's process ends, after every stack in it has
 * stopped, unless `take` is given: then the caller gets the removal to do.
 */
export function temporaryFolder(take: (remove: () => void) => void = (remove) => process.on('exit', remove)): string {
  const folder = mkdtempSync(join(tmpdir(), 'm23-test-'));
  take(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
