// Moments of a history of capture: positions, each with the rows that were there.
import type pg from 'pg';

import { pause } from '../../fixtures/time.ts';
import type { Draw } from '../statements.ts';
import { isTenants, type Table, tenantsOf } from './tables.ts';

/** A tenant's rows of one table, by key; wide values are told by their digest. */
export type Rows = Map<string, string>;

export interface Moment {
  position: string;
  /** By table and tenant. */
  rows: Map<string, Rows>;
}

export const placeOf = (table: Table, tenant: string): string => `${table.name} of ${tenant}`;

/** Reads rows of tables as texts that can be compared and shown. */
export class Reader {
  readonly #client: pg.Client;
  readonly #columns: Map<string, string>;

  private constructor(client: pg.Client, columns: Map<string, string>) {
    this.#client = client;
    this.#columns = columns;
  }

  /** Learns the columns of the tables. */
  static async open(client: pg.Client, tables: readonly Table[]): Promise<Reader> {
    const { rows } = await client.query<{ name: string; columns: string }>(
      `select t as name, string_agg(format($f$format('%%L', case when length(r.%1$I::text) < 40 then r.%1$I::text
                else left(r.%1$I::text, 12) || '… ' || md5(r.%1$I::text) end)$f$, a.attname),
                ', ' order by a.attnum) as columns
         from unnest($1::text[]) t
         join pg_attribute a on a.attrelid = t::regclass and a.attnum > 0 and not a.attisdropped group by t`,
      [tables.map(({ name }) => name)],
    );
    return new Reader(client, new Map(rows.map(({ name, columns }) => [name, columns])));
  }

  async live(table: Table, tenant: string): Promise<Rows> {
    return await this.#read(table, `${table.name} r where ${isTenants(table, 'r')}`, [tenant]);
  }

  /** M23's answer. */
  async asOf(table: Table, tenant: string, position: string): Promise<Rows> {
    return await this.#read(table, `m23.as_of(null::${table.name}, $1, $2::pg_snapshot) r`, [tenant, position]);
  }

  async #read(table: Table, from: string, values: string[]): Promise<Rows> {
    const { rows } = await this.#client.query<{ key: string; image: string }>(
      `select r.id::text as key, concat_ws(' ', ${this.#columns.get(table.name)}) as image from ${from}`,
      values,
    );
    return new Map(rows.map(({ key, image }) => [key, image]));
  }
}

/** When moments are kept. */
export interface Pace {
  draw: Draw;
  /** The longest pause between two of them, in milliseconds. */
  pause: number;
  /** Whether somebody still writes. */
  going: () => boolean;
}

/** Keeps moments for as long as somebody writes, and one when all have ended. */
export async function keepMoments(client: pg.Client, tables: readonly Table[], pace: Pace): Promise<Moment[]> {
  await client.query(`set default_transaction_isolation = 'repeatable read'; set deadlock_timeout = '10s'`);
  const reader = await Reader.open(client, tables);
  const moments: Moment[] = [];
  while (pace.going()) {
    moments.push(await momentNow(client, reader, tables));
    await pause(pace.draw.below(pace.pause));
  }
  moments.push(await momentNow(client, reader, tables));
  return moments;
}

/** The locks come first: a TRUNCATE that the snapshot does not see would take the rows all the same. */
async function momentNow(client: pg.Client, reader: Reader, tables: readonly Table[]): Promise<Moment> {
  await client.query('begin');
  await client.query(`lock table ${tables.map(({ name }) => name).join(', ')} in access share mode`);
  const {
    rows: [row],
  } = await client.query<{ position: string }>('select m23.current_position()::text as position');
  const rows = new Map<string, Rows>();
  for (const table of tables) {
    for (const tenant of tenantsOf(table).tenants) rows.set(placeOf(table, tenant), await reader.live(table, tenant));
  }
  await client.query('rollback');
  return { position: row?.position ?? '', rows };
}
