// What a dry run says would be lost, and from where it came, by the API as it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { backUp, call, ok } from '../fixtures/functions.ts';
import { openShopStack } from '../fixtures/stack.ts';
import type { Tenant } from '../fixtures/tenants.ts';

const { stack, client, now, stocked } = await openShopStack();

/** Sends a request to the API of the database. */
async function send(tenant: Tenant, method: string, path: string, body: object, id: string): Promise<void> {
  const response = await fetch(`${stack.url}/rest/v1/${path}`, {
    method,
    headers: {
      apikey: stack.anonKey,
      authorization: `Bearer ${await tenant.token('operator')}`,
      'content-type': 'application/json',
      'x-request-id': id,
    },
    body: JSON.stringify(body),
  });
  assert.ok(response.ok, await response.text());
}

test('what the API and others have written since is told by all three functions', async () => {
  const [tenant, other] = [await stocked(), await stocked()];
  const token = await tenant.token('admin');
  const operator = tenant.userId('operator');
  const backupJobId = await backUp(stack, client, tenant);
  const at = await now();
  await send(tenant, 'POST', 'customers', { tenant_id: tenant.id, name: 'new' }, 'request-1');
  await send(tenant, 'PATCH', `customers?tenant_id=eq.${tenant.id}`, { name: 'changed' }, 'request-2');
  await send(other, 'POST', 'customers', { tenant_id: other.id, name: 'theirs' }, 'request-3');
  await client.query('update shop.accounts set balance = 7 where tenant_id = $1', [tenant.id]);
  const [{ count }] = (
    await client.query<{ count: number }>('select count(*)::int as count from shop.accounts where tenant_id = $1', [
      tenant.id,
    ])
  ).rows as [{ count: number }];
  const lost = [
    { actor: null, source: 'app: unnamed as postgres', tables: ['shop.accounts'], rows: count },
    { actor: operator, source: 'api: PATCH /customers as authenticated', tables: ['customers'], rows: 1 },
    { actor: operator, source: 'api: POST /customers as authenticated', tables: ['customers'], rows: 1 },
  ];
  const tables = ['customers', 'shop.accounts'];
  const told = (body: Record<string, unknown>): unknown => sorted(body['rowsLost']);
  const looked = ok(await call(stack, 'pitr-restore', token, { targetTimestamp: at, tables, dryRun: true }));
  assert.deepEqual(told(looked), sorted(lost));
  const backedUp = ok(await call(stack, 'backup-restore', token, { backupJobId, tables, dryRun: true }));
  assert.deepEqual(told(backedUp), sorted(lost));
  const restored = ok(await call(stack, 'pitr-restore', token, { targetTimestamp: at, tables, confirmRestore: true }));
  await send(tenant, 'POST', 'customers', { tenant_id: tenant.id, name: 'after' }, 'request-4');
  const back = ok(await call(stack, 'pitr-rollback', token, { snapshotId: restored['snapshotId'], dryRun: true }));
  const others = (back['rowsLost'] as { source: string; rows: number }[]).map(({ source, rows }) => [source, rows]);
  assert.deepEqual(Object.fromEntries(others), {
    [`restore ${String(restored['restoreLogId'])}`]: count,
    'api: POST /customers as authenticated': 1,
  });
  const { rows } = await client.query<{ source: string; request: string }>(
    `select m23.source_of(l.source) as source, l.request from m23_log.log_${await logOf('customers')} l
      where l.tenant_id::text = $1 and l.op = 'I' order by l.change_id`,
    [tenant.id],
  );
  assert.deepEqual(
    rows.map(({ request }) => request),
    ['request-1', 'request-4'],
  );
});

const sorted = (list: unknown): unknown =>
  (list as { source: string }[]).toSorted((a, b) => (a.source < b.source ? -1 : 1));

async function logOf(table: string): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    'select id from m23.protected_tables where relid = $1::regclass',
    [table],
  );
  return rows[0]!.id;
}
