// What was committed when, from the record in history.journal alone. A state is a question asked of
// the versions of each key: which transactions count?
import type pg from 'pg';

import { type Images, TABLES } from './tables.ts';

/** Whether a transaction is part of a state. */
export type Counts = (xid: bigint) => boolean;

interface Version {
  n: number;
  xid: bigint;
  tenant: string | null;
  image: string | null;
  /** Tenants to which an update has brought the key from another. */
  arrived: readonly string[];
}

interface Entry {
  n: string;
  xid: string;
  tbl: string | null;
  key: string | null;
  arrived: string[] | null;
  tenant_id: string | null;
  image: string | null;
  what: Restored | null;
}

/** A restore or rollback, as the record has it: a tenant's tables became what they were in a state. */
export interface Restored {
  tenant: string;
  tables: string[];
  /** Microseconds of the time, or the position, of the state. */
  at?: string;
  position?: string;
}

export class Oracle {
  readonly #client: pg.Client;
  readonly #versions = new Map<string, Map<string, Version[]>>(TABLES.map(({ name }) => [name, new Map()]));
  readonly #stamps = new Map<bigint, bigint>();
  #read = 0;

  constructor(client: pg.Client) {
    this.#client = client;
  }

  /** Commit times in microseconds, oldest first; each may be that of several transactions. */
  get stamps(): bigint[] {
    return [...this.#stamps.values()].sort((a, b) => (a < b ? -1 : 1));
  }

  get transactions(): number {
    return this.#stamps.size;
  }

  /** The state of a time, in microseconds: all transactions committed at or before it. */
  at(time: bigint): Counts {
    return (xid) => (this.#stamps.get(xid) ?? 0n) <= time;
  }

  /** The state of a position. */
  seen(position: string): Counts {
    return seenBy(position);
  }

  /** Reads on in the record. */
  async read(): Promise<void> {
    const { rows } = await this.#client.query<Entry>(
      'select n, xid::text, tbl, key, arrived::text[], tenant_id, image, what from history.journal where n > $1 order by journal.n',
      [this.#read],
    );
    await this.#readStamps(rows);
    for (const entry of rows) {
      this.#enter(entry);
      this.#read = Number(entry.n);
    }
  }

  async #readStamps(entries: Entry[]): Promise<void> {
    const native = await this.#client.query<{ on: boolean }>(
      `select current_setting('track_commit_timestamp')::boolean as on`,
    );
    const { rows } = await this.#client.query<{ xid: string; stamp: string }>(
      `select x.xid, ${native.rows[0]?.on === true ? '(extract(epoch from pg_xact_commit_timestamp(x.xid::xid8::xid)) * 1000000)::bigint::text' : `'0'`} as stamp from unnest($1::text[]) x (xid)`,
      [[...new Set(entries.map(({ xid }) => xid))]],
    );
    for (const { xid, stamp } of rows) this.#stamps.set(BigInt(xid), BigInt(stamp));
  }

  #enter({ n, xid, tbl, key, arrived, tenant_id, image, what }: Entry): void {
    const at = { n: Number(n), xid: BigInt(xid) };
    if (what !== null) {
      const state = what.position === undefined ? this.at(BigInt(what.at ?? '0')) : seenBy(what.position);
      this.restore(at, what.tenant, this.outcome(what.tenant, what.tables, state));
      return;
    }
    const table = this.#table(tbl ?? '');
    const gone = { ...at, tenant: null, image: null, arrived: [] };
    if (key === null) {
      for (const versions of table.values()) if (versions.at(-1)?.image !== null) versions.push(gone);
      return;
    }
    const versions = table.get(key);
    const version =
      image === null
        ? { ...gone, arrived: arrived ?? [] }
        : { ...at, tenant: tenant_id, image, arrived: arrived ?? [] };
    if (versions === undefined) table.set(key, [version]);
    else versions.push(version);
  }

  /** Enters what a restore has made of a tenant's tables. */
  restore(at: { n: number; xid: bigint }, tenant: string, images: Images): void {
    for (const [name, wanted] of images) {
      const table = this.#table(name);
      for (const [key, image] of wanted) if (!table.has(key)) table.set(key, [{ ...at, tenant, image, arrived: [] }]);
      for (const [key, versions] of table) {
        const last = versions.at(-1);
        const image = wanted.get(key) ?? null;
        if (last?.image === image || (image === null && last?.tenant !== tenant)) continue;
        // What was nobody's has come to the tenant: another restore leaves it there.
        const arrived = last?.tenant === null && last.image !== null ? [tenant] : [];
        versions.push({ ...at, tenant: image === null ? null : tenant, image, arrived });
      }
    }
  }

  /** A stamp for a transaction that is not in the record. */
  stamp(xid: bigint, time: bigint): void {
    this.#stamps.set(xid, time);
  }

  /** A tenant's rows in a state; without one, now. */
  rows(tenant: string, counts: Counts = () => true): Images {
    return new Map(
      TABLES.map(({ name }) => {
        const rows = new Map<string, string>();
        for (const [key, versions] of this.#table(name)) {
          const version = versions.findLast(({ xid }) => counts(xid));
          if (version !== undefined && version.tenant === tenant && version.image !== null)
            rows.set(key, version.image);
        }
        return [name, rows];
      }),
    );
  }

  /** What a restore of a tenant's tables to a state has to make of them. */
  outcome(tenant: string, tables: readonly string[], state: Counts): Images {
    const wanted: Images = new Map();
    const then = this.rows(tenant, state);
    for (const name of tables) {
      const rows = new Map(then.get(name));
      for (const [key, versions] of this.#table(name)) {
        const last = versions.at(-1);
        if (last === undefined || last.image === null) continue;
        // A key that is another tenant's now is left alone; one that is nobody's is taken back.
        if (last.tenant !== tenant && last.tenant !== null) rows.delete(key);
        else if (last.tenant === null) continue;
        // So is a row that has come from another tenant since.
        else if (!rows.has(key) && versions.some(({ xid, arrived }) => !state(xid) && arrived.includes(tenant)))
          rows.set(key, last.image);
      }
      wanted.set(name, rows);
    }
    this.#keepReferences(tenant, then, wanted);
    return wanted;
  }

  /**
   * A row whose node was the tenant's and is another's now stays what it is, or away; and so does what hangs on it.
   * What a row that stays refers to stays as well.
   */
  #keepReferences(tenant: string, then: Images, wanted: Images): void {
    const nodes = wanted.get('node') ?? new Map<string, string>();
    const lost = new Set([...(then.get('node')?.keys() ?? [])].filter((key) => !nodes.has(key)));
    for (let left = lost.size; left > 0; ) {
      left = 0;
      for (const [name, rows] of wanted) {
        for (const [key, image] of rows) {
          const node = nodeOf(name, image);
          const now = this.#now(tenant, name, key);
          if (lost.has(node) && image !== now) {
            if (now === undefined) rows.delete(key);
            else rows.set(key, now);
            if (name === 'node' && now === undefined) lost.add(key);
            left += 1;
          } else if (!nodes.has(node)) {
            const needed = this.#now(tenant, 'node', node);
            if (needed === undefined) continue;
            nodes.set(node, needed);
            left += 1;
          }
        }
      }
    }
  }

  /** A tenant's row now. */
  #now(tenant: string, name: string, key: string): string | undefined {
    const last = this.#table(name).get(key)?.at(-1);
    return last?.tenant === tenant && last.image !== null ? last.image : undefined;
  }

  /** The versions of a key, for a report. */
  history(name: string, key: string): string[] {
    return (this.#table(name).get(key) ?? []).map(
      (version) =>
        `n ${version.n} xid ${version.xid} at ${this.#stamps.get(version.xid)} tenant ${version.tenant} ${version.image}${version.arrived.length > 0 ? ' (arrived)' : ''}`,
    );
  }

  #table(name: string): Map<string, Version[]> {
    const table = this.#versions.get(name);
    if (table === undefined) throw new Error(`the record speaks of ${name}`);
    return table;
  }
}

/** The key of the node to which a row refers. */
function nodeOf(name: string, image: string): string {
  const [first, , third] = image.slice(1).split(',');
  return name === 'leaf' ? `(${first})` : name === 'node' && third !== '' ? `(${third})` : '';
}

/** pg_visible_in_snapshot for a position, `xmin:xmax:running,…`. */
function seenBy(position: string): Counts {
  const [xmin, xmax, running] = position.split(':');
  const [from, to] = [BigInt(xmin ?? '0'), BigInt(xmax ?? '0')];
  const open = new Set(
    (running ?? '')
      .split(',')
      .filter((xid) => xid !== '')
      .map(BigInt),
  );
  return (xid) => xid < from || (xid < to && !open.has(xid));
}
