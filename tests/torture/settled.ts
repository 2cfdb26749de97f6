// What must hold when a piece of work has ended, however it was cut.
import assert from 'node:assert/strict';

import { leftovers } from '../fixtures/recovery.ts';
import { rowsOf, SHOP } from '../fixtures/shop.ts';
import { eventually } from '../fixtures/time.ts';
import { type Ended, livePlaces, type Operation, type Scene, type Situation } from './operations.ts';
import { WITHIN_MS, type World } from './world.ts';

/** A situation, and what everything looked like in it. */
export interface Prepared extends Situation {
  live: Awaited<ReturnType<typeof livePlaces>>;
  others: string;
  before: Ended | undefined;
}

export async function prepared(world: World, operation: Operation, scene: Scene): Promise<Prepared> {
  const situation: Situation = { ...scene, ...(await operation.prepare(world, scene)) };
  return {
    ...situation,
    live: await livePlaces(world, scene),
    others: await placesOfOthers(world, scene),
    before: await operation.record(world, situation),
  };
}

/** Waits until no work of the tenant is under way; undefined where the database does not answer. */
export async function idle(world: World, scene: Scene): Promise<void> {
  await eventually(
    () => unfinished(world, scene).catch(() => undefined),
    (count) => count === 0,
    WITHIN_MS,
  );
}

/** With the clock's help everything ends: done, or not. Nothing is left over, and nobody else was touched. */
export async function assertSettled(
  world: World,
  operation: Operation,
  situation: Prepared,
  said: string | number,
): Promise<boolean> {
  await eventually(
    async () => {
      const left = await leftOver(world, situation);
      if (left.length > 0) await wakeUpkeep(world);
      return left;
    },
    (left) => left.length === 0,
    WITHIN_MS,
  );
  const ended = await operation.record(world, situation);
  const done = ended !== undefined && ended.id !== situation.before?.id && ended.status === 'completed';
  if (done) await assertDone(world, operation, situation, ended);
  else await assertUndone(world, operation, situation, ended);
  assert.equal(await placesOfOthers(world, situation), situation.others, 'rows of others were written');
  assert.notEqual(said, 'INTERNAL', 'the answer speaks of an internal fault');
  if (operation.tellsTheEnd === true && said === 200) assert.ok(done, 'the caller was told that it is done');
  return done;
}

async function assertDone(world: World, operation: Operation, situation: Prepared, ended: Ended): Promise<void> {
  if (situation.outcome === undefined)
    assert.deepEqual(await livePlaces(world, situation), situation.live, 'live rows were written');
  else
    assert.deepEqual(
      await rowsOf(world.client, situation.tenant),
      situation.outcome,
      'it is done, and the rows are others',
    );
  await operation.assertDone?.(world, situation, ended);
}

async function assertUndone(
  world: World,
  operation: Operation,
  situation: Prepared,
  ended: Ended | undefined,
): Promise<void> {
  assert.deepEqual(await livePlaces(world, situation), situation.live, 'it is not done, and rows were written');
  if (ended !== undefined && ended.id !== situation.before?.id) {
    assert.ok(ended.status === 'failed' || ended.status === 'cancelled', `its row says ${ended.status}`);
    assert.ok(ended.error_message, 'its row tells why');
  }
  await operation.assertUndone?.(world, situation);
}

async function unfinished({ client }: World, { tenant }: Scene): Promise<number> {
  const tables = ['backup_jobs', 'restore_logs', 'pitr_rollbacks', 'recovery_tests'];
  const {
    rows: [row],
  } = await client.query<{ n: number }>(
    `select count(*)::int as n
       from (${tables.map((table) => `select tenant_id, status from public.${table}`).join(' union all ')}) work
      where tenant_id = $1 and status in ('pending', 'in_progress')`,
    [tenant.id],
  );
  return row?.n ?? 0;
}

/** Work that goes on, and what it leaves while it does: leases, locks, staged rows, open transactions. */
async function leftOver(world: World, scene: Scene): Promise<unknown[]> {
  const { rows } = await world.client.query(`
    select 'staged table' as what from m23.staged_tables union all select 'staged chunk' from m23.staged_chunks
    union all select 'lock' from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()
    union all select 'open transaction' from pg_stat_activity
     where state ~ '^idle in transaction' or usename = 'authenticator' and state = 'active'`);
  const work = await unfinished(world, scene);
  return [...rows, ...(await leftovers(world.client)), ...(work === 0 ? [] : [`${work} unfinished`])];
}

async function wakeUpkeep({ stack }: World): Promise<void> {
  for (const name of ['backup-create', 'backup-restore', 'recovery-test'] as const)
    await stack.runCron(name).catch(() => undefined);
}

/** Everybody else's rows, each with its place: equal answers mean that nobody has written. */
async function placesOfOthers({ client }: World, { tenant }: Scene): Promise<string> {
  const sums = SHOP.map(
    (table) =>
      `(select concat_ws(' ', count(*), sum(hashtextextended(concat_ws(' ', t.ctid, t.xmin, t), 0)::numeric))
          from ${table} t where tenant_id is distinct from $1)`,
  );
  const {
    rows: [row],
  } = await client.query<{ sums: string }>(`select concat_ws(', ', ${sums.join(', ')}) as sums`, [tenant.id]);
  return row?.sums ?? '';
}
