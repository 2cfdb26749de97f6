// Point-in-time recovery over HTTP: look, restore, undo, and what is refused.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { createClient, type SupabaseClient } from '@supabase/supabase-js';

import { backUp, call, ok, type Reply, refusal } from '../fixtures/functions.ts';
import { damage, placesOf, placesOfOthers, rowsOf, stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';

interface Stats {
  totalOperations: number;
  insertCount: number;
  updateCount: number;
  deleteCount: number;
  affectedTables: string[];
}
interface Change {
  operation: string;
  key: Record<string, unknown>;
  now: Record<string, unknown> | null;
  then: Record<string, unknown> | null;
}

const { stack, client, now, stocked } = await openShopStack();

async function pitr(tenant: Tenant, body: Record<string, unknown>): Promise<Reply> {
  return await call(stack, 'pitr-restore', await tenant.token('admin'), body);
}
const preview = (tenant: Tenant, targetTimestamp: string, more = {}): Promise<Reply> =>
  pitr(tenant, { targetTimestamp, dryRun: true, ...more });
const restore = (tenant: Tenant, targetTimestamp: string, more = {}): Promise<Reply> =>
  pitr(tenant, { targetTimestamp, confirmRestore: true, ...more });

async function rollback(
  tenant: Tenant,
  snapshotId: unknown,
  more: Record<string, unknown> = { confirmRollback: true },
): Promise<Reply> {
  return await call(stack, 'pitr-rollback', await tenant.token('admin'), { snapshotId, ...more });
}

async function rpc(tenant: Tenant, role: 'owner' | 'operator' | 'viewer'): Promise<SupabaseClient> {
  const token = await tenant.token(role);
  return createClient(stack.url, stack.anonKey, { accessToken: () => Promise.resolve(token) });
}

async function changed(tenant: Tenant): Promise<number> {
  const {
    rows: [row],
  } = await client.query<{ count: string }>(`select count(*) from shop.accounts where tenant_id = $1`, [tenant.id]);
  return Number(row!.count);
}

describe('a restore to a moment', () => {
  test('gives exactly the rows of that moment, and touches nobody else', async () => {
    const tenant = await stocked();
    await stocked();
    const before = await rowsOf(client, tenant);
    const at = await now();
    await damage(client, tenant);
    const others = await placesOfOthers(client, tenant);
    const audited = await client.query('select count(*) from shop.audit');
    const done = ok(await restore(tenant, at));
    assert.deepEqual(await rowsOf(client, tenant), before);
    assert.deepEqual(await placesOfOthers(client, tenant), others);
    assert.deepEqual((await client.query('select count(*) from shop.audit')).rows, audited.rows, 'triggers are silent');
    assert.equal(done['status'], 'completed');
    const stats = done['stats'] as Stats;
    assert.equal(stats.totalOperations, stats.insertCount + stats.updateCount + stats.deleteCount);
    const {
      rows: [log],
    } = await client.query(
      'select restore_type, status, snapshot_id, rows_restored::int as rows from public.restore_logs where id = $1',
      [done['restoreLogId']],
    );
    assert.deepEqual(log, {
      restore_type: 'pitr',
      status: 'completed',
      snapshot_id: done['snapshotId'],
      rows: stats.totalOperations,
    });
  });

  test('does what its preview said, and the preview writes nothing', async () => {
    const tenant = await stocked();
    const at = await now();
    await damage(client, tenant);
    const places = await placesOf(client, tenant);
    const seen = ok(await preview(tenant, at));
    assert.deepEqual(await placesOf(client, tenant), places);
    const changes = seen['previewChanges'] as Record<string, Change[]>;
    const stray = changes['shop.accounts']?.find(({ operation }) => operation === 'delete');
    assert.match(String(stray?.now?.['code']), /stray$/);
    assert.equal(stray?.then, null);
    const mangled = changes['shop.accounts']?.find(({ operation }) => operation === 'update');
    assert.deepEqual(Object.keys(mangled?.now ?? {}).sort(), ['balance', 'code'], 'only what differs');
    assert.match(String(mangled?.now?.['code']), /mangled/);
    assert.doesNotMatch(String(mangled?.then?.['code']), /mangled/);
    const done = ok(await restore(tenant, at, { planHash: seen['planHash'] }));
    assert.deepEqual(done['stats'], seen['stats']);
    assert.deepEqual((ok(await preview(tenant, at))['stats'] as Stats).totalOperations, 0, 'nothing is left to do');
  });

  test('with the hash of a plan that no longer holds is refused, and changes nothing', async () => {
    const tenant = await stocked();
    const at = await now();
    await damage(client, tenant);
    const { planHash } = ok(await preview(tenant, at));
    await client.query(`update shop.accounts set balance = balance + 1 where tenant_id = $1`, [tenant.id]);
    const places = await placesOf(client, tenant);
    assert.deepEqual(refusal(await restore(tenant, at, { planHash })), [409, 'PLAN_CHANGED']);
    assert.deepEqual(await placesOf(client, tenant), places);
  });

  test('of some tables is refused where it would break a foreign key, and completed when asked', async () => {
    const tenant = await stocked();
    await client.query('update shop.orders set follows = null where tenant_id = $1', [tenant.id]);
    const before = await rowsOf(client, tenant);
    const at = await now();
    await client.query(`delete from shop.accounts where tenant_id = $1 and code like '%/1'`, [tenant.id]);
    for (const ask of [preview, restore]) {
      const reply = await ask(tenant, at, { tables: ['shop.orders'] });
      assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
      assert.match(String(reply.body.details), /add "shop\.accounts"/);
    }
    const done = ok(await restore(tenant, at, { tables: ['shop.orders'], includeRelated: true }));
    assert.deepEqual((done['stats'] as Stats).affectedTables, ['shop.Line Items', 'shop.accounts', 'shop.orders']);
    assert.deepEqual(await rowsOf(client, tenant), before);
  });

  test('from an archive gives the same rows as from the log', async () => {
    const tenant = await stocked();
    const early = await now();
    await client.query(`update shop.accounts set balance = 7 where tenant_id = $1 and code like '%/3'`, [tenant.id]);
    const backup = await backUp(stack, client, tenant);
    await client.query(`update shop.accounts set balance = 8 where tenant_id = $1 and code like '%/4'`, [tenant.id]);
    const late = await now();
    const atLate = await rowsOf(client, tenant);
    await damage(client, tenant);
    ok(await restore(tenant, late, { baseBackupId: backup }));
    assert.deepEqual(await rowsOf(client, tenant), atLate);
    const fromLog = ok(await restore(tenant, early));
    const atEarly = await rowsOf(client, tenant);
    ok(await rollback(tenant, fromLog['snapshotId']));
    ok(await restore(tenant, early, { baseBackupId: backup }));
    assert.deepEqual(await rowsOf(client, tenant), atEarly);
  });

  test("needs the server's commit times no longer once they are copied", async () => {
    const tenant = await stocked();
    const before = await rowsOf(client, tenant);
    const at = await now();
    await damage(client, tenant);
    await client.query(`update m23.settings set value = '0' where name = 'commit_times_age'`);
    await stack.runCron('backup-restore');
    await client.query(`update m23.settings set value = '50000000' where name = 'commit_times_age'`);
    const {
      rows: [kept],
    } = await client.query(`
      select count(*) > 5 as copied, count(*) filter (where at <> pg_xact_commit_timestamp(xid::xid))::int as wrong from m23.commit_times`);
    assert.deepEqual(kept, { copied: true, wrong: 0 });
    // A copy decides, not the server: with another time in it the transaction is another moment's.
    await client.query(`update m23.commit_times set at = at - interval '1 day'`);
    assert.equal((ok(await preview(tenant, at))['stats'] as Stats).totalOperations, 0);
    await client.query(`update m23.commit_times set at = at + interval '1 day'`);
    ok(await restore(tenant, at));
    assert.deepEqual(await rowsOf(client, tenant), before);
  });

  test('from an archive that is older than a change of the shape gives the same rows as from the log', async () => {
    const tenant = await stocked();
    const backup = await backUp(stack, client, tenant);
    await client.query(`update shop.accounts set balance = 8 where tenant_id = $1 and code like '%/4'`, [tenant.id]);
    await client.query(
      'alter table shop.orders rename column note to remark; alter table shop.orders add column urgent boolean not null default false',
    );
    await client.query(`update shop.orders set remark = 'then', urgent = true where tenant_id = $1 and place % 5 = 1`, [
      tenant.id,
    ]);
    const at = await now();
    const wanted = await rowsOf(client, tenant);
    await client.query('update shop.orders set urgent = true, remark = $2 where tenant_id = $1', [tenant.id, 'later']);
    await client.query(
      'delete from shop.orders where tenant_id = $1 and place = 201 and not exists (select from shop.orders f where f.follows = orders.id)',
      [tenant.id],
    );
    const tables = ['shop.accounts', 'shop.orders', 'shop.Line Items'];
    ok(await restore(tenant, at, { baseBackupId: backup, tables }));
    assert.deepEqual(await rowsOf(client, tenant), wanted);
    await client.query(
      'alter table shop.orders drop column urgent; alter table shop.orders rename column remark to note',
    );
  });

  test('outside the history names the possible range', async () => {
    const tenant = await stocked();
    for (const targetTimestamp of ['2020-01-01T00:00:00Z', '2999-01-01T00:00:00Z']) {
      const reply = await preview(tenant, targetTimestamp);
      assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
      assert.match(String(reply.body.details), /targetTimestamp: .* it can be from \d{4}-\d\d-\d\dT.*Z to /);
    }
  });

  test('leaves alone what has come from another tenant, or has gone to one, and says so', async () => {
    const [here, there] = [await stocked(), await stocked()];
    const at = await now();
    await client.query(`update shop.accounts set tenant_id = $2 where tenant_id = $1 and code like '%/1'`, [
      here.id,
      there.id,
    ]);
    const theirs = await rowsOf(client, there);
    const done = ok(await restore(there, at));
    assert.match(String(done['warnings']), /shop\.accounts: 1 row\(s\) were left alone/);
    assert.deepEqual(await rowsOf(client, there), theirs);
    assert.match(String(ok(await restore(here, at))['warnings']), /shop\.accounts: 1 row\(s\) were left alone/);
    assert.equal(await changed(here), 3);
  });
});

describe('a rollback', () => {
  test('undoes a restore, and can be undone itself', async () => {
    const tenant = await stocked();
    const before = await rowsOf(client, tenant);
    const at = await now();
    await damage(client, tenant);
    const damaged = await rowsOf(client, tenant);
    const restored = ok(await restore(tenant, at));
    const undone = ok(
      await rollback(tenant, restored['snapshotId'], { confirmRollback: true, reason: 'wrong moment' }),
    );
    assert.deepEqual(await rowsOf(client, tenant), damaged);
    assert.deepEqual(
      refusal(await rollback(tenant, restored['snapshotId'])),
      [404, 'SNAPSHOT_NOT_FOUND'],
      'a snapshot is used once',
    );
    ok(await rollback(tenant, undone['snapshotId']));
    assert.deepEqual(await rowsOf(client, tenant), before);
    const history = await (await rpc(tenant, 'viewer')).rpc('get_pitr_rollback_history', { p_tenant_id: tenant.id });
    assert.deepEqual(
      history.data.map((row: { status: string; reason: string | null }) => [row.status, row.reason]),
      [
        ['completed', null],
        ['completed', 'wrong moment'],
      ],
    );
  });

  test('warns of what others have changed since the restore, and its dry run shows it', async () => {
    const tenant = await stocked();
    const at = await now();
    await damage(client, tenant);
    const restored = ok(await restore(tenant, at));
    await client.query(`update shop.accounts set balance = 99 where tenant_id = $1 and code like '%/3'`, [tenant.id]);
    const seen = ok(await rollback(tenant, restored['snapshotId'], { dryRun: true }));
    assert.match(String(seen['warnings']), /shop\.accounts: 1 row\(s\) were changed after the restore/);
    assert.ok(
      (seen['previewChanges'] as Record<string, Change[]>)['shop.accounts']?.some(
        (change) => Number(change.now?.['balance']) === 99,
      ),
    );
    assert.match(String(ok(await rollback(tenant, restored['snapshotId']))['warnings']), /changed after the restore/);
  });

  test('goes back to a manual snapshot, by RPC as well, in which nobody poses as somebody else', async () => {
    const tenant = await stocked();
    const [owner, operator, viewer] = [
      await rpc(tenant, 'owner'),
      await rpc(tenant, 'operator'),
      await rpc(tenant, 'viewer'),
    ];
    const before = await rowsOf(client, tenant);
    const args = {
      p_tenant_id: tenant.id,
      p_snapshot_name: 'by hand',
      p_affected_tables: null,
      p_created_by: tenant.userId('operator'),
    };
    assert.equal((await viewer.rpc('create_pitr_snapshot', args)).error?.code, 'INSUFFICIENT_PERMISSIONS');
    assert.equal(
      (await owner.rpc('create_pitr_snapshot', args)).error?.code,
      'INSUFFICIENT_PERMISSIONS',
      'not in another name',
    );
    const made = await operator.rpc('create_pitr_snapshot', args);
    assert.equal(made.error, null);
    await damage(client, tenant);
    const listed = await viewer.rpc('get_active_pitr_snapshots', { p_tenant_id: tenant.id });
    assert.deepEqual(
      listed.data.map((row: { snapshot_id: string; snapshot_type: string }) => [row.snapshot_id, row.snapshot_type]),
      [[made.data, 'manual']],
    );
    const asOperator = await operator.rpc('execute_pitr_rollback', {
      p_snapshot_id: made.data,
      p_initiated_by: tenant.userId('operator'),
    });
    assert.equal(asOperator.error?.code, 'INSUFFICIENT_PERMISSIONS');
    const done = await owner.rpc('execute_pitr_rollback', {
      p_snapshot_id: made.data,
      p_initiated_by: tenant.userId('owner'),
      p_reason: 'by RPC',
    });
    assert.equal(done.error, null);
    assert.match(done.data, /^[0-9a-f-]{36}$/);
    assert.deepEqual(await rowsOf(client, tenant), before);
  });

  test('to a snapshot of another tenant looks exactly like one to none', async () => {
    const [tenant, other] = [await stocked(), await stocked()];
    const at = await now();
    await damage(client, other);
    const { snapshotId } = ok(await restore(other, at));
    const [foreign, missing] = [await rollback(tenant, snapshotId), await rollback(tenant, randomUUID())];
    assert.deepEqual(refusal(foreign), [404, 'SNAPSHOT_NOT_FOUND']);
    assert.deepEqual(foreign.body, missing.body);
    const byRpc = await (await rpc(tenant, 'owner')).rpc('execute_pitr_rollback', {
      p_snapshot_id: snapshotId,
      p_initiated_by: tenant.userId('owner'),
    });
    assert.equal(byRpc.error?.code, 'SNAPSHOT_NOT_FOUND');
  });
});

describe('a look into the past', () => {
  test('gives the figures of a restore, and of the way between two moments', async () => {
    const tenant = await stocked();
    const at = await now();
    await damage(client, tenant);
    const stats = ok(await preview(tenant, at))['stats'] as Stats;
    const viewer = await rpc(tenant, 'viewer');
    const counted = await viewer.rpc('calculate_pitr_stats', { p_tenant_id: tenant.id, p_target_timestamp: at });
    const asCounted = {
      total_operations: stats.totalOperations,
      insert_count: stats.insertCount,
      update_count: stats.updateCount,
      delete_count: stats.deleteCount,
      affected_tables: stats.affectedTables,
    };
    assert.deepEqual(counted.data, asCounted);
    const between = await viewer.rpc('calculate_pitr_stats', {
      p_tenant_id: tenant.id,
      p_target_timestamp: await now(),
      p_base_backup_timestamp: at,
    });
    assert.deepEqual(between.data, { ...asCounted, insert_count: stats.deleteCount, delete_count: stats.insertCount });
  });

  test('pages through a long preview without being counted', async () => {
    const tenant = await newTenant(stack, client);
    await stock(client, tenant, 60);
    const at = await now();
    await client.query('update shop.orders set note = note || $2 where tenant_id = $1', [tenant.id, '!']);
    const reply = await preview(tenant, at);
    const seen = ok(reply);
    assert.equal((seen['previewChanges'] as Record<string, Change[]>)['shop.orders']?.length, 100);
    assert.deepEqual(seen['changeCounts'], { 'shop.orders': 300 });
    const operator = await rpc(tenant, 'operator');
    const keys = new Set<unknown>();
    for (let offset = 0; offset < 300; offset += 100) {
      const page = await operator.rpc('get_pitr_preview_page', {
        p_preview_id: seen['previewId'],
        p_table: 'shop.orders',
        p_offset: offset,
      });
      assert.equal(page.error, null);
      for (const change of page.data as Change[]) keys.add(change.key['id']);
    }
    assert.equal(keys.size, 300);
    const refused = await (await rpc(tenant, 'viewer')).rpc('get_pitr_preview_page', {
      p_preview_id: seen['previewId'],
      p_table: 'shop.orders',
    });
    assert.equal(refused.error?.code, 'INSUFFICIENT_PERMISSIONS');
    const again = await preview(tenant, at);
    assert.equal(
      Number(reply.headers.get('x-ratelimit-remaining')) - Number(again.headers.get('x-ratelimit-remaining')),
      1,
    );
  });

  test('shows rows as they were, and who changed what', async () => {
    const tenant = await stocked();
    const at = await now();
    const operator = await rpc(tenant, 'operator');
    await damage(client, tenant);
    const then = await operator.rpc('get_rows_as_of', { p_table: 'shop.accounts', p_timestamp: at });
    assert.deepEqual(then.data.map((row: { code: string }) => row.code.split('/')[1]).sort(), ['1', '2', '3', '4']);
    const {
      data: [first],
    } = await operator.rpc('get_rows_as_of', { p_table: 'shop.accounts', p_timestamp: at, p_limit: 1 });
    const rest = await operator.rpc('get_rows_as_of', {
      p_table: 'shop.accounts',
      p_timestamp: at,
      p_after: { id: first.id },
    });
    assert.equal(rest.data.length, 3);
    const logs = await operator
      .from('transaction_logs')
      .select('operation, table_name, old_values')
      .eq('table_name', 'shop.accounts')
      .eq('operation', 'DELETE');
    assert.equal(logs.data?.length, 1);
    assert.match(String((logs.data?.[0]?.old_values as { code: string } | undefined)?.code), /\/1$/);
    const viewer = await rpc(tenant, 'viewer');
    assert.deepEqual((await viewer.from('transaction_logs').select()).data, []);
    assert.equal(
      (await viewer.rpc('get_rows_as_of', { p_table: 'shop.accounts', p_timestamp: at })).error?.code,
      'INSUFFICIENT_PERMISSIONS',
    );
    const window = await viewer.rpc('get_recovery_window', { p_tenant_id: tenant.id });
    assert.ok(
      window.data.every(
        (row: { earliest: string; latest: string; commit_times: string }) =>
          row.earliest < row.latest && row.commit_times === 'native',
      ),
    );
  });

  test('of another tenant is refused everywhere', async () => {
    const [tenant, other] = [await stocked(), await stocked()];
    const owner = await rpc(tenant, 'owner');
    const at = await now();
    for (const [name, args] of Object.entries({
      calculate_pitr_stats: { p_target_timestamp: at },
      get_active_pitr_snapshots: {},
      get_pitr_rollback_history: {},
      get_recovery_window: {},
      get_transaction_logs: {},
      get_rows_as_of: { p_table: 'shop.accounts', p_timestamp: at },
      create_pitr_snapshot: { p_snapshot_name: 'x', p_affected_tables: null, p_created_by: tenant.userId('owner') },
    })) {
      const { data, error } = await owner.rpc(name, { p_tenant_id: other.id, ...args });
      assert.deepEqual([data, error?.code], [null, 'TENANT_NOT_FOUND'], name);
    }
  });
});
