// Point-in-time restores and rollbacks that are disturbed: all is done or nothing, and the log row says which.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { createClient } from '@supabase/supabase-js';
import type pg from 'pg';

import { backUp, call, type Reply, refusal, restore as restoreBackup } from '../fixtures/functions.ts';
import { atFence, atGate, buildGate, closeGate, openGate } from '../fixtures/gate.ts';
import { everyApiSessionAnswers, reconnected } from '../fixtures/sessions.ts';
import { damage, placesOf, type Rows, rowsOf, stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { databaseTime, eventually, pause } from '../fixtures/time.ts';

const { stack, client: first } = await openShopStack();
/** The present connection: the server's end is a connection's, too. */
let client = first;
after(() => client.end());

before(async () => {
  await buildGate(client);
  // As in production: what is committed survives a crash. Many small steps, and a lease that soon lapses.
  await client.query(`alter database postgres set synchronous_commit = on;
    update m23.settings set value = '8' where name = 'chunk_rows'; update m23.settings set value = '1' where name = 'lease_seconds'`);
  await stack.restartPostgrest();
});

/** A connection does not outlive its server, neither the test's nor PostgREST's. */
beforeEach(async () => {
  await reconnect();
  await everyApiSessionAnswers(stack);
});

async function reconnect(): Promise<void> {
  client = await reconnected(stack.postgres, client);
}

/** A tenant whose rows were as wanted at a time, and are damaged now. */
interface Scene {
  tenant: Tenant;
  token: string;
  at: string;
  wanted: Rows;
  damaged: Rows;
}

async function scene(accounts = 6): Promise<Scene> {
  const tenant = await newTenant(stack, client);
  await stock(client, tenant, accounts);
  const wanted = await rowsOf(client, tenant);
  const at = await databaseTime(client);
  await damage(client, tenant);
  return {
    tenant,
    wanted,
    at,
    token: await tenant.token('owner'),
    damaged: await placesOf(client, tenant),
  };
}

const restore = ({ token, at }: Scene, more = {}): Promise<Reply> =>
  call(stack, 'pitr-restore', token, { targetTimestamp: at, confirmRestore: true, ...more });
const rollback = ({ token }: Scene, snapshotId: unknown): Promise<Reply> =>
  call(stack, 'pitr-rollback', token, { snapshotId, confirmRollback: true });

/** The code or status of an answer that may never come. */
function outcome(reply: Promise<Reply>): Promise<string | number> {
  return reply.then(
    ({ status, body }) => body.code ?? status,
    (error: unknown) => `no answer: ${String(error)}`,
  );
}

/** An open transaction of the tenant's, which keeps the fence. */
async function writer(tenant: Tenant): Promise<pg.Client> {
  const app = await stack.postgres.connect();
  await app.query('begin');
  await app.query(
    `update shop.orders set note = note where id = (select min(id) from shop.orders where tenant_id = $1)`,
    [tenant.id],
  );
  return app;
}

async function newest(
  table: 'restore_logs' | 'pitr_rollbacks',
  tenant: Tenant,
): Promise<{ status: string; error_message: string | null } | undefined> {
  const { rows } = await client.query<{ status: string; error_message: string | null }>(
    `select status, error_message from public.${table} where tenant_id = $1 order by created_at desc limit 1`,
    [tenant.id],
  );
  return rows[0];
}

/** After the upkeep, all is done or nothing, the log row says which, and nothing is left over. */
async function settled(
  { tenant, wanted, damaged }: Scene,
  table: 'restore_logs' | 'pitr_rollbacks' = 'restore_logs',
): Promise<string> {
  const log = await eventually(
    async () => {
      await stack.runCron('backup-restore').catch(() => undefined);
      return await newest(table, tenant);
    },
    (seen) => seen?.status !== 'in_progress',
  );
  if (log?.status === 'completed') {
    assert.deepEqual(await rowsOf(client, tenant), wanted);
  } else {
    assert.equal(log?.status, 'failed');
    assert.ok(log.error_message);
    assert.deepEqual(await placesOf(client, tenant), damaged, 'not one row was written');
  }
  for (const left of [
    'm23.restore_work',
    'm23.staged_tables',
    'm23.leases',
    `pg_class where relnamespace = 'm23_staging'::regnamespace`,
  ]) {
    assert.equal((await client.query(`select from ${left}`)).rowCount, 0, left);
  }
  return log.status;
}

async function assertWorksNow(shop: Scene): Promise<void> {
  await eventually(
    () => outcome(restore(shop)),
    (code) => code === 200,
  );
  assert.deepEqual(await rowsOf(client, shop.tenant), shop.wanted);
}

/** The ways to disturb: each gives when the part is back. */
const DISTURBANCES: Record<string, (pid: number) => Promise<void>> = {
  'its backend is terminated': async (pid) => {
    await client.query('select pg_terminate_backend($1)', [pid]);
  },
  'Postgres is restarted': async () => {
    await stack.restartPostgres();
    await reconnect();
  },
  'PostgREST is killed': async () => {
    await stack.killPostgrest();
    await stack.restartPostgrest();
  },
  'its Worker is killed': () => stack.restartWorkers(),
};

describe('a restore to a moment', () => {
  for (const [what, disturb] of Object.entries(DISTURBANCES)) {
    test(`that waits for the fence when ${what} has done all or nothing`, async () => {
      const shop = await scene();
      const app = await writer(shop.tenant);
      const answer = outcome(restore(shop));
      await disturb(await atFence(client, shop.tenant));
      await app.query('rollback').catch(() => undefined);
      await app.end().catch(() => undefined);
      await answer;
      await settled(shop);
      await assertWorksNow(shop);
    });

    test(`that is writing when ${what} has done all or nothing`, async () => {
      const shop = await scene();
      await closeGate(client, shop.tenant);
      const answer = outcome(restore(shop));
      await disturb(await atGate(client, shop.tenant));
      await pause(1100);
      await stack.runCron('backup-restore');
      await openGate(client, shop.tenant);
      const said = await answer;
      const status = await settled(shop);
      assert.ok(typeof said !== 'number' || status === 'completed', `${said}: ${status}`);
      if (!what.includes('Worker')) assert.equal(status, 'failed');
      await assertWorksNow(shop);
    });

    test(`that reads an archive when ${what} has done all or nothing`, async () => {
      const shop = await scene(20);
      const backup = await backUp(stack, client, shop.tenant, {
        jobType: 'full',
        tables: Object.keys(shop.wanted).map((name) => name.replaceAll('"', '')),
      });
      const answer = outcome(
        restore(shop, {
          baseBackupId: backup,
          tables: Object.keys(shop.wanted).map((name) => name.replaceAll('"', '')),
        }),
      );
      await eventually(
        async () => (await client.query('select from m23.staged_chunks')).rowCount ?? 0,
        (staged) => staged > 1,
      );
      const {
        rows: [busy],
      } = await client.query<{ pid: number }>(
        `select pid from pg_stat_activity where query ~ 'm23_stage' and pid <> pg_backend_pid() limit 1`,
      );
      await disturb(busy?.pid ?? 0);
      await answer;
      await settled(shop);
      await assertWorksNow(shop);
    });
  }
});

test('a rollback whose backend is terminated while it writes has done nothing, and its snapshot can still be used', async () => {
  const shop = await scene();
  const done = await restore(shop);
  // Undoing it writes an account that ends in /1: the gate has to see it.
  await client.query(`update shop.accounts set balance = 5 where tenant_id = $1 and code like '%/1'`, [shop.tenant.id]);
  const other = { ...shop, damaged: await placesOf(client, shop.tenant) };
  const {
    rows: [made],
  } = await client.query<{ id: string }>(`select id from public.pitr_snapshots where id = $1`, [
    done.body['snapshotId'],
  ]);
  assert.ok(made);
  await client.query(`create function shop.hold() returns trigger language plpgsql as $$ begin
      while exists (select from shop.gate g where g.tenant_id = old.tenant_id) loop perform pg_sleep(0.01); end loop; return null; end $$;
    create trigger hold after delete on shop.accounts for each row execute function shop.hold(); alter table shop.accounts enable always trigger hold`);
  await closeGate(client, shop.tenant);
  const answer = outcome(rollback(shop, made.id));
  await client.query('select pg_terminate_backend($1)', [await atGate(client, shop.tenant)]);
  assert.equal(await answer, 'UNAVAILABLE');
  await openGate(client, shop.tenant);
  assert.equal(await settled(other, 'pitr_rollbacks'), 'failed');
  assert.equal((await rollback(shop, made.id)).status, 200);
  await client.query('drop trigger hold on shop.accounts');
});

describe('two at once', () => {
  test('one runs, and each other kind is told RESTORE_IN_PROGRESS within a second', async () => {
    const shop = await scene();
    const tables = Object.keys(shop.wanted).map((name) => name.replaceAll('"', ''));
    const backup = await backUp(stack, client, shop.tenant, { jobType: 'full', tables });
    const {
      rows: [snapshot],
    } = await client.query<{ id: string }>(
      `insert into public.pitr_snapshots (tenant_id, snapshot_name, snapshot_type, snapshot_data, affected_tables)
         values ($1, 'by hand', 'manual', m23.snapshot_here(), $2) returning id`,
      [shop.tenant.id, tables],
    );
    await closeGate(client, shop.tenant);
    const running = restore(shop);
    await atGate(client, shop.tenant);
    const owner = createClient(stack.url, stack.anonKey, { accessToken: () => Promise.resolve(shop.token) });
    const others: Record<string, () => Promise<unknown>> = {
      'pitr-restore': async () => refusal(await restore(shop)),
      'pitr-rollback': async () => refusal(await rollback(shop, snapshot?.id)),
      'backup-restore': async () => refusal(await restoreBackup(stack, shop.tenant, backup)),
      execute_pitr_rollback: async () => {
        const { error, status } = await owner.rpc('execute_pitr_rollback', {
          p_snapshot_id: snapshot?.id,
          p_initiated_by: shop.tenant.userId('owner'),
        });
        return [status, error?.code];
      },
    };
    for (const [name, ask] of Object.entries(others)) {
      const began = performance.now();
      assert.deepEqual(await ask(), [409, 'RESTORE_IN_PROGRESS'], name);
      assert.ok(performance.now() - began < 1000, `${name} within a second`);
    }
    await openGate(client, shop.tenant);
    assert.equal((await running).status, 200);
    assert.deepEqual(await rowsOf(client, shop.tenant), shop.wanted);
  });

  test('that start together: exactly one runs', async () => {
    const shop = await scene();
    await closeGate(client, shop.tenant);
    const both = Promise.all([outcome(restore(shop)), outcome(restore(shop)), outcome(restore(shop))]);
    await atGate(client, shop.tenant);
    await pause(500);
    await openGate(client, shop.tenant);
    assert.deepEqual((await both).map(String).sort(), ['200', 'RESTORE_IN_PROGRESS', 'RESTORE_IN_PROGRESS']);
    assert.equal(await settled(shop), 'completed');
  });

  test('of two tenants run side by side', async () => {
    const [one, other] = [await scene(), await scene()];
    await closeGate(client, one.tenant);
    const running = outcome(restore(one));
    await atGate(client, one.tenant);
    assert.equal(await outcome(restore(other)), 200);
    await openGate(client, one.tenant);
    assert.equal(await running, 200);
    assert.deepEqual(
      [await rowsOf(client, one.tenant), await rowsOf(client, other.tenant)],
      [one.wanted, other.wanted],
    );
  });
});

test('writers of the tenant wait for a restore and then go on; those of another do not wait', async (t) => {
  const [shop, other] = [await scene(), await scene()];
  await closeGate(client, shop.tenant);
  const running = outcome(restore(shop));
  await atGate(client, shop.tenant);
  const mine = await stack.postgres.connect();
  t.after(() => mine.end());
  const waiting = mine.query(`insert into shop.accounts (tenant_id, code) values ($1::uuid, $1::text || '/late')`, [
    shop.tenant.id,
  ]);
  await client.query(`set statement_timeout = '500ms'`);
  await client.query('update shop.accounts set balance = balance + 1 where tenant_id = $1', [other.tenant.id]);
  assert.equal(await Promise.race([waiting.then(() => 'went on'), pause(200).then(() => 'waits')]), 'waits');
  await openGate(client, shop.tenant);
  assert.equal(await running, 200);
  await waiting;
  const late = (await rowsOf(client, shop.tenant))['shop.accounts']?.filter(
    (row) => !shop.wanted['shop.accounts']?.includes(row),
  );
  assert.equal(late?.length, 1);
  assert.match(String(late), /\/late/);
});

test('a deferrable key that a writer has taken, and is about to commit, is not given to a second row', async (t) => {
  await client.query(
    `create table shop.spots (id int primary key deferrable initially deferred, tenant_id uuid not null, v text); select m23.protect_table('shop.spots')`,
  );
  const tenant = await newTenant(stack, client);
  await stock(client, tenant, 2);
  await client.query(`insert into shop.spots values (1, $1, 'then')`, [tenant.id]);
  const at = await databaseTime(client);
  await client.query('delete from shop.spots where tenant_id = $1', [tenant.id]);
  await damage(client, tenant);
  await closeGate(client, tenant);
  const running = call(stack, 'pitr-restore', await tenant.token('owner'), {
    targetTimestamp: at,
    confirmRestore: true,
  });
  await atGate(client, tenant);
  const app = await stack.postgres.connect();
  t.after(() => app.end());
  // It has its row by now, and waits for the fence; the restore does not see it.
  const waiting = app.query(`insert into shop.spots values (1, $1, 'now')`, [tenant.id]);
  await pause(100);
  await openGate(client, tenant);
  assert.equal((await running).status, 200);
  await waiting;
  assert.deepEqual(
    (await client.query('select v from shop.spots')).rows,
    [{ v: 'then' }],
    'the writer first, and then the restore',
  );
});
