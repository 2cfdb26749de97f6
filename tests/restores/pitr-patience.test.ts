// Restores that take long: answered in time, not cut off by the API roles' limits, and cancelled when asked.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import type pg from 'pg';

import { createM23 } from '../../client/src/index.ts';
import { backUp, call, type Reply } from '../fixtures/functions.ts';
import { atFence, atGate, buildGate, closeGate, openGate } from '../fixtures/gate.ts';
import { damage, placesOf, type Rows, rowsOf, stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { databaseTime, eventually, pause } from '../fixtures/time.ts';

/** The API roles' time limit: what outlasts it goes on all the same. */
const LIMIT_MS = 1500;

const { stack, client: superuser, api } = await openShopStack();

before(async () => {
  await buildGate(superuser);
  await superuser.query(
    'create trigger gate after insert on m23.previews for each row execute function shop.pass_gate()',
  );
  await superuser.query(`update m23.settings set value = '60' where name = 'restore_wait_seconds'`);
  for (const role of ['authenticator', 'authenticated', 'service_role'])
    await superuser.query(`alter role ${role} set statement_timeout = '${LIMIT_MS}ms'`);
  await stack.restartPostgrest();
});

/** Tests run side by side, each on a connection of its own. */
type Context = { after(end: () => Promise<void>): void };

async function connection(t: Context): Promise<pg.Client> {
  const own = await stack.postgres.connect();
  t.after(() => own.end());
  return own;
}

interface Scene {
  client: pg.Client;
  tenant: Tenant;
  token: string;
  at: string;
  wanted: Rows;
  damaged: Rows;
}

async function scene(t: Context): Promise<Scene> {
  const client = await connection(t);
  const tenant = await newTenant(stack, client);
  await stock(client, tenant);
  const wanted = await rowsOf(client, tenant);
  const at = await databaseTime(client);
  await damage(client, tenant);
  return {
    client,
    tenant,
    wanted,
    at,
    token: await tenant.token('owner'),
    damaged: await placesOf(client, tenant),
  };
}

const restore = ({ token, at }: Scene): Promise<Reply> =>
  call(stack, 'pitr-restore', token, { targetTimestamp: at, confirmRestore: true });
const rollback = ({ token }: Scene, snapshotId: unknown): Promise<Reply> =>
  call(stack, 'pitr-rollback', token, { snapshotId, confirmRollback: true });

/** A manual snapshot of the wanted rows, before they were damaged. */
async function snapshotted(t: Context): Promise<Scene & { snapshotId: string }> {
  const client = await connection(t);
  const tenant = await newTenant(stack, client);
  await stock(client, tenant);
  const wanted = await rowsOf(client, tenant);
  const { data, error } = await api(tenant, 'owner').rpc('create_pitr_snapshot', {
    p_tenant_id: tenant.id,
    p_snapshot_name: 'before',
    p_affected_tables: null,
    p_created_by: tenant.userId('owner'),
  });
  assert.equal(error, null);
  await damage(client, tenant);
  return {
    client,
    tenant,
    wanted,
    at: '',
    token: await tenant.token('owner'),
    damaged: await placesOf(client, tenant),
    snapshotId: String(data),
  };
}

interface Log {
  status: string;
  stats: { totalOperations: number };
  metadata: { dry_run: boolean; preview: { previewId: string; changeCounts: Record<string, number> } };
}

/** A tenant whose rows are in a backup, and damaged. */
async function backedUp(t: Context): Promise<Omit<Scene, 'at'> & { backup: string }> {
  const client = await connection(t);
  const tenant = await newTenant(stack, client);
  await stock(client, tenant);
  const wanted = await rowsOf(client, tenant);
  const backup = await backUp(stack, client, tenant);
  await damage(client, tenant);
  return {
    client,
    tenant,
    wanted,
    token: await tenant.token('owner'),
    damaged: await placesOf(client, tenant),
    backup,
  };
}

/** An open transaction of the tenant's, which keeps the fence. */
async function writer(tenant: Tenant): Promise<pg.Client> {
  const app = await stack.postgres.connect();
  await app.query('begin');
  await app.query(
    'update shop.orders set note = note where id = (select min(id) from shop.orders where tenant_id = $1)',
    [tenant.id],
  );
  return app;
}

async function statusOf({ client }: Scene, table: string, id: unknown): Promise<string | undefined> {
  const { rows } = await client.query<{ status: string }>(`select status from public.${table} where id = $1`, [id]);
  return rows[0]?.status;
}

/** Whether another Worker may go on with it, should this one end. */
async function goesOn({ client, tenant }: Scene): Promise<boolean | undefined> {
  const { rows } = await client.query<{ detached: boolean }>(
    'select detached from m23.restore_work where tenant_id = $1',
    [tenant.id],
  );
  return rows[0]?.detached;
}

async function workOf({ client, tenant }: Scene): Promise<string> {
  const {
    rows: [work],
  } = await client.query<{ work_id: string }>('select work_id from m23.restore_work where tenant_id = $1', [tenant.id]);
  assert.ok(work);
  return work.work_id;
}

describe('side by side,', { concurrency: true }, () => {
  describe('a call that outlasts 24 seconds is answered with 202, and its work goes on to its end', {
    concurrency: true,
  }, () => {
    test('a restore that waits for writers', async (t) => {
      const shop = await scene(t);
      const app = await writer(shop.tenant);
      const began = performance.now();
      const { status, body } = await restore(shop);
      const waited = performance.now() - began;
      assert.equal(status, 202, JSON.stringify(body));
      assert.ok(waited > 15_000 && waited < 30_000, `after ${waited} ms`);
      assert.deepEqual(
        [body.success, body['status'], Object.keys(body).sort()],
        [true, 'in_progress', ['restoreLogId', 'status', 'success']],
      );
      assert.equal(await statusOf(shop, 'restore_logs', body['restoreLogId']), 'in_progress');
      await eventually(
        () => goesOn(shop),
        (detached) => detached === true,
      );
      const { data } = await api(shop.tenant, 'viewer')
        .from('restore_logs')
        .select('status')
        .eq('id', String(body['restoreLogId']));
      assert.deepEqual(data, [{ status: 'in_progress' }]);
      await app.query('rollback');
      await app.end();
      await eventually(
        () => statusOf(shop, 'restore_logs', body['restoreLogId']),
        (seen) => seen !== 'in_progress',
      );
      assert.equal(await statusOf(shop, 'restore_logs', body['restoreLogId']), 'completed');
      assert.deepEqual(await rowsOf(shop.client, shop.tenant), shop.wanted);
    });

    test('a rollback that is writing', async (t) => {
      const shop = await snapshotted(t);
      await closeGate(shop.client, shop.tenant);
      const { status, body } = await rollback(shop, shop.snapshotId);
      assert.equal(status, 202, JSON.stringify(body));
      assert.deepEqual(
        [body.success, body['status'], Object.keys(body).sort()],
        [true, 'in_progress', ['rollbackId', 'status', 'success']],
      );
      assert.equal(await statusOf(shop, 'pitr_rollbacks', body['rollbackId']), 'in_progress');
      await eventually(
        () => goesOn(shop),
        (detached) => detached === true,
      );
      await openGate(shop.client, shop.tenant);
      await eventually(
        () => statusOf(shop, 'pitr_rollbacks', body['rollbackId']),
        (seen) => seen !== 'in_progress',
      );
      assert.equal(await statusOf(shop, 'pitr_rollbacks', body['rollbackId']), 'completed');
      assert.deepEqual(await rowsOf(shop.client, shop.tenant), shop.wanted);
    });

    test('a dry run of an archive, whose rows are in the pages of its preview', async (t) => {
      const { client, tenant, token, damaged, backup } = await backedUp(t);
      await closeGate(client, tenant);
      const { status, body } = await call(stack, 'backup-restore', token, {
        backupJobId: backup,
        dryRun: true,
        confirmRestore: true,
      });
      assert.equal(status, 202, JSON.stringify(body));
      assert.deepEqual(
        [body.success, body['status'], Object.keys(body).sort()],
        [true, 'in_progress', ['restoreLogId', 'status', 'success']],
      );
      const log = async (): Promise<Log | undefined> =>
        (
          await client.query<Log>('select status, stats, metadata from public.restore_logs where id = $1', [
            body['restoreLogId'],
          ])
        ).rows[0];
      await eventually(log, (seen) => seen?.status === 'in_progress');
      await openGate(client, tenant);
      const done = await eventually(log, (seen) => seen?.status !== 'in_progress');
      assert.deepEqual([done?.status, done?.metadata.dry_run], ['completed', true]);
      const { data } = await api(tenant, 'owner').rpc('get_pitr_preview_page', {
        p_preview_id: done?.metadata.preview.previewId,
        p_table: 'shop.accounts',
      });
      assert.equal((data as unknown[]).length, done?.metadata.preview.changeCounts['shop.accounts']);
      assert.ok((done?.stats.totalOperations ?? 0) > 0);
      assert.deepEqual(await placesOf(client, tenant), damaged, 'nothing was changed');
    });
  });

  describe('the client waits for the end of work that outlasts its call', { concurrency: true }, () => {
    test('a restore, and gives what the call would have given', async (t) => {
      const shop = await scene(t);
      const app = await writer(shop.tenant);
      t.after(() => app.end());
      const seen: string[] = [];
      const onProgress = ({ status }: { status: string }): void => {
        if (seen.push(status) === 1) void app.query('rollback');
      };
      const done = await createM23(api(shop.tenant, 'owner')).executePITR(
        { targetTimestamp: shop.at, confirmRestore: true },
        { onProgress },
      );
      assert.deepEqual(
        [done.success, done.status, seen[0], seen.at(-1)],
        [true, 'completed', 'in_progress', 'completed'],
      );
      assert.ok(
        done.snapshotId !== undefined && done.restoreLogId !== undefined && (done.stats?.totalOperations ?? 0) > 0,
      );
      assert.deepEqual(await rowsOf(shop.client, shop.tenant), shop.wanted);
    });

    test('a dry run of an archive, and gives its preview', async (t) => {
      const { client, tenant, damaged, backup } = await backedUp(t);
      await closeGate(client, tenant);
      const m23 = createM23(api(tenant, 'owner'));
      const onProgress = (): void => void openGate(client, tenant);
      const seen = await m23.executeRestore(
        { backupJobId: backup, dryRun: true, confirmRestore: true },
        { onProgress },
      );
      assert.deepEqual([seen.success, seen.status, typeof seen.planHash], [true, 'completed', 'string']);
      assert.deepEqual(await placesOf(client, tenant), damaged);
      const done = await m23.executeRestore({ backupJobId: backup, confirmRestore: true, planHash: seen.planHash });
      assert.equal(done.success, true);
    });

    test('a rollback, and says when it was cancelled', async (t) => {
      const shop = await snapshotted(t);
      await closeGate(shop.client, shop.tenant);
      const m23 = createM23(api(shop.tenant, 'owner'));
      const begun = await m23.executePITRRollback(shop.snapshotId, 'not waited for', false, { wait: false });
      assert.deepEqual([begun.success, begun.status], [true, 'in_progress']);
      assert.equal((await api(shop.tenant, 'owner').rpc('cancel_restore', { p_id: begun.rollbackId })).data, true);
      await openGate(shop.client, shop.tenant);
      assert.equal((await m23.watchRollback(begun.rollbackId!)).status, 'cancelled');
      assert.deepEqual(await placesOf(shop.client, shop.tenant), shop.damaged);
    });

    test('a restore that was cancelled throws', async (t) => {
      const shop = await scene(t);
      await closeGate(shop.client, shop.tenant);
      const supabase = api(shop.tenant, 'owner');
      const onProgress = async ({ id, status }: { id: string; status: string }): Promise<void> => {
        if (status !== 'in_progress') return;
        await supabase.rpc('cancel_restore', { p_id: id });
        await openGate(shop.client, shop.tenant);
      };
      const running = createM23(supabase).executePITR(
        { targetTimestamp: shop.at, confirmRestore: true },
        { onProgress: (row) => void onProgress(row) },
      );
      await assert.rejects(running, { name: 'M23Error', code: 'WORK_CANCELLED', status: 0 });
      assert.deepEqual(await placesOf(shop.client, shop.tenant), shop.damaged);
    });
  });

  describe("the API roles' statement timeout does not cut off", { concurrency: true }, () => {
    test('a restore', async (t) => {
      const shop = await scene(t);
      await closeGate(shop.client, shop.tenant);
      const running = restore(shop);
      await atGate(shop.client, shop.tenant);
      await pause(2 * LIMIT_MS);
      await openGate(shop.client, shop.tenant);
      const { status, body } = await running;
      assert.deepEqual([status, body['status']], [200, 'completed']);
      assert.deepEqual(await rowsOf(shop.client, shop.tenant), shop.wanted);
    });

    test('a rollback by RPC', async (t) => {
      const shop = await snapshotted(t);
      await closeGate(shop.client, shop.tenant);
      const running = api(shop.tenant, 'owner')
        .rpc('execute_pitr_rollback', { p_snapshot_id: shop.snapshotId, p_initiated_by: shop.tenant.userId('owner') })
        .then((answer) => answer);
      await atGate(shop.client, shop.tenant);
      await pause(2 * LIMIT_MS);
      await openGate(shop.client, shop.tenant);
      assert.equal((await running).error, null);
      assert.deepEqual(await rowsOf(shop.client, shop.tenant), shop.wanted);
    });
  });

  describe('cancel_restore', { concurrency: true }, () => {
    test('ends a restore that is writing, with nothing changed, and only for owner and admin of the tenant', async (t) => {
      const [shop, other] = [await scene(t), await scene(t)];
      await closeGate(shop.client, shop.tenant);
      const running = restore(shop);
      await atGate(shop.client, shop.tenant);
      const p_id = await workOf(shop);
      assert.equal(
        (await api(shop.tenant, 'operator').rpc('cancel_restore', { p_id })).error?.code,
        'INSUFFICIENT_PERMISSIONS',
      );
      assert.notEqual((await api(other.tenant, 'owner').rpc('cancel_restore', { p_id })).data, true);
      assert.equal((await api(shop.tenant, 'owner').rpc('cancel_restore', { p_id })).data, true);
      await openGate(shop.client, shop.tenant);
      const { status, body } = await running;
      assert.deepEqual([status, body.code], [503, 'UNAVAILABLE'], JSON.stringify(body));
      assert.match(body.error ?? '', /cancelled/);
      assert.equal(await statusOf(shop, 'restore_logs', p_id), 'cancelled');
      assert.deepEqual(await placesOf(shop.client, shop.tenant), shop.damaged);
      assert.equal((await api(shop.tenant, 'owner').rpc('cancel_restore', { p_id })).data, false, 'it runs no more');
      assert.equal((await restore(shop)).status, 200);
    });

    test('ends a restore that waits for writers, while they go on', async (t) => {
      const shop = await scene(t);
      const app = await writer(shop.tenant);
      const running = restore(shop);
      await atFence(shop.client, shop.tenant);
      const p_id = await workOf(shop);
      assert.equal((await api(shop.tenant, 'owner').rpc('cancel_restore', { p_id })).data, true);
      assert.match((await running).body.error ?? '', /cancelled/);
      await app.query('rollback');
      await app.end();
      assert.equal(await statusOf(shop, 'restore_logs', p_id), 'cancelled');
      assert.deepEqual(await placesOf(shop.client, shop.tenant), shop.damaged);
    });

    test('ends a rollback, whose snapshot can still be used', async (t) => {
      const shop = await snapshotted(t);
      await closeGate(shop.client, shop.tenant);
      const running = rollback(shop, shop.snapshotId);
      await atGate(shop.client, shop.tenant);
      const p_id = await workOf(shop);
      assert.equal((await api(shop.tenant, 'owner').rpc('cancel_restore', { p_id })).data, true);
      await openGate(shop.client, shop.tenant);
      assert.match((await running).body.error ?? '', /cancelled/);
      assert.equal(await statusOf(shop, 'pitr_rollbacks', p_id), 'cancelled');
      assert.deepEqual(await placesOf(shop.client, shop.tenant), shop.damaged);
      assert.equal((await rollback(shop, shop.snapshotId)).status, 200);
      assert.deepEqual(await rowsOf(shop.client, shop.tenant), shop.wanted);
    });
  });
});
