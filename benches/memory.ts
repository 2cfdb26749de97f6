import { readFileSync, writeFileSync } from 'node:fs';

import { descendants } from '../tests/processes.ts';
import { spread } from './measure.ts';
import type { Row } from './report.ts';
import type { WorkerPeak } from './worker-memory.ts';

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

/** What a backup of a tenant of so many rows needed. */
export interface Needed {
  rows: number;
  /** Of the Worker, with whatever has not been collected yet. */
  peak: WorkerPeak;
  /** Of the Worker, of another backup during which garbage was collected all the time. */
  held: WorkerPeak;
  /** Of the whole workerd. */
  process: number | undefined;
}

/** Each size against the smallest. */
export function memoryRows([smallest, ...larger]: readonly Needed[]): Row[] {
  if (smallest === undefined) return [];
  return larger.flatMap((one) => {
    const what = `backup of ${one.rows.toLocaleString('en')} / ${smallest.rows.toLocaleString('en')} rows`;
    return [
      workerRow(`the Worker's peak memory, ${what}`, one.peak, smallest.peak),
      workerRow(`… held when garbage is collected, ${what}`, one.held, smallest.held),
      processRow(`the whole workerd's, ${what}`, one.process, smallest.process),
    ];
  });
}

function workerRow(what: string, large: WorkerPeak, small: WorkerPeak): Row {
  const sum = ({ heap, module }: WorkerPeak): number => heap + module;
  const said = ({ heap, module }: WorkerPeak): string => `${heap.toFixed(1)} + ${module.toFixed(1)}`;
  return {
    what,
    ratio: spread([sum(large) / sum(small)]),
    goal: { atMost: 1.3 },
    note: `${said(small)} and ${said(large)} MB of heap and buffers + module`,
  };
}

function processRow(what: string, large: number | undefined, small: number | undefined): Row {
  if (large === undefined || small === undefined) return { what, ratio: undefined, note: 'only Linux tells' };
  return {
    what,
    ratio: spread([large / small]),
    note: `${small.toFixed(0)} and ${large.toFixed(0)} MB, all Workers and the simulated R2 together`,
  };
}
