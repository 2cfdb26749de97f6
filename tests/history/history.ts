// The random history itself: what is written, and how M23's answers are compared with the record.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import type pg from 'pg';

import { pause, randomNumbers } from '../fixtures/time.ts';
import { Clients, type Tally } from './clients.ts';
import { assertSame, type Place } from './compare.ts';
import { Oracle } from './oracle.ts';
import { type Done, iso, type Owned, restoreTo, rollBack } from './recovery.ts';
import { Draw, type Shape } from './statements.ts';
import {
  type Images,
  imagesAsOf,
  imagesIn,
  liveImages,
  makeTables,
  placesOfOthers,
  SESSION,
  TABLES,
} from './tables.ts';

/** Tables whose rows stay with their tenant: a restore beside writers changes them exactly. */
const OWN = TABLES.filter(({ shared }) => !shared).map(({ name }) => name);
const ALL = TABLES.map(({ name }) => name);

interface Look {
  tenant: Owned;
  at: bigint;
  images: Images;
}

/** How much has been done and compared. */
export interface Figures extends Tally {
  restores: number;
  looks: number;
  compared: number;
}

export class History {
  readonly seed: number;
  readonly client: pg.Client;
  readonly oracle: Oracle;
  readonly tenants: readonly Owned[];
  readonly draw: Draw;
  readonly figures: Figures = { committed: 0, aborted: 0, refused: 0, restores: 0, looks: 0, compared: 0 };
  readonly #connect: () => Promise<pg.Client>;
  readonly #shape: Shape = { note: 'note', extra: [], contested: false };
  #looks: Look[] = [];
  #closing: Promise<void> = Promise.resolve();
  #beginning = 0n;

  private constructor(connect: () => Promise<pg.Client>, client: pg.Client, tenants: readonly Owned[], seed: number) {
    this.#connect = connect;
    this.client = client;
    this.tenants = tenants;
    this.seed = seed;
    this.oracle = new Oracle(client);
    this.draw = new Draw(randomNumbers(seed));
  }

  /** Makes the tables and their tenants; the tenants' order is that of the seed. */
  static async open(
    connect: () => Promise<pg.Client>,
    seed: number,
    tenants: readonly Owned[] = newTenants(3),
  ): Promise<History> {
    const client = await connect();
    await client.query(SESSION);
    await makeTables(client);
    await client.query(`update m23.settings set value = '0' where name = 'log_part_hours'`);
    for (const { id, owner } of tenants) {
      await client.query(
        `insert into public.tenant_members (tenant_id, user_id, role) values ($1, $2, 'owner') on conflict do nothing`,
        [id, owner],
      );
    }
    const history = new History(connect, client, tenants, seed);
    history.#beginning = await history.now();
    return history;
  }

  async close(): Promise<void> {
    await this.client.end();
  }

  get place(): Place {
    return this;
  }

  async now(): Promise<bigint> {
    const {
      rows: [row],
    } = await this.client.query<{ at: string }>(
      'select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as at',
    );
    return BigInt(row?.at ?? 0);
  }

  /** Writes for a while, from several connections, and nothing else. */
  async writeAlone(seconds: number, clients: number): Promise<void> {
    this.#shape.contested = true;
    const load = await this.#startClients(clients);
    await pause(seconds * 1000);
    await this.#stop(load);
    this.#shape.contested = false;
  }

  async #startClients(count: number): Promise<Clients> {
    const load = await Clients.start(
      this.#connect,
      count,
      this.tenants.map(({ id }) => id),
      this.#shape,
      this.seed + this.figures.committed,
    );
    this.#closing = this.#closeParts(load);
    return load;
  }

  async #stop(load: Clients): Promise<void> {
    await load.stop();
    await this.#closing;
    this.figures.committed += load.tally.committed;
    this.figures.aborted += load.tally.aborted;
    this.figures.refused += load.tally.refused;
    await this.oracle.read();
  }

  /** The upkeep of the logs, again and again: parts are closed and sealed in the middle of whatever is written and read. */
  async #closeParts(load: Clients): Promise<void> {
    const client = await this.#connect();
    const draw = new Draw(randomNumbers(this.seed + 3));
    while (load.writing) {
      await pause(draw.below(400));
      await client.query('select m23.prune_logs()').catch(toleratingLocks);
    }
    await client.end();
  }

  /** Writes from several connections for a while, on a busy machine for longer; meanwhile tenants are restored, rolled back and looked at. */
  async write(
    seconds: number,
    clients: number,
    meanwhile: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const began = await this.now();
    const load = await this.#startClients(clients);
    const begun = Date.now();
    const enough = (): boolean => load.tally.committed > 200 && this.#looks.length > 3;
    const going = (): boolean => load.writing && Date.now() - begun < (enough() ? seconds : 60) * 1000;
    const ends = await Promise.allSettled([this.#lookAround(going), this.#restoreBeside(going, began), meanwhile()]);
    await this.#stop(load);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  /** Looks at random times of the near past while others write; what was seen is compared later. */
  async #lookAround(going: () => boolean): Promise<void> {
    const client = await this.#connect();
    await client.query(SESSION);
    const draw = new Draw(randomNumbers(this.seed + 1));
    while (going()) {
      await pause(100 + draw.below(150));
      const tenant = draw.one(this.tenants);
      const at = max((await this.now()) - 20_000n - BigInt(draw.below(400_000)), this.#beginning);
      const images = await imagesAsOf(client, tenant.id, iso(at)).catch(toleratingLocks);
      if (images !== undefined) this.#looks.push({ tenant, at, images });
    }
    await client.end();
  }

  /** Not to times before `from`: a key that had another tenant then may be given up between the plan and the commit, which the record cannot tell. */
  async #restoreBeside(going: () => boolean, from: bigint): Promise<void> {
    const client = await this.#connect();
    await client.query(`${SESSION}; set lock_timeout = 0`);
    const draw = new Draw(randomNumbers(this.seed + 2));
    let undo: { tenant: Owned; snapshotId: string } | undefined;
    while (going()) {
      await pause(300 + draw.below(700));
      const tenant = undo?.tenant ?? draw.one(this.tenants);
      const done: Done =
        undo !== undefined
          ? await rollBack(client, tenant, undo.snapshotId)
          : await restoreTo(
              client,
              tenant,
              max((await this.now()) - 20_000n - BigInt(draw.below(3_000_000)), from),
              OWN,
            );
      if (done.error !== undefined && done.error.code !== 'UNAVAILABLE')
        throw new Error(`M23_SEED=${this.seed}: a restore beside writers: ${JSON.stringify(done.error)}`);
      if (done.error === undefined) this.figures.restores += 1;
      undo =
        undo === undefined && done.error === undefined && draw.chance(0.5)
          ? { tenant, snapshotId: done.snapshotId }
          : undefined;
    }
    await client.end();
  }

  /** The record, as far as it can check itself: its last state is what is there. */
  async checkRecord(): Promise<void> {
    for (const { id } of this.tenants)
      await assertSame(
        this.place,
        'the record against the live rows',
        await liveImages(this.client, id),
        this.oracle.rows(id),
      );
  }

  /** What was seen during the writing. */
  async checkLooks(): Promise<void> {
    for (const { tenant, at, images } of this.#looks) {
      await assertSame(
        this.place,
        `looked at ${tenant.id} as of ${iso(at)} while others wrote`,
        images,
        this.oracle.rows(tenant.id, this.oracle.at(at)),
      );
      this.figures.looks += 1;
    }
    this.#looks = [];
  }

  /** A random time: that of a commit, a microsecond beside it, or any. */
  randomTime(): bigint {
    const stamps = this.oracle.stamps;
    const at = this.draw.one(stamps);
    const time = this.draw.chance(0.2) ? (at + this.draw.one(stamps)) / 2n : at + BigInt(this.draw.below(3) - 1);
    return max(time, this.#beginning);
  }

  /** m23.as_of, for every tenant, at a random time. */
  async checkAsOf(at = this.randomTime()): Promise<void> {
    for (const { id } of this.tenants) {
      await assertSame(
        this.place,
        `as of ${iso(at)}, tenant ${id}`,
        await imagesAsOf(this.client, id, iso(at)),
        this.oracle.rows(id, this.oracle.at(at)),
      );
      this.figures.compared += 1;
    }
  }

  /** Restores a tenant to a time, by SQL or as `how` does it, and compares everything. Gives the snapshot. */
  async checkRestore(
    at = this.randomTime(),
    tenant = this.draw.one(this.tenants),
    how = (): Promise<Done> => restoreTo(this.client, tenant, at, ALL),
    tables = ALL,
  ): Promise<string> {
    const wanted = this.oracle.outcome(tenant.id, tables, this.oracle.at(at));
    const others = await placesOfOthers(this.client, tenant.id);
    const done = await how();
    const what = `restored ${tenant.id} to ${iso(at)}`;
    await this.#checkDone(done, what, tenant, others);
    await assertSame(this.place, what, await liveImages(this.client, tenant.id), wanted);
    await this.oracle.read();
    return done.snapshotId;
  }

  /** Rolls back to a snapshot: the tenant's rows are those of its position. */
  async checkRollback(tenant: Owned, snapshotId: string): Promise<string> {
    const {
      rows: [row],
    } = await this.client.query<{ position: string }>(
      `select snapshot_data ->> 'position' as position from public.pitr_snapshots where id = $1`,
      [snapshotId],
    );
    const wanted = this.oracle.outcome(tenant.id, ALL, this.oracle.seen(row?.position ?? ''));
    const others = await placesOfOthers(this.client, tenant.id);
    const done = await rollBack(this.client, tenant, snapshotId);
    const what = `rolled ${tenant.id} back to snapshot ${snapshotId}`;
    await this.#checkDone(done, what, tenant, others);
    await assertSame(this.place, what, await liveImages(this.client, tenant.id), wanted);
    await this.oracle.read();
    return done.snapshotId;
  }

  /** Rows in a schema beside the live data are those of a position. */
  async checkCopy(schema: string, tenant: Owned, position: string): Promise<void> {
    await assertSame(
      this.place,
      `copied ${tenant.id} as of ${position}`,
      await imagesIn(this.client, schema, tenant.id),
      this.oracle.rows(tenant.id, this.oracle.seen(position)),
    );
    this.figures.compared += 1;
  }

  async #checkDone(done: Done, what: string, tenant: Owned, others: string): Promise<void> {
    if (done.error !== undefined) throw new Error(`M23_SEED=${this.seed}: ${what}: ${JSON.stringify(done.error)}`);
    const now = await placesOfOthers(this.client, tenant.id);
    if (now !== others)
      throw new Error(`M23_SEED=${this.seed}: ${what}: other tenants' rows were written:\n${others}\n${now}`);
    this.figures.restores += 1;
    this.figures.compared += 1;
  }

  /**
   * Restores, and undoes it: exactly what was, though others may hold what could not come back. Nobody's rows that
   * were taken back stay so: what they were while they were nobody's, nobody knows.
   */
  async checkUndo(at = this.randomTime()): Promise<void> {
    const tenant = this.draw.one(this.tenants);
    const before = await liveImages(this.client, tenant.id);
    before.delete('loose');
    const undone = await this.checkRollback(tenant, await this.checkRestore(at, tenant));
    await assertSame(
      this.place,
      `undid the restore of ${tenant.id} to ${iso(at)}`,
      await liveImages(this.client, tenant.id),
      before,
    );
    if (this.draw.chance(0.5)) await this.checkRollback(tenant, undone);
  }

  /** Random restores and rollbacks, one after the other, with writing now and then between them. */
  async checkSequence(steps: number): Promise<void> {
    const tenant = this.draw.one(this.tenants);
    const snapshots: string[] = [];
    for (let step = 0; step < steps; step += 1) {
      if (snapshots.length > 0 && this.draw.chance(0.5)) {
        const [snapshot] = snapshots.splice(this.draw.below(snapshots.length), 1);
        snapshots.push(await this.checkRollback(tenant, snapshot as string));
      } else {
        snapshots.push(await this.checkRestore(this.randomTime(), tenant));
      }
      if (this.draw.chance(0.3)) await this.writeAlone(0.3, 2);
    }
    await this.checkRecord();
  }

  /** With ticks a time is that of the tick which the answer names. */
  async checkTick(at: bigint): Promise<void> {
    const {
      rows: [moment],
    } = await this.client.query<{ taken: string; position: string }>(
      'select m.taken::text, m.position::text from m23.moment_at($1) m',
      [iso(at)],
    );
    const tenant = this.draw.one(this.tenants);
    const counts = this.oracle.seen(moment?.position ?? '');
    await assertSame(
      this.place,
      `as of ${iso(at)}, by the tick of ${moment?.taken}`,
      await imagesAsOf(this.client, tenant.id, iso(at)),
      this.oracle.rows(tenant.id, counts),
    );
    const wanted = this.oracle.outcome(tenant.id, ALL, counts);
    const done = await restoreTo(this.client, tenant, at, ALL);
    const {
      rows: [log],
    } = await this.client.query<{ warnings: string[] }>('select warnings from public.restore_logs where id = $1', [
      done.workId,
    ]);
    const named = /the moment taken is ([^\s,]+)/.exec(String(log?.warnings))?.[1] ?? '';
    const {
      rows: [tick],
    } = await this.client.query<{ position: string }>('select position::text from m23.ticks where at = $1', [named]);
    if (tick?.position !== moment?.position)
      throw new Error(
        `M23_SEED=${this.seed}: ${iso(at)}: the answer names "${named}", and the tick is that of ${moment?.taken}`,
      );
    await assertSame(
      this.place,
      `restored to ${iso(at)}, by the tick of ${named} (${String(log?.warnings)})`,
      await liveImages(this.client, tenant.id),
      wanted,
    );
    await this.client.query(
      `update history.journal set what = what - 'at' || jsonb_build_object('position', $2::text) where n = $1`,
      [done.n, moment?.position],
    );
    await this.oracle.read();
    this.figures.compared += 1;
  }

  /** From here on the log knows nothing that was before. */
  async pruneLog(): Promise<void> {
    await this.client.query(
      `update m23.settings set value = '0' where name in ('log_days', 'log_part_hours'); update public.pitr_snapshots set status = 'expired'`,
    );
    for (let parts = 2; parts > 0; parts -= 1)
      await this.client.query('select m23.prune_logs(); select m23.note_tick()');
    await this.client.query(`select m23.prune_logs(); update m23.settings set value = '30' where name = 'log_days'`);
    const {
      rows: [log],
    } = await this.client.query<{ whole: string }>(
      `select count(*) as whole from m23.protected_tables where pruned_at is null and relid::regclass::text like 'history.%'`,
    );
    assert.equal(log?.whole, '0');
  }
}

export function newTenants(count: number): Owned[] {
  return Array.from({ length: count }, () => ({ id: randomUUID(), owner: randomUUID() }));
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** A TRUNCATE has kept a reader waiting for too long, or a schema change has come between its question and the table. */
function toleratingLocks(error: unknown): undefined {
  if (!['55P03', '55006'].includes((error as { code?: string }).code ?? '')) throw error;
}
