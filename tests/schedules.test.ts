import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type pg from 'pg';

import { type Stack, startStack } from '../stack/stack.ts';
import { temporaryFolder } from './dev-command.ts';
import { backUp } from './fixtures/functions.ts';
import { newPlan } from './fixtures/recovery.ts';
import { openShop, stock } from './fixtures/shop.ts';
import { type Tenant, newTenant } from './fixtures/tenants.ts';

let stack: Stack;
let client: pg.Client;
let tenant: Tenant;
let removeFolder: () => void;

before(async () => {
  const stateDir = temporaryFolder((cleanUp) => { removeFolder = cleanUp; });
  stack = await startStack({ stateDir, ephemeral: true });
  client = await stack.postgres.connect();
  await openShop(client);
});
after(async () => {
  await client?.end();
  await stack?.close();
  removeFolder();
});

/** A tenant of its own with rows and a plan. */
async function planned(more: Record<string, unknown> = {}): Promise<string> {
  tenant = await newTenant(stack, client);
  await stock(client, tenant, 1);
  return await newPlan(client, tenant, more);
}

/** Makes a plan due, as if its time had come so long ago. */
async function due(plan: string, kind: 'backup' | 'test', ago = '1 minute'): Promise<void> {
  await client.query(`update public.dr_plans set next_${kind}_date = date_trunc('minute', now()) - $2::interval where id = $1`, [plan, ago]);
}

interface Job { id: string; job_type: string; status: string; error_message: string | null; created_by: string | null; base_backup_id: string | null }

async function jobs(): Promise<Job[]> {
  return (await client.query<Job>('select id, job_type, status, error_message, created_by, base_backup_id from public.backup_jobs where tenant_id = $1 order by created_at', [tenant.id])).rows;
}

async function tests(): Promise<Record<string, unknown>[]> {
  return (await client.query<Record<string, unknown>>(
    'select status, test_type, validation_level, dr_plan_id, backup_job_id, error_message, created_by, results from public.recovery_tests where tenant_id = $1 order by created_at', [tenant.id])).rows;
}

async function isAhead(plan: string, kind: 'backup' | 'test'): Promise<boolean> {
  const { rows: [row] } = await client.query<{ ahead: boolean }>(`
    select next_${kind}_date = m23.next_run(${kind === 'backup' ? 'backup' : 'test'}_frequency, time_zone, now()) as ahead from public.dr_plans where id = $1`, [plan]);
  return row?.ahead === true;
}

describe('a scheduled backup', () => {
  test('is made when it is due, by nobody\'s quota, and in the plan\'s maker\'s name', async () => {
    const plan = await planned();
    await stack.runCron('backup-create');
    assert.deepEqual(await jobs(), [], 'nothing is due yet');
    await due(plan, 'backup');
    await stack.runCron('backup-create');
    const [job, ...more] = await jobs();
    assert.deepEqual([job?.job_type, job?.status, job?.created_by, more], ['full', 'completed', tenant.userId('owner'), []]);
    assert.ok(await isAhead(plan, 'backup'));
    assert.equal((await client.query('select from m23.requests where tenant_id = $1', [tenant.id])).rowCount, 0);
  });

  test('is made once, even when two Workers wake in the same minute', async () => {
    const plan = await planned({ backup_frequency: '* * * * *' });
    for (let round = 1; round <= 3; round += 1) {
      await due(plan, 'backup', `${round} minutes`);
      await Promise.all([1, 2, 3, 4].map(() => stack.runCron('backup-create')));
      assert.equal((await jobs()).length, round);
    }
    await due(plan, 'backup', '3 minutes');
    await stack.runCron('backup-create');
    assert.equal((await jobs()).length, 3, 'a due time that was taken is not taken again');
  });

  test('is made up for once after an outage, however much was missed', async () => {
    const plan = await planned({ backup_frequency: 'hourly' });
    await due(plan, 'backup', '5 days');
    await stack.runCron('backup-create');
    await stack.runCron('backup-create');
    assert.equal((await jobs()).length, 1);
    assert.ok(await isAhead(plan, 'backup'));
  });

  test('is not made of a plan that is switched off', async () => {
    const plan = await planned();
    await due(plan, 'backup');
    await client.query('update public.dr_plans set is_active = false where id = $1', [plan]);
    await stack.runCron('backup-create');
    assert.deepEqual(await jobs(), []);
  });

  test('is full where none is there, then incremental, and full again when the chain is old', async () => {
    const plan = await planned({ backup_types: ['full', 'incremental'], backup_frequency: '* * * * *' });
    const round = async (ago: number): Promise<void> => { await due(plan, 'backup', `${ago} minutes`); await stack.runCron('backup-create'); };
    await round(9);
    await client.query(`update shop.accounts set balance = 7 where tenant_id = $1`, [tenant.id]);
    await round(8);
    await round(7);
    const [full, first, second] = await jobs();
    assert.deepEqual([full, first, second].map((job) => [job?.job_type, job?.status, job?.error_message]),
      [['full', 'completed', null], ['incremental', 'completed', null], ['incremental', 'completed', null]]);
    assert.deepEqual([first?.base_backup_id, second?.base_backup_id], [full?.id, full?.id]);
    await client.query(`update public.backup_jobs set created_at = created_at - interval '8 days' where id = $1`, [full?.id]);
    await round(6);
    assert.equal((await jobs()).filter(({ job_type }) => job_type === 'full').length, 2, 'a chain of a week is long enough');
  });

  test('that cannot be made stands there as failed, with its reason', async () => {
    const plan = await planned();
    await due(plan, 'backup');
    await client.query(`create function m23.refuse_for_test() returns trigger language plpgsql as $$ begin perform m23.refuse('BACKUP_UNUSABLE', 'not today', array['why: so']); end $$;
      create trigger refuse_for_test before insert on m23.backup_work for each row execute function m23.refuse_for_test()`);
    await stack.runCron('backup-create');
    await client.query('drop trigger refuse_for_test on m23.backup_work; drop function m23.refuse_for_test();');
    const [job] = await jobs();
    assert.deepEqual([job?.status, job?.error_message], ['failed', 'not today: why: so']);
    assert.ok(await isAhead(plan, 'backup'));
  });

  test('waits for the one before it', async () => {
    const plan = await planned({ backup_frequency: '* * * * *' });
    await due(plan, 'backup', '3 minutes');
    await client.query('select public.m23_begin_scheduled_backups()');
    await due(plan, 'backup', '2 minutes');
    await client.query('select public.m23_begin_scheduled_backups()');
    assert.equal((await jobs()).length, 1);
    const { rows } = await client.query(`select note from m23.plan_runs where plan_id = $1 and work_id is null`, [plan]);
    assert.deepEqual(rows, [{ note: 'the backup before it was still running' }]);
  });
});

describe('a scheduled test', () => {
  test('is run when it is due, really restores, and sets the next date', async () => {
    const plan = await planned();
    const backup = await backUp(stack, client, tenant);
    await due(plan, 'test');
    await Promise.all([stack.runCron('recovery-test'), stack.runCron('recovery-test')]);
    await stack.runCron('recovery-test');
    const [one, ...more] = await tests();
    assert.deepEqual(more, [], 'once, whoever wakes');
    assert.deepEqual([one?.['status'], one?.['test_type'], one?.['validation_level'], one?.['dr_plan_id'], one?.['backup_job_id'], one?.['created_by']],
      ['completed', 'scheduled', 'deep', plan, backup, tenant.userId('owner')]);
    assert.equal((one?.['results'] as { issuesFound: number }).issuesFound, 0);
    assert.ok(await isAhead(plan, 'test'));
  });

  test('that has nothing to test stands there as failed, with its reason', async () => {
    const plan = await planned();
    await due(plan, 'test', '2 days');
    await stack.runCron('recovery-test');
    await stack.runCron('recovery-test');
    assert.deepEqual((await tests()).map(({ status, error_message }) => [status, error_message]), [['failed', 'this tenant has no completed backup that the plan covers']]);
    assert.ok(await isAhead(plan, 'test'));
  });
});

test('a tenant is healthy once it is backed up and tested by its plan, and its health is noted after each', async () => {
  const plan = await planned();
  await due(plan, 'backup');
  await due(plan, 'test');
  const score = async (): Promise<number> => {
    const headers = { apikey: stack.anonKey, authorization: `Bearer ${await tenant.token('viewer')}`, 'content-type': 'application/json' };
    const response = await fetch(`${stack.url}/rest/v1/rpc/calculate_health_score`, { method: 'POST', headers, body: JSON.stringify({ p_tenant_id: tenant.id }) });
    assert.equal(response.status, 200);
    return await response.json() as number;
  };
  assert.ok(await score() < 70);
  await stack.runCron('backup-create');
  assert.ok(await score() < 70, 'a backup alone is no proof');
  await stack.runCron('recovery-test');
  assert.equal(await score(), 100);
  const { rows } = await client.query<{ score: string }>('select score from public.health_snapshots where tenant_id = $1 order by created_at', [tenant.id]);
  assert.deepEqual([rows.length >= 2, Number(rows.at(-1)?.score)], [true, 100]);
});
