import { createHash } from 'node:crypto';

import type { Image, TableImages } from './images.ts';

/** How a table's rows differ from what they were. */
export interface Difference {
  table: string;
  missing: number;
  changed: number;
  stray: number;
  /** The first few, for people. */
  examples: string[];
}

const EXAMPLES = 3;

/** Compares a tenant's rows, every value of each. */
export function compareTenant(
  before: readonly TableImages[],
  after: readonly TableImages[],
  tenant: string,
): Difference[] {
  return compare(
    before,
    after,
    (image) => image.tenant === tenant,
    (was, is) => was.text === is.text && was.tenant === is.tenant,
  );
}

/** Compares everybody else's rows, and whether they were so much as written anew. */
export function compareOthers(
  before: readonly TableImages[],
  after: readonly TableImages[],
  tenant: string,
): Difference[] {
  return compare(
    before,
    after,
    (image) => image.tenant !== tenant,
    (was, is) => was.text === is.text && was.tenant === is.tenant && was.version === is.version,
  );
}

/** How many rows differ. */
export function total(differences: readonly Difference[]): number {
  return differences.reduce((sum, { missing, changed, stray }) => sum + missing + changed + stray, 0);
}

/** One short name for all rows of a tenant: it differs when any value of any row does. */
export function fingerprint(images: readonly TableImages[], tenant: string): string {
  const hash = createHash('sha256');
  for (const { name, rows } of images) {
    const mine = [...rows]
      .filter(([, image]) => image.tenant === tenant)
      .map(([key, image]) => JSON.stringify([name, key, image.text]));
    hash.update(mine.sort().join('\n'));
  }
  return hash.digest('hex').slice(0, 16);
}

type Test = (image: Image) => boolean;
type Same = (was: Image, is: Image) => boolean;

function compare(
  before: readonly TableImages[],
  after: readonly TableImages[],
  concerns: Test,
  same: Same,
): Difference[] {
  const names = [...new Set([...before, ...after].map((table) => table.name))];
  return names.map((name) => compareTable(name, rowsOf(before, name), rowsOf(after, name), concerns, same));
}

function rowsOf(images: readonly TableImages[], name: string): Map<string, Image> {
  return images.find((table) => table.name === name)?.rows ?? new Map<string, Image>();
}

function compareTable(
  table: string,
  before: Map<string, Image>,
  after: Map<string, Image>,
  concerns: Test,
  same: Same,
): Difference {
  const difference: Difference = { table, missing: 0, changed: 0, stray: 0, examples: [] };
  const note = (kind: 'missing' | 'changed' | 'stray', key: string, words: string): void => {
    difference[kind] += 1;
    if (difference.examples.length < EXAMPLES) difference.examples.push(`${table} ${key}: ${words}`);
  };
  for (const [key, was] of before) {
    if (!concerns(was)) continue;
    const is = after.get(key);
    if (is === undefined) note('missing', key, `missing; it was ${excerpt(was.text, 0)}`);
    else if (!same(was, is)) note('changed', key, describe(was, is));
  }
  for (const [key, is] of after) {
    if (concerns(is) && !before.has(key)) note('stray', key, `should not be there: ${excerpt(is.text, 0)}`);
  }
  return difference;
}

function describe(was: Image, is: Image): string {
  if (was.text === is.text) return `written anew: it was ${was.version}, and is ${is.version}`;
  let at = 0;
  while (was.text[at] === is.text[at]) at += 1;
  return `it was ${excerpt(was.text, at)}, and is ${excerpt(is.text, at)}`;
}

function excerpt(text: string, at: number): string {
  const from = Math.max(0, at - 12);
  return JSON.stringify(`${from > 0 ? '…' : ''}${text.slice(from, at + 40)}${text.length > at + 40 ? '…' : ''}`);
}
