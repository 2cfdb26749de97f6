// What changed in each part of a range.
import type { ChangeBucket } from '../../../../client/src/types.ts';
import type { Range } from './range.ts';

/** Inserted, updated and deleted rows. */
export interface Sum {
  i: number;
  u: number;
  d: number;
}

/** The sums of the parts of a range, all tables together and each. */
export interface Bars {
  readonly range: Range;
  readonly all: readonly Sum[];
  readonly tables: ReadonlyMap<string, readonly Sum[]>;
}

const FIELDS = { INSERT: 'i', UPDATE: 'u', DELETE: 'd' } as const;

/** The sums of what the database has counted. */
export function barsOf(range: Range, buckets: readonly ChangeBucket[]): Bars {
  const empty = (): Sum[] => Array.from({ length: range.parts }, () => ({ i: 0, u: 0, d: 0 }));
  const all = empty();
  const tables = new Map<string, Sum[]>();
  for (const { bucket_start, table_name, operation, row_count } of buckets) {
    const part = Math.round((Date.parse(bucket_start) - range.from) / range.part);
    if (part < 0 || part >= range.parts) continue;
    const own = tables.get(table_name) ?? empty();
    tables.set(table_name, own);
    all[part]![FIELDS[operation]] += row_count;
    own[part]![FIELDS[operation]] += row_count;
  }
  return { range, all, tables: new Map([...tables].sort(([, a], [, b]) => rowsOf(b) - rowsOf(a))) };
}

/** All rows of some parts. */
export function rowsOf(sums: readonly Sum[]): number {
  return sums.reduce((total, { i, u, d }) => total + i + u + d, 0);
}

/** The kind that a part is drawn as: deletes as soon as they are most of it. */
export function kindOf({ i, u, d }: Sum): keyof Sum {
  if (d > i + u) return 'd';
  return u > i ? 'u' : 'i';
}
