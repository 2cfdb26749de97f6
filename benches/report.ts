import type { Spread } from './measure.ts';

/** What a ratio should be. */
export type Goal = { atMost: number } | { atLeast: number };

/** A row of the table. */
export interface Row {
  what: string;
  /** Undefined where it was not measured. */
  ratio: Spread | undefined;
  goal?: Goal;
  /** Why it was not measured, or what else was seen. */
  note?: string;
}

/** A group of rows, under a name that `--only` takes. */
export interface Section {
  title: string;
  rows: Row[];
}

const WIDTH = 62;

/** Prints a section as soon as it is measured. */
export function print({ title, rows }: Section): void {
  console.log(`\n${title.padEnd(WIDTH)}    ratio      min – max    goal`);
  for (const row of rows) console.log(`  ${row.what.padEnd(WIDTH - 2)} ${cells(row)}`.trimEnd());
}

/** How many rows hold, miss their goal, or were not measured. */
export function printSummary(sections: readonly Section[]): void {
  const rows = sections.flatMap((section) => section.rows).filter(({ goal }) => goal !== undefined);
  const of = (wanted: string): number => rows.filter((row) => verdict(row) === wanted).length;
  console.log(`\n${of('holds')} goals hold, ${of('missed')} are missed, ${of('not measured')} were not measured`);
}

function cells(row: Row): string {
  const { ratio, note = '' } = row;
  if (ratio === undefined) return `not measured ${note === '' ? '' : `(${note})`}`;
  const range = `${figure(ratio.min)} – ${figure(ratio.max)}`;
  return `${figure(ratio.median).padStart(8)} ${range.padStart(16)}    ${goalOf(row)}${note === '' ? '' : `  ${note}`}`;
}

function goalOf(row: Row): string {
  if (row.goal === undefined) return '';
  const [sign, bound] = 'atMost' in row.goal ? ['≤', row.goal.atMost] : ['≥', row.goal.atLeast];
  return `${sign} ${bound} ${verdict(row)}`;
}

function verdict({ ratio, goal }: Row): string {
  if (goal === undefined) return '';
  if (ratio === undefined) return 'not measured';
  const holds = 'atMost' in goal ? ratio.median <= goal.atMost : ratio.median >= goal.atLeast;
  return holds ? 'holds' : 'missed';
}

function figure(value: number): string {
  return `${value.toFixed(Math.abs(value) < 10 ? 2 : 1)}×`;
}
