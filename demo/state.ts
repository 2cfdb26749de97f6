import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { removeData } from '../stack/postgres.ts';

const NAME = /^m23-demo-(\d+)-/;
const LAST_LINES = 6;

/** A state folder for this run; those of runs that were killed are removed. */
export function newStateFolder(): string {
  for (const name of readdirSync(tmpdir())) {
    const owner = Number(NAME.exec(name)?.[1] ?? 0);
    if (owner > 0 && !isRunning(owner)) removeStateFolder(join(tmpdir(), name));
  }
  return mkdtempSync(join(tmpdir(), `m23-demo-${process.pid}-`));
}

/** Removes a state folder, the database too where it lies elsewhere. */
export function removeStateFolder(folder: string): void {
  try {
    removeData(folder);
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // Another user's, or in use: it is not for us to remove.
  }
}

/** What the parts have said last, for whoever has to find out what went wrong. */
export function lastWords(folder: string): string[] {
  return ['workers.log', 'postgres.log', 'postgrest.log'].flatMap((file) => {
    try {
      return [`${file}:`, ...readFileSync(join(folder, file), 'utf8').trimEnd().split('\n').slice(-LAST_LINES).map((line) => `  ${line}`)];
    } catch {
      return [];
    }
  });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
