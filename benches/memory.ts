import { readFileSync, writeFileSync } from 'node:fs';

import { descendants } from '../tests/processes.ts';

/** The peak of resident memory of workerd, our child; undefined where the system does not tell. */
export class PeakMemory {
  readonly #pid = descendants(process.pid).find(({ command }) => command.includes('workerd'))?.pid;

  /** Forgets the peak so far. */
  reset(): void {
    if (this.#pid === undefined || process.platform !== 'linux') return;
    writeFileSync(`/proc/${this.#pid}/clear_refs`, '5');
  }

  get megabytes(): number | undefined {
    if (this.#pid === undefined || process.platform !== 'linux') return undefined;
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#pid}/status`, 'utf8'))?.[1];
    return peak === undefined ? undefined : Number(peak) / 1024;
  }
}
