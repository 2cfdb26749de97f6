import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { removeData } from '../stack/postgres.ts';

const NAME = /^m23-demo-(\d+)-/;
const TROUBLE = /error|fatal|panic|warn/i;
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

/** What the parts have said last that sounds like trouble, for whoever has to find its cause. */
export function lastWords(folder: string): string[] {
  return ['workers.log', 'postgres.log', 'postgrest.log'].flatMap((file) => {
    const path = join(folder, file);
    const lines = existsSync(path)
      ? readFileSync(path, 'utf8')
          .split('\n')
          .filter((line) => TROUBLE.test(line))
          .slice(-LAST_LINES)
      : [];
    return lines.length === 0 ? [] : [`${file}:`, ...lines.map((line) => `  ${line}`)];
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
