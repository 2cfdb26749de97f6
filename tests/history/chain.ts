// The third way: a chain of backups of the first tenant, taken while others write, against the record.
import assert from 'node:assert/strict';

import type { Stack } from '../../stack/stack.ts';
import type { History } from './history.ts';
import { askForRestore, copyOverHttp, restoreOverHttp, takeBackup } from './http.ts';
import { iso, type Owned } from './recovery.ts';
import { TABLES } from './tables.ts';

interface Member {
  id: string;
  /** Microseconds. */
  at: bigint;
  position: string;
  /** Tables that it has whole: between its parent and itself there is no moment of them. */
  whole: string[];
}

export class Chain {
  readonly #stack: Stack;
  readonly #history: History;
  #members: Member[] = [];

  constructor(stack: Stack, history: History) {
    this.#stack = stack;
    this.#history = history;
  }

  get #tenant(): Owned {
    return this.#history.tenants[0] as Owned;
  }

  /** Any of its members, by id: they all name the chain. */
  get #anyMember(): string {
    return this.#history.draw.one(this.#members).id;
  }

  /** Takes its full backup, if there is none yet, and so many incrementals. */
  async grow(incrementals: number, pause: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    if (this.#members.length === 0) await this.#take();
    for (let left = incrementals; left > 0; left -= 1) {
      await pause();
      await this.#take(this.#members.at(-1)?.id);
    }
  }

  async #take(base?: string): Promise<void> {
    const id = await takeBackup(this.#stack, this.#history, base);
    const {
      rows: [taken],
    } = await this.#history.client.query<{ at: string; position: string; whole: string[] | null }>(
      `
      select (extract(epoch from position_at) * 1000000)::bigint::text as at, position::text,
             (select array_agg(table_name) from m23.backup_tables where job_id = $1 and whole) as whole
        from m23.backup_work where job_id = $1`,
      [id],
    );
    assert.ok(taken);
    this.#members.push({ id, at: BigInt(taken.at), position: taken.position, whole: taken.whole ?? [] });
  }

  /** A random time between the full backup and the last incremental, often at an end of one of these stretches. */
  #randomTime(): bigint {
    const { draw } = this.#history;
    const n = 1 + draw.below(this.#members.length - 1);
    const [from, to] = [this.#members[n - 1], this.#members[n]] as [Member, Member];
    return draw.one([
      from.at + BigInt(draw.below(Number(to.at - from.at))),
      from.at + BigInt(draw.below(2)),
      to.at - BigInt(draw.below(2)),
    ]);
  }

  /** Restores the tenant to a time, from the chain where it lies inside it, and compares everything. Gives the snapshot. */
  async checkRestore(at = this.#randomTime()): Promise<string> {
    const next = this.#members.findIndex((member) => member.at >= at);
    const missing = next < 1 || at === this.#members[next]?.at ? [] : (this.#members[next]?.whole ?? []);
    if (missing.length > 0) {
      const { status, body } = await askForRestore(this.#stack, this.#tenant, at, this.#anyMember);
      assert.deepEqual(
        [status, body.details?.length],
        [400, missing.length],
        `M23_SEED=${this.#history.seed}: ${iso(at)}: ${JSON.stringify(body)}`,
      );
    }
    const tables = TABLES.map(({ name }) => name).filter((name) => !missing.includes(name));
    return await this.#history.checkRestore(
      at,
      this.#tenant,
      () => restoreOverHttp(this.#stack, this.#history, this.#tenant, at, this.#anyMember, tables),
      tables,
    );
  }

  /** A member beside the live data is the record at its position. */
  async checkCopy(member = this.#history.draw.one(this.#members)): Promise<void> {
    const schema = await copyOverHttp(this.#stack, this.#tenant, member.id);
    await this.#history.checkCopy(schema, this.#tenant, member.position);
    await this.#history.client.query(`drop schema ${schema} cascade`);
  }

  async checkCopies(): Promise<void> {
    for (const member of this.#members) await this.checkCopy(member);
  }
}
