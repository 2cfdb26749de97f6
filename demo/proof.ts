import type pg from 'pg';

import { compareOthers, compareTenant, type Difference, fingerprint, total } from './compare.ts';
import { count, counted } from './figures.ts';
import { sizeOf, type TableImages, takeImages } from './images.ts';
import { checkForeignKeys, checkSequences, type Findings } from './integrity.ts';
import { say, table, verdict } from './screen.ts';

/** How the database compares with what it was. */
export interface Proof {
  /** The tenant's rows. */
  mine: Difference[];
  /** Everybody else's. */
  others: Difference[];
  foreignKeys: Findings;
  sequences: Findings;
  fingerprints: { before: string; after: string };
  sizes: { mine: number; others: number };
}

/** Compares the database, row by row, with the images taken before. */
export async function prove(client: pg.Client, before: readonly TableImages[], tenant: string): Promise<Proof> {
  const after = await takeImages(client);
  const all = after.reduce((sum, { rows }) => sum + rows.size, 0);
  const mine = sizeOf(after, tenant).rows;
  return {
    mine: compareTenant(before, after, tenant),
    others: compareOthers(before, after, tenant),
    foreignKeys: await checkForeignKeys(client),
    sequences: await checkSequences(client),
    fingerprints: { before: fingerprint(before, tenant), after: fingerprint(after, tenant) },
    sizes: { mine, others: all - mine },
  };
}

/** Shows a proof, and gives what does not hold. */
export function show(proof: Proof, name: string): string[] {
  const { mine, others, foreignKeys, sequences, fingerprints, sizes } = proof;
  const failed: string[] = [];
  const check = (holds: boolean, what: string, details: string): void => {
    verdict(holds, what, details);
    if (!holds) failed.push(what);
  };
  check(
    total(mine) === 0,
    `every row of ${name} is exactly as it was`,
    total(mine) === 0
      ? `${counted(sizes.mine, 'row')} in ${counted(mine.length, 'table')}, every value`
      : `${counted(total(mine), 'row differs', 'rows differ')}`,
  );
  check(
    fingerprints.before === fingerprints.after,
    `the fingerprint of ${name} is the same`,
    `was ${fingerprints.before}, is ${fingerprints.after}`,
  );
  check(
    total(others) === 0,
    "nobody else's rows were touched",
    total(others) === 0
      ? `${counted(sizes.others, 'row')}: same values, not even rewritten (xmin, ctid)`
      : `${counted(total(others), 'row differs', 'rows differ')}`,
  );
  check(foreignKeys.wrong.length === 0, 'every foreign key holds', found(foreignKeys, 'key'));
  check(sequences.wrong.length === 0, 'no sequence is behind its rows', found(sequences, 'sequence'));
  return failed;
}

/** Shows how many rows of which table differ, and how the first ones do. */
export function showDifferences(differences: readonly Difference[], examples: number): void {
  const differing = differences.filter((one) => total([one]) > 0);
  const sum = (kind: 'missing' | 'changed' | 'stray'): string =>
    count(differing.reduce((so, one) => so + one[kind], 0));
  table([
    ['table', 'missing', 'changed', 'stray'],
    ...differing.map(({ table: name, missing, changed, stray }) => [
      name,
      count(missing),
      count(changed),
      count(stray),
    ]),
    ['all', sum('missing'), sum('changed'), sum('stray')],
  ]);
  if (examples > 0) say();
  for (const one of differing) {
    for (const example of one.examples.slice(0, examples)) say(`   ${example}`);
  }
}

function found({ looked, wrong }: Findings, what: string): string {
  return wrong.length === 0 ? counted(looked, what) : wrong.join('; ');
}
