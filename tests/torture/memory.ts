// How much memory the stack's processes hold: what is shared is counted once.
import { readFileSync } from 'node:fs';

import { descendants } from '../processes.ts';

/** Megabytes of workerd and of all of Postgres; undefined where the system does not tell. */
export function memoryOf(program: 'workerd' | 'postgres'): number | undefined {
  try {
    const pids = descendants(process.pid)
      .filter(({ command }) => command === `(${program})`)
      .map(({ pid }) => pid);
    return Math.round(pids.reduce((sum, pid) => sum + kilobytes(pid), 0) / 1024);
  } catch {
    return undefined;
  }
}

function kilobytes(pid: number): number {
  try {
    return Number(/^Pss: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
  } catch (error) {
    // A backend that has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ESRCH')
      return 0;
    throw error;
  }
}
