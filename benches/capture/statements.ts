import type pg from 'pg';

import { tenantOf } from '../rows.ts';

/** What an application does to rows. */
export type Operation = 'insert' | 'update' | 'delete';
export const OPERATIONS: readonly Operation[] = ['insert', 'update', 'delete'];

/** A table of ten columns, by who captures it: nobody (`plain`), `m23` or `emaj`. */
export function tableOf(capturer: string): string {
  return `bench.captured_${capturer}`;
}

/** A statement over one row, whose key is its parameter. */
export function single(operation: Operation, capturer: string): string {
  const table = tableOf(capturer);
  switch (operation) {
    case 'insert':
      return `insert into ${table} values ($1, '${tenantOf(0)}', 'Item', 'A body of some length',
      12.5, 3, true, '{all,n1}', '{"rank": 1}', clock_timestamp())`;
    case 'update':
      return `update ${table} set quantity = quantity + 1, updated_at = clock_timestamp() where id = $1`;
    case 'delete':
      return `delete from ${table} where id = $1`;
  }
}

/** A statement over all rows; those that are inserted come from a table of the schema bench. */
export function bulk(operation: Operation, capturer: string, source: string): string {
  const table = tableOf(capturer);
  switch (operation) {
    case 'insert':
      return `insert into ${table} select * from bench.${source}`;
    case 'update':
      return `update ${table}
      set price = price + 1, quantity = quantity + 1, updated_at = clock_timestamp()`;
    case 'delete':
      return `delete from ${table}`;
  }
}

/** That statement, prepared, for the row with a key. */
export function prepared(operation: Operation, capturer: string, id: number): pg.QueryConfig {
  return { name: `${operation}_${capturer}`, text: single(operation, capturer), values: [id] };
}
