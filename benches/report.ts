import type { Spread } from './measure.ts';

/** What a figure should be. */
export type Goal = { atMost: number } | { atLeast: number };

interface Described {
  what: string;
  goal?: Goal;
  /** Why it was not measured, or what else was seen. */
  note?: string;
}

/** How two figures of one run compare. */
export interface RatioRow extends Described {
  /** Undefined where it was not measured. */
  ratio: Spread | undefined;
}

/** A figure by itself. */
export interface AmountRow extends Described {
  /** Undefined where it was not measured. */
  amount: Spread | undefined;
  unit: 'ms' | 'B' | 'locks';
}

/** A row of the table. */
export type Row = RatioRow | AmountRow;

/** A group of rows, under a name that `--only` takes. */
export interface Section {
  title: string;
  rows: Row[];
}

const WIDTH = 62;

/** Prints a section as soon as it is measured. */
export function print({ title, rows }: Section): void {
  console.log(`\n${title.padEnd(WIDTH)}    figure           min – max    goal`);
  for (const row of rows) console.log(`  ${row.what.padEnd(WIDTH - 2)} ${cells(row)}`.trimEnd());
}

/** How many rows hold, miss their goal, or were not measured. */
export function printSummary(sections: readonly Section[]): void {
  const rows = sections.flatMap((section) => section.rows).filter(({ goal }) => goal !== undefined);
  const of = (wanted: string): number => rows.filter((row) => verdict(row) === wanted).length;
  console.log(`\n${of('holds')} goals hold, ${of('missed')} are missed, ${of('not measured')} were not measured`);
}

function cells(row: Row): string {
  const { note = '' } = row;
  const measured = measuredOf(row);
  if (measured === undefined) return `not measured ${note === '' ? '' : `(${note})`}`;
  const range = `${figure(measured.min, row)} – ${figure(measured.max, row)}`;
  const told = note === '' ? '' : `  ${note}`;
  return `${figure(measured.median, row).padStart(9)} ${range.padStart(19)}    ${goalOf(row)}${told}`;
}

function goalOf(row: Row): string {
  if (row.goal === undefined) return '';
  const [sign, bound] = 'atMost' in row.goal ? ['≤', row.goal.atMost] : ['≥', row.goal.atLeast];
  return `${sign} ${bound} ${verdict(row)}`;
}

function verdict(row: Row): string {
  const { goal } = row;
  const measured = measuredOf(row);
  if (goal === undefined) return '';
  if (measured === undefined) return 'not measured';
  const holds = 'atMost' in goal ? measured.median <= goal.atMost : measured.median >= goal.atLeast;
  return holds ? 'holds' : 'missed';
}

function measuredOf(row: Row): Spread | undefined {
  return 'ratio' in row ? row.ratio : row.amount;
}

function figure(value: number, row: Row): string {
  if ('ratio' in row) return `${value.toFixed(Math.abs(value) < 10 ? 2 : 1)}×`;
  return `${value.toFixed(row.unit === 'ms' ? 2 : 0)} ${row.unit}`;
}
