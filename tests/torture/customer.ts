// One tenant under load: it writes, backs up, restores and reads, one thing after the other, and keeps a record of its
// own of what its rows must be.
import assert from 'node:assert/strict';

import type { Tenant } from '../fixtures/tenants.ts';
import { eventually, pause } from '../fixtures/time.ts';
import type { Calls, Said } from './calls.ts';
import { oneOf } from './report.ts';
import { WITHIN_MS } from './world.ts';

/** The rows of public.customers: e-mail by name. */
export type Rows = ReadonlyMap<string, string>;

interface Kept {
  /** A time, a backup or a snapshot. */
  key: string;
  rows: Rows;
}

/** How many of each kind are remembered. */
const KEPT = 5;

export class Customer {
  readonly tenant: Tenant;
  readonly #calls: Calls;
  readonly #random: () => number;
  readonly #token: string;
  #rows: Rows = new Map();
  #moments: Kept[] = [];
  #backups: Kept[] = [];
  #snapshots: Kept[] = [];
  #named = 0;

  private constructor(tenant: Tenant, calls: Calls, random: () => number, token: string) {
    this.tenant = tenant;
    this.#calls = calls;
    this.#random = random;
    this.#token = token;
  }

  static async open(tenant: Tenant, calls: Calls, random: () => number): Promise<Customer> {
    return new Customer(tenant, calls, random, await tenant.token('owner'));
  }

  #newName(): string {
    this.#named += 1;
    return `n${this.#named}`;
  }

  get rows(): Rows {
    return this.#rows;
  }

  /** The next thing, by chance. */
  async act(): Promise<void> {
    const chance = this.#random();
    if (chance < 0.35 || this.#moments.length === 0) await this.#write();
    else if (chance < 0.7) await this.#read();
    else if (chance < 0.8) await this.#look();
    else if (chance < 0.86) await this.#backUp();
    else if (chance < 0.92)
      await this.#restore('pitr-restore', this.#moments, ({ key }) => ({
        targetTimestamp: key,
        tables: ['customers'],
        confirmRestore: true,
      }));
    else if (chance < 0.96)
      await this.#restore('backup-restore', this.#backups, ({ key }) => ({ backupJobId: key, confirmRestore: true }));
    else
      await this.#restore('pitr-rollback', this.#snapshots, ({ key }) => ({ snapshotId: key, confirmRollback: true }));
  }

  async #write(): Promise<void> {
    const names = [...this.#rows.keys()];
    const chance = names.length === 0 ? 0 : this.#random();
    const next = new Map(this.#rows);
    const email = `${Math.floor(this.#random() * 1e9)}@example.org`;
    let said: Said;
    if (chance < 0.5) {
      const fresh = Array.from({ length: 1 + Math.floor(this.#random() * 10) }, () => ({
        tenant_id: this.tenant.id,
        name: this.#newName(),
        email,
      }));
      for (const { name } of fresh) next.set(name, email);
      said = await this.#calls.rest('insert', 'customers', this.#token, 'POST', fresh);
    } else {
      const name = oneOf(names, this.#random);
      if (chance < 0.8) next.set(name, email);
      else next.delete(name);
      said = await this.#calls.rest(
        chance < 0.8 ? 'update' : 'delete',
        `customers?name=eq.${name}`,
        this.#token,
        chance < 0.8 ? 'PATCH' : 'DELETE',
        chance < 0.8 ? { email } : undefined,
      );
    }
    await this.#became(said, next);
    this.#remember(this.#moments, { key: await moment(), rows: this.#rows });
  }

  async #read(): Promise<void> {
    const rows = await this.#live();
    if (rows !== undefined) assert.deepEqual(sorted(rows), sorted(this.#rows), 'the rows that were read');
    const rpc = oneOf(
      ['get_backup_statistics', 'get_active_pitr_snapshots', 'get_pitr_rollback_history', 'get_recovery_window'],
      this.#random,
    );
    await this.#calls.rest('read', `rpc/${rpc}`, this.#token, 'POST', { p_tenant_id: this.tenant.id });
  }

  /** A dry run says how many rows are not what they were. */
  async #look(): Promise<void> {
    const { key, rows } = oneOf(this.#moments, this.#random);
    const { status, body } = await this.#calls.invoke('pitr-restore', this.#token, {
      targetTimestamp: key,
      tables: ['customers'],
      dryRun: true,
      confirmRestore: true,
    });
    if (status === 200)
      assert.equal(
        (body as { stats: { totalOperations: number } }).stats.totalOperations,
        distance(rows, this.#rows),
        'the rows that a dry run counts',
      );
  }

  async #backUp(): Promise<void> {
    const { status, body } = await this.#calls.invoke('backup-create', this.#token, {
      jobType: 'full',
      tables: ['customers'],
    });
    if (status !== 200) return;
    const id = (body as { jobId: string }).jobId;
    await this.#ended('backup_jobs', id, 'completed');
    this.#remember(this.#backups, { key: id, rows: this.#rows });
  }

  async #restore(name: string, from: Kept[], bodyOf: (kept: Kept) => unknown): Promise<void> {
    if (from.length === 0) return await this.#read();
    const kept = oneOf(from, this.#random);
    const before = this.#rows;
    const said = await this.#calls.invoke(name, this.#token, bodyOf(kept));
    if (name === 'pitr-rollback') this.#snapshots = this.#snapshots.filter((one) => one !== kept);
    const { restoreLogId, rollbackId, snapshotId } = (said.body ?? {}) as Partial<
      Record<'restoreLogId' | 'rollbackId' | 'snapshotId', string>
    >;
    if (said.status === 202)
      await this.#ended(
        name === 'pitr-rollback' ? 'pitr_rollbacks' : 'restore_logs',
        rollbackId ?? restoreLogId ?? '',
        'completed',
      );
    await this.#became(said, kept.rows);
    if (said.code === undefined && snapshotId !== undefined)
      this.#remember(this.#snapshots, { key: snapshotId, rows: before });
    this.#remember(this.#moments, { key: await moment(), rows: this.#rows });
  }

  /** What was asked for is there; where the stack was too busy to say so, that or what was. */
  async #became({ code }: Said, next: Rows): Promise<void> {
    if (code === undefined) {
      this.#rows = next;
      return;
    }
    for (const table of ['restore_logs', 'pitr_rollbacks']) await this.#idle(table);
    const live =
      (await eventually(
        () => this.#live(),
        (rows) => rows !== undefined,
        WITHIN_MS,
      )) ?? new Map();
    const known = [this.#rows, next].find((rows) => JSON.stringify(sorted(rows)) === JSON.stringify(sorted(live)));
    assert.ok(known, `after ${code} the rows are neither those of before nor those that were asked for`);
    this.#rows = known;
  }

  async #live(): Promise<Rows | undefined> {
    const { status, body } = await this.#calls.rest('read rows', 'customers?select=name,email', this.#token);
    return status === 200
      ? new Map((body as { name: string; email: string }[]).map(({ name, email }) => [name, email]))
      : undefined;
  }

  async #ended(table: string, id: string, wanted: string): Promise<void> {
    const [row] = await this.#rowsOf(table, `id=eq.${id}`, (rows) =>
      ['completed', 'failed', 'cancelled'].includes(rows[0]?.status ?? ''),
    );
    assert.equal(row?.status, wanted, `${table}: ${row?.error_message}`);
  }

  async #idle(table: string): Promise<void> {
    await this.#rowsOf(table, 'status=in.(pending,in_progress)', (rows) => rows.length === 0);
  }

  async #rowsOf(table: string, filter: string, wanted: (rows: Work[]) => boolean): Promise<Work[]> {
    return await eventually(
      async () => {
        await pause(250);
        const { status, body } = await this.#calls.rest(
          'read',
          `${table}?select=status,error_message&${filter}`,
          this.#token,
        );
        return status === 200 ? (body as Work[]) : [{ status: 'unknown', error_message: null }];
      },
      wanted,
      WITHIN_MS,
    );
  }

  #remember(list: Kept[], one: Kept): void {
    list.push(one);
    if (list.length > KEPT) list.shift();
  }
}

interface Work {
  status: string;
  error_message: string | null;
}

/** A time that lies after what has been done, and before what comes. */
async function moment(): Promise<string> {
  await pause(3);
  const now = new Date().toISOString();
  await pause(3);
  return now;
}

function sorted(rows: Rows): [string, string][] {
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** How many rows one has to write to come from one state to the other. */
function distance(to: Rows, from: Rows): number {
  return [...new Set([...to.keys(), ...from.keys()])].filter((name) => to.get(name) !== from.get(name)).length;
}
