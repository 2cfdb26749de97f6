// Laws of taking changes back, on random histories of few rows, few values and many writers.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { openDatabase, recover, rowTexts } from '../fixtures/database.ts';
import { randomNumbers } from '../fixtures/time.ts';
import { actAsService, lookAtUndo, type OnConflict, transaction, type Undone, undo } from '../fixtures/undo.ts';

const SEED = Number(process.env.M23_SEED ?? Date.now() % 1_000_000);
const BUDGET_MS = Number(process.env.M23_LAWS_MS ?? 6_000);
const KEYS = [1, 2, 3];
const VALUES = ['x', 'y', 'z'];

const { client } = await openDatabase();

before(async () => {
  await actAsService(client);
  await client.query(`
    create table d (id int, tenant_id uuid not null, a text, b text, n int,
                    constraint d_key primary key (tenant_id, id));
    select m23.protect_table('d')`);
});

/** A choice of one of these. */
type Pick = <T>(these: readonly T[]) => T;

/** What a test makes of a random history. */
interface History {
  tenant: string;
  pick: Pick;
  /** The transactions, and the rows before each of them. */
  xids: string[];
  states: string[][];
}

const rows = (tenant: string): Promise<string[]> =>
  rowTexts(client, 'select id, a, b, n from d where tenant_id = $1', [tenant]);

/** A statement of a tenant; with moves, keys are changed and swapped, too. */
function statement(tenant: string, pick: Pick, moves: boolean): string {
  const at = `tenant_id = '${tenant}' and id = ${pick(KEYS)}`;
  const row = (id: number): string =>
    `insert into d values (${id}, '${tenant}', '${pick(VALUES)}', '${pick(VALUES)}', ${pick(KEYS)}) on conflict do nothing`;
  const [one, other] = [pick(KEYS), pick(KEYS)];
  const statements = [
    () => row(one),
    () => row(one),
    () => `update d set a = '${pick(VALUES)}' where ${at}`,
    () => `update d set b = '${pick(VALUES)}' where ${at}`,
    () => `update d set n = ${pick(KEYS)}, b = '${pick(VALUES)}' where tenant_id = '${tenant}'`,
    () => `delete from d where ${at}`,
    () => `delete from d where tenant_id = '${tenant}' and id = ${one}; ${row(one)}`,
  ];
  const moved = [
    () =>
      `update d set id = ${other} where tenant_id = '${tenant}' and id = ${one}
          and not exists (select from d o where o.tenant_id = '${tenant}' and o.id = ${other})`,
    () => `update d set id = 9 where tenant_id = '${tenant}' and id = ${one};
           update d set id = ${one} where tenant_id = '${tenant}' and id = ${other};
           update d set id = ${other} where tenant_id = '${tenant}' and id = 9`,
  ];
  return pick(moves ? [...statements, ...moved] : statements)();
}

/** Writes transactions of a new tenant, and another tenant's between them. */
async function history(seed: number, moves: boolean): Promise<History> {
  const random = randomNumbers(seed);
  const pick: Pick = (these) => these[Math.floor(random() * these.length)] ?? assert.fail();
  const made: History = { tenant: randomUUID(), pick, xids: [], states: [] };
  const length = 10 + Math.floor(random() * 7);
  while (made.xids.length < length) {
    const state = await rows(made.tenant);
    const sql = Array.from({ length: 1 + Math.floor(random() * 3) }, () => statement(made.tenant, pick, moves));
    const xid = await transaction(client, sql.join(';'));
    const { rowCount } = await client.query(
      `select from m23.changed_by_transactions($1, format('l.xid = %L::xid8', $2::text), $2::text::xid8)`,
      [made.tenant, xid],
    );
    if (rowCount === 0) continue; // it has changed nothing
    made.xids.push(xid);
    made.states.push(state);
  }
  return made;
}

/** Some of the transactions, one at least. */
function some({ xids, pick }: History): string[] {
  const chosen = xids.filter(() => pick([true, false, false]));
  return chosen.length > 0 ? chosen : [pick(xids)];
}

/** An undo that is made. */
async function undone(tenant: string, xids: string[], onConflict: OnConflict = 'skip'): Promise<Undone> {
  const done = await undo(client, tenant, xids, onConflict);
  assert.equal(done.error, undefined, JSON.stringify(done.error));
  return done;
}

/** What comes of work that is taken back again. */
async function tried<T>(work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    return await work();
  } finally {
    await client.query('rollback');
  }
}

/** Looks at a law on history after history, as long as the time for it lasts. */
function law(what: string, moves: boolean, holds: (history: History) => Promise<void>): void {
  test(what, async (t) => {
    const deadline = Date.now() + BUDGET_MS;
    for (let seed = SEED; seed === SEED || Date.now() < deadline; seed += 1) {
      const made = await history(seed, moves);
      try {
        await holds(made);
      } catch (error) {
        t.diagnostic(`M23_SEED=${seed}`);
        throw error;
      }
    }
  });
}

describe(`on histories from seed ${SEED}`, () => {
  for (const onConflict of ['skip', 'overwrite'] as const)
    law(`all changes since a moment taken back (${onConflict}) are the rows of that moment`, true, async (made) => {
      const from = Math.floor(made.xids.length / 2);
      await undone(made.tenant, made.xids.slice(from), onConflict);
      assert.deepEqual(await rows(made.tenant), made.states[from]);
    });

  law('the undo of an undo leaves what was there', true, async (made) => {
    const now = await rows(made.tenant);
    const done = await undone(made.tenant, some(made), made.pick(['skip', 'overwrite']));
    await undone(made.tenant, [done.transaction_id]);
    assert.deepEqual(await rows(made.tenant), now);
  });

  law('the same undo twice changes nothing more', false, async (made) => {
    const chosen = some(made);
    await undone(made.tenant, chosen);
    const then = await rows(made.tenant);
    await undone(made.tenant, chosen);
    assert.deepEqual(await rows(made.tenant), then);
  });

  for (const back of ['rolled back', 'undone'] as const)
    law(`an undo that was ${back} can be made again`, false, async (made) => {
      const [chosen, onConflict] = [some(made), made.pick(['skip', 'overwrite'] as const)];
      const first = await undone(made.tenant, chosen, onConflict);
      const then = await rows(made.tenant);
      if (back === 'undone') await undone(made.tenant, [first.transaction_id]);
      else assert.equal((await recover(client, made.tenant, null, { snapshotId: first.snapshot_id })).error, undefined);
      const second = await undone(made.tenant, chosen, onConflict);
      assert.deepEqual(await rows(made.tenant), then);
      assert.equal(second.conflict_count, first.conflict_count);
    });

  law('one undo after the other is one of both, where nothing is in conflict', false, async (made) => {
    const [these, those] = [some(made), some(made)];
    const both = await tried(async () => ({
      done: await undone(made.tenant, [...new Set([...these, ...those])]),
      rows: await rows(made.tenant),
    }));
    const first = await undone(made.tenant, these);
    const second = await undone(made.tenant, those);
    if (both.done.conflict_count + first.conflict_count + second.conflict_count === 0)
      assert.deepEqual(await rows(made.tenant), both.rows);
  });

  law('what is refused is what the dry run lists, and the dry run equals the run', true, async (made) => {
    const chosen = some(made);
    const now = await rows(made.tenant);
    const others = await rowTexts(client, 'select ctid, xmin, d.* from d where tenant_id <> $1', [made.tenant]);
    const seen = await lookAtUndo(client, made.tenant, chosen, 'refuse');
    assert.equal(seen.wouldFail?.code, seen.conflictCount > 0 ? 'CONFLICT' : undefined);
    const refused = await tried(async () => await undo(client, made.tenant, chosen, 'refuse'));
    assert.equal(refused.error?.code, seen.wouldFail?.code);
    if (refused.error !== undefined) assert.deepEqual(await rows(made.tenant), now);
    const plan = await lookAtUndo(client, made.tenant, chosen);
    const done = await undo(client, made.tenant, chosen, 'skip', { planHash: plan.planHash });
    assert.equal(done.error, undefined, JSON.stringify(done.error));
    assert.equal(done.rows_restored, plan.stats.totalOperations);
    assert.deepEqual(done.conflicts, plan.conflicts);
    assert.deepEqual(
      await rowTexts(client, 'select ctid, xmin, d.* from d where tenant_id <> $1', [made.tenant]),
      others,
    );
  });
});
