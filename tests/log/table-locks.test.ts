// Work that reads several tables beside a TRUNCATE or schema change that takes several tables.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { backUp, call, restore } from '../fixtures/functions.ts';
import { damage, SHOP } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import type { Tenant } from '../fixtures/tenants.ts';
import { databaseTime, eventually } from '../fixtures/time.ts';

let tenant: Tenant;
let at: string;
let backup: string;

const { stack, client, stocked, api } = await openShopStack();

before(async () => {
  tenant = await stocked();
  backup = await backUp(stack, client, tenant);
  at = await databaseTime(client);
  await damage(client, tenant);
});

/** Takes the tables one after the other, once `work` waits for the first; gives the work's status. */
async function beside(work: () => Promise<number>, first: string): Promise<number> {
  const app = await stack.postgres.connect();
  try {
    await app.query(`set deadlock_timeout = '20s'; begin; lock table ${first} in access exclusive mode`);
    const working = work();
    await eventually(waiting, (count) => count > 0);
    for (const table of SHOP.filter((name) => name !== first))
      await app.query(`lock table ${table} in access exclusive mode`);
    await app.query('commit');
    return await working;
  } finally {
    await app.end();
  }
}

/** How many sessions wait for a table. */
async function waiting(): Promise<number> {
  return (await client.query(`select from pg_locks where locktype = 'relation' and not granted`)).rowCount ?? 0;
}

describe('a schema change that takes several tables neither fails nor is failed by', () => {
  const works: Record<string, (n: number) => Promise<number>> = {
    'the beginning of a backup': async () =>
      (await call(stack, 'backup-create', await tenant.token('operator'), { jobType: 'full' })).status,
    'a dry run from the log': async () =>
      (await call(stack, 'pitr-restore', await tenant.token('admin'), { targetTimestamp: at, dryRun: true })).status,
    'a dry run from an archive': async () => (await restore(stack, tenant, backup, { dryRun: true })).status,
    'a restore beside the live data': async (n) =>
      (await restore(stack, tenant, backup, { targetSchema: `beside_${n}` })).status,
    'a count of the changes since': async () => {
      const args = { p_tenant_id: tenant.id, p_target_timestamp: at };
      return (await api(tenant, 'owner').rpc('calculate_pitr_stats', args)).status;
    },
  };
  for (const [name, work] of Object.entries(works)) {
    test(name, async () => {
      for (const [n, first] of SHOP.entries())
        assert.equal(await beside(() => work(n), first), 200, `${first} is held first`);
    });
  }
});

test('work that waits for a table for five seconds says so, and has done nothing', async () => {
  const app = await stack.postgres.connect();
  try {
    await app.query('begin; lock table shop.orders in access exclusive mode');
    const before = await jobs();
    const reply = await call(stack, 'backup-create', await tenant.token('operator'), { jobType: 'full' });
    assert.deepEqual([reply.status, reply.body.code], [503, 'UNAVAILABLE']);
    assert.match(reply.body.error ?? '', /held a table for five seconds/);
    assert.equal(await jobs(), before);
  } finally {
    await app.end();
  }
});

async function jobs(): Promise<number> {
  return (await client.query('select from public.backup_jobs where tenant_id = $1', [tenant.id])).rowCount ?? 0;
}
