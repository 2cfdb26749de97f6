// For how long backups are kept: cancelled, deleted and taken back, retired by the plan, collected.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import type { Role } from '../../stack/demo-tenants.ts';
import { objectsOf, prefixOf } from '../fixtures/archive.ts';
import { increment } from '../fixtures/chain.ts';
import { backUp, beginBackup, completed, jobOf, refusal, restore, restored } from '../fixtures/functions.ts';
import { openShopStack } from '../fixtures/stack.ts';
import type { Tenant } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';

const { stack, client, stocked, api } = await openShopStack();

async function remove(tenant: Tenant, id: string, role: Role = 'admin'): Promise<{ status: number; details: string }> {
  const { status, error } = await api(tenant, role).rpc('delete_backup', { p_backup_id: id });
  return { status, details: String(error?.details ?? error?.code ?? '') };
}

/** As if so much time had passed since a backup. */
async function age(ids: string[], days: number): Promise<void> {
  await client.query(
    `update public.backup_jobs set created_at = created_at - make_interval(days => $2), completed_at = completed_at - make_interval(days => $2),
    deleted_at = deleted_at - make_interval(days => $2) where id = any ($1)`,
    [ids, days],
  );
}

async function plan(tenant: Tenant, days: number): Promise<void> {
  await client.query(
    `insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, retention_days, test_frequency)
    values ($1, 'plan', 60, 60, 'daily', $2, 'weekly')`,
    [tenant.id, days],
  );
}

async function planned(tenant: Tenant): Promise<string[]> {
  const { data, error } = await api(tenant, 'viewer').rpc('plan_retention', { p_tenant_id: tenant.id });
  assert.equal(error, null);
  return (data as { backup_id: string }[]).map((row) => row.backup_id);
}

async function deleted(ids: string[]): Promise<boolean[]> {
  return await Promise.all(
    ids.map(
      async (id) =>
        (
          await client.query<{ gone: boolean }>(
            'select deleted_at is not null as gone from public.backup_jobs where id = $1',
            [id],
          )
        ).rows[0]?.gone ?? false,
    ),
  );
}

/** Begins a backup and does something while its first chunk is stored, but not yet recorded. */
async function heldUp(tenant: Tenant, meanwhile: (id: string) => Promise<void>): Promise<string> {
  const holder = await stack.postgres.connect();
  try {
    await holder.query('begin; lock table m23.backup_chunks in exclusive mode');
    const id = await beginBackup(stack, tenant);
    await eventually(
      async () => (await objectsOf(stack, tenant, id)).length,
      (count) => count > 0,
    );
    await meanwhile(id);
    return id;
  } finally {
    await holder.query('rollback');
    await holder.end();
  }
}

/** How many calls of a function wait for a lock. */
async function waiting(name: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int from pg_stat_activity where wait_event_type = 'Lock' and query like $1`,
    [`%${name}%`],
  );
  return rows[0]?.count ?? 0;
}

describe('a backup that is cancelled', () => {
  test('ends as failed, says by whom, and its worker leaves it alone', async () => {
    const tenant = await stocked();
    let cancelled: Promise<unknown> | undefined;
    const id = await heldUp(tenant, async (running) => {
      cancelled = Promise.resolve(
        api(tenant, 'operator')
          .rpc('cancel_backup', { p_backup_id: running })
          .then(({ data }) => data),
      );
      // It waits for its worker, where that is noting the chunk already.
      await Promise.race([
        cancelled,
        eventually(
          () => waiting('cancel_backup'),
          (count) => count > 0,
        ),
      ]);
    });
    assert.equal(await cancelled, true);
    const job = await jobOf(client, id);
    assert.deepEqual([job.status, job.error_message], ['failed', `cancelled by ${tenant.userId('operator')}`]);
    assert.equal(
      (await api(tenant, 'operator').rpc('cancel_backup', { p_backup_id: id })).data,
      false,
      'there is nothing more to cancel',
    );
    await stack.runCron('backup-create');
    assert.equal((await jobOf(client, id)).status, 'failed');
    assert.ok(!(await objectsOf(stack, tenant, id)).some((key) => key.endsWith('manifest.json')));
    await completed(client, await beginBackup(stack, tenant));
  });

  test("is cancelled by no viewer, and by nobody else's operator", async () => {
    const [tenant, other] = [await stocked(), await stocked()];
    const id = await backUp(stack, client, tenant);
    assert.equal((await api(tenant, 'viewer').rpc('cancel_backup', { p_backup_id: id })).status, 403);
    for (const [who, what] of [
      [other, id],
      [tenant, randomUUID()],
    ] as const) {
      assert.equal((await api(who, 'owner').rpc('cancel_backup', { p_backup_id: what })).status, 404);
    }
  });
});

describe('a backup that is deleted', () => {
  test('cannot be restored or built on, and comes back within its grace period', async () => {
    const tenant = await stocked();
    const [first, second] = [await backUp(stack, client, tenant), await backUp(stack, client, tenant)];
    assert.equal((await remove(tenant, first, 'operator')).status, 403);
    assert.equal((await remove(tenant, first)).status, 200);
    assert.equal((await remove(tenant, first)).status, 200, 'twice is as once');
    assert.deepEqual(refusal(await restore(stack, tenant, first)), [409, 'BACKUP_UNUSABLE']);
    await stack.runCron('backup-create');
    assert.ok((await objectsOf(stack, tenant, first)).length > 1, 'its objects stay for the time being');
    assert.equal((await api(tenant, 'admin').rpc('keep_backup', { p_backup_id: first })).data, true);
    await restored(stack, tenant, first);
    assert.equal((await api(tenant, 'admin').rpc('keep_backup', { p_backup_id: second })).data, false);
  });

  test('is never one that another builds on, the last good one, or one that is running', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    assert.match((await remove(tenant, full)).details, /it is the last good backup/);
    await backUp(stack, client, tenant, { jobType: 'snapshot' });
    assert.match((await remove(tenant, full)).details, /it is the last good backup/, 'a snapshot is no other');
    const one = await increment(stack, client, tenant, full, { backupName: 'the first' });
    assert.match((await remove(tenant, full)).details, /the first.* builds on it/);
    assert.equal((await remove(tenant, one)).status, 200, 'the full one is good still');
    assert.match((await remove(tenant, full)).details, /last good/);
    await client.query(`update public.backup_jobs set status = 'in_progress' where id = $1`, [full]);
    assert.match((await remove(tenant, full)).details, /still being made/);
    await client.query(`update public.backup_jobs set status = 'completed' where id = $1`, [full]);
    const other = await backUp(stack, client, tenant);
    assert.equal((await remove(tenant, full)).status, 200);
    const { error } = await api(tenant, 'admin').rpc('keep_backup', { p_backup_id: one });
    assert.match(String(error?.details), /deleted/, 'what it builds on comes first');
    assert.match((await remove(tenant, other)).details, /last good/);
  });

  test('loses its objects when the grace period has passed, and nothing else does', async () => {
    const tenant = await stocked();
    const [first, second] = [await backUp(stack, client, tenant), await backUp(stack, client, tenant)];
    await remove(tenant, first);
    await age([first], 8);
    await stack.runCron('backup-create');
    assert.deepEqual(await objectsOf(stack, tenant, first), []);
    assert.ok((await objectsOf(stack, tenant, second)).length > 1);
    const { error } = await api(tenant, 'admin').rpc('keep_backup', { p_backup_id: first });
    assert.equal(error?.code, 'BACKUP_UNUSABLE');
    await restored(stack, tenant, second);
  });
});

describe('retention', () => {
  test("takes a chain as a whole, when its newest member is past the plan's days", async () => {
    const tenant = await stocked();
    const old = await backUp(stack, client, tenant);
    const oldTip = await increment(stack, client, tenant, old);
    const kept = await backUp(stack, client, tenant);
    const keptTip = await increment(stack, client, tenant, kept);
    const last = await backUp(stack, client, tenant);
    await age([old, oldTip], 40);
    await age([kept], 40);
    assert.deepEqual(await planned(tenant), [], 'without a plan nothing goes');
    await plan(tenant, 30);
    assert.deepEqual((await planned(tenant)).sort(), [old, oldTip].sort());
    assert.deepEqual(await deleted([old, oldTip]), [false, false], 'a dry run changes nothing');
    await stack.runCron('recovery-test');
    assert.deepEqual(await deleted([old, oldTip, kept, keptTip, last]), [true, true, false, false, false]);
    assert.deepEqual(await planned(tenant), []);
    const {
      rows: [job],
    } = await client.query(`select metadata ->> 'deleted_because' as why from public.backup_jobs where id = $1`, [old]);
    assert.match(job.why, /longer ago than the 30 days/);
  });

  test('never takes the last good backup, however old, nor what a running one builds on', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    const last = await increment(stack, client, tenant, full);
    await plan(tenant, 1);
    await age([full, last], 400);
    assert.deepEqual(await planned(tenant), []);
    const newer = await backUp(stack, client, tenant);
    assert.equal((await planned(tenant)).length, 2);
    await client.query(
      `insert into public.backup_jobs (tenant_id, backup_name, job_type, status, base_backup_id, parent_backup_id) values ($1, 'running', 'incremental', 'in_progress', $2, $3)`,
      [tenant.id, full, last],
    );
    assert.deepEqual(await planned(tenant), []);
    assert.deepEqual(await deleted([newer]), [false]);
  });
});

describe('objects', () => {
  test('that no manifest names are collected after a day; what lies under an unknown prefix stays', async () => {
    const tenant = await stocked();
    const id = await backUp(stack, client, tenant);
    const orphan = `${prefixOf(tenant, id)}001-shop.orders/000009-0123456789abcdef.copy.gz`;
    const unknown = `tenants/${tenant.id}/backups/${randomUUID()}/manifest.json`;
    for (const key of [orphan, unknown]) await stack.archives.put(key, 'x');
    await stack.runCron('backup-create');
    assert.ok(await stack.archives.head(orphan), 'not yet');
    await age([id], 2);
    await stack.runCron('backup-create');
    assert.equal(await stack.archives.head(orphan), null);
    assert.ok(await stack.archives.head(unknown), 'another database may know it');
    await restored(stack, tenant, id);
  });

  test('of a failed backup are collected after a day', async () => {
    const tenant = await stocked();
    const id = await backUp(stack, client, tenant);
    await client.query(`update public.backup_jobs set status = 'failed' where id = $1`, [id]);
    await age([id], 2);
    await stack.runCron('backup-create');
    assert.deepEqual(await objectsOf(stack, tenant, id), []);
  });
});

describe('a poison part', () => {
  test('fails its backup with the cause, and others go on', async () => {
    await client.query(
      `create table shop.poison (id int primary key, tenant_id uuid not null, a int); select m23.protect_table('shop.poison')`,
    );
    const tenant = await stocked();
    const id = await heldUp(tenant, async () => void (await client.query('drop table shop.poison')));
    const job = await eventually(
      () => jobOf(client, id),
      ({ status }) => status === 'failed',
    );
    assert.match(job.error_message ?? '', /shop\.poison was dropped or unprotected while it was backed up/);
    await completed(client, await beginBackup(stack, tenant));
  });

  test('that kills every worker fails its backup after five', async () => {
    const tenant = await stocked();
    const id = await backUp(stack, client, tenant);
    await client.query(`update public.backup_jobs set status = 'in_progress' where id = $1`, [id]);
    await client.query(
      `insert into m23.leases (work_id, token, until, taken) values ($1, gen_random_uuid(), now() - interval '1 hour', 5)`,
      [id],
    );
    await stack.runCron('backup-create');
    const job = await jobOf(client, id);
    assert.deepEqual(
      [job.status, job.error_message],
      ['failed', 'five workers have taken this backup up without getting further'],
    );
  });
});
