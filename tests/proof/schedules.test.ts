// What a plan asks for is done when it is due: backups, recovery tests and health, once, whichever Worker wakes.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import type { SupabaseClient } from '@supabase/supabase-js';

import type { Role } from '../../stack/demo-tenants.ts';
import type { FunctionName } from '../../stack/wrangler-config.ts';
import { backUp } from '../fixtures/functions.ts';
import { newPlan } from '../fixtures/recovery.ts';
import { stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { addMember, newTenant, type Tenant, tokenOf } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';

let tenant: Tenant;

const { stack, client, api } = await openShopStack({ twins: true });

/** A tenant of its own with rows and a plan. */
async function planned(more: Record<string, unknown> = {}): Promise<string> {
  tenant = await newTenant(stack, client);
  await stock(client, tenant, 1);
  return await newPlan(client, tenant, more);
}

/** Another tenant that a test has made, with members of its own. */
async function member(id: string): Promise<Tenant> {
  const operator = randomUUID();
  await addMember(client, id, operator, 'operator');
  return { id, userId: () => operator, token: () => tokenOf(stack, operator) };
}

/** Makes a plan due, as if its time had come so long ago. */
async function due(plan: string, kind: 'backup' | 'test', ago = '1 minute', from = new Date()): Promise<void> {
  await client.query(
    `update public.dr_plans set next_${kind}_date = date_trunc('minute', $3::timestamptz) - $2::interval where id = $1`,
    [plan, ago, from],
  );
}

interface Job {
  id: string;
  job_type: string;
  status: string;
  error_message: string | null;
  created_by: string | null;
  base_backup_id: string | null;
}

async function jobs(): Promise<Job[]> {
  return (
    await client.query<Job>(
      'select id, job_type, status, error_message, created_by, base_backup_id from public.backup_jobs where tenant_id = $1 order by created_at',
      [tenant.id],
    )
  ).rows;
}

async function tests(): Promise<Record<string, unknown>[]> {
  return (
    await client.query<Record<string, unknown>>(
      'select status, test_type, validation_level, dr_plan_id, backup_job_id, error_message, created_by, results from public.recovery_tests where tenant_id = $1 order by created_at',
      [tenant.id],
    )
  ).rows;
}

/** The cron triggers of two Workers of a function, each in an isolate of its own, fire at once, twice. */
async function bothWake(name: FunctionName): Promise<void> {
  await Promise.all([false, true, false, true].map((twin) => stack.runCron(name, twin)));
}

async function isAhead(plan: string, kind: 'backup' | 'test'): Promise<boolean> {
  const {
    rows: [row],
  } = await client.query<{ ahead: boolean }>(
    `
    select next_${kind}_date = m23.next_due(p, $2, now()) as ahead from public.dr_plans p where id = $1`,
    [plan, kind],
  );
  return row?.ahead === true;
}

describe('a scheduled backup', () => {
  test("is made when it is due, by nobody's quota, and in the plan's maker's name", async () => {
    const plan = await planned();
    await stack.runCron('backup-create');
    assert.deepEqual(await jobs(), [], 'nothing is due yet');
    await due(plan, 'backup');
    await stack.runCron('backup-create');
    const [job, ...more] = await jobs();
    assert.deepEqual(
      [job?.job_type, job?.status, job?.created_by, more],
      ['full', 'completed', tenant.userId('owner'), []],
    );
    assert.ok(await isAhead(plan, 'backup'));
    assert.equal((await client.query('select from m23.requests where tenant_id = $1', [tenant.id])).rowCount, 0);
  });

  test('is made once, even when two Workers wake in the same minute', async () => {
    const plan = await planned({ backup_frequency: '*/5 * * * *' });
    const from = new Date(); // a minute may end in between
    for (let round = 1; round <= 3; round += 1) {
      await due(plan, 'backup', `${round} minutes`, from);
      await bothWake('backup-create');
      assert.equal((await jobs()).length, round);
      // The next one would wait for it.
      await eventually(jobs, (made) => made.every(({ status }) => status === 'completed'));
    }
    assert.deepEqual(
      (await jobs()).map(({ status }) => status),
      ['completed', 'completed', 'completed'],
    );
    await due(plan, 'backup', '3 minutes', from);
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
    const plan = await planned({ backup_types: ['full', 'incremental'], backup_frequency: '*/5 * * * *' });
    const round = async (ago: number): Promise<void> => {
      await due(plan, 'backup', `${ago} minutes`);
      await stack.runCron('backup-create');
    };
    await round(9);
    await client.query(`update shop.accounts set balance = 7 where tenant_id = $1`, [tenant.id]);
    await round(8);
    await round(7);
    const [full, first, second] = await jobs();
    assert.deepEqual(
      [full, first, second].map((job) => [job?.job_type, job?.status, job?.error_message]),
      [
        ['full', 'completed', null],
        ['incremental', 'completed', null],
        ['incremental', 'completed', null],
      ],
    );
    assert.deepEqual([first?.base_backup_id, second?.base_backup_id], [full?.id, full?.id]);
    await client.query(`update public.backup_jobs set created_at = created_at - interval '8 days' where id = $1`, [
      full?.id,
    ]);
    await round(6);
    assert.equal(
      (await jobs()).filter(({ job_type }) => job_type === 'full').length,
      2,
      'a chain of a week is long enough',
    );
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

  test('that fails by a fault of ours keeps no other plan from being followed, and says so', async () => {
    const plan = await planned();
    await due(plan, 'backup', '2 minutes');
    await due(plan, 'test', '2 minutes');
    const broken = tenant.id;
    const sound = await planned();
    await due(sound, 'backup');
    await client.query(`create function m23.break_for_test() returns trigger language plpgsql as $$ begin if new.tenant_id = '${broken}' then perform 1 / 0; end if; return new; end $$;
      create trigger break_for_test before insert on m23.backup_work for each row execute function m23.break_for_test();
      create trigger break_for_test before insert on public.recovery_tests for each row when (new.backup_job_id is not null) execute function m23.break_for_test()`);
    await stack.runCron('backup-create');
    await client.query(`drop trigger break_for_test on m23.backup_work`);
    assert.deepEqual(
      (await jobs()).map(({ status }) => status),
      ['completed'],
    );
    tenant = { ...tenant, id: broken };
    assert.deepEqual(
      (await jobs()).map(({ status, error_message }) => [status, error_message]),
      [['failed', "it could not be begun; the database's log tells why"]],
    );
    await backUp(stack, client, await member(broken));
    await stack.runCron('recovery-test');
    await client.query(`drop trigger break_for_test on public.recovery_tests; drop function m23.break_for_test()`);
    assert.deepEqual(
      (await tests()).map(({ status, error_message }) => [status, error_message]),
      [['failed', "it could not be begun; the database's log tells why"]],
    );
  });

  test('is not put off by a clock that was ahead and was set back', async () => {
    const plan = await planned({ backup_frequency: 'hourly', test_frequency: 'hourly' });
    await client.query(
      `insert into m23.plan_runs (plan_id, kind, due_at) values ($1, 'backup', date_trunc('hour', now()) + interval '1 year')`,
      [plan],
    );
    await client.query(
      `update public.dr_plans set next_backup_date = now() + interval '1 year', next_test_date = now() + interval '1 year' where id = $1`,
      [plan],
    );
    await stack.runCron('backup-create');
    assert.deepEqual([await isAhead(plan, 'backup'), await isAhead(plan, 'test')], [true, true]);
    assert.deepEqual(await jobs(), []);
    assert.equal(
      (await client.query('select from m23.plan_runs where plan_id = $1', [plan])).rowCount,
      0,
      'that time is still to come',
    );
  });

  test('waits for the one before it', async () => {
    const plan = await planned({ backup_frequency: '*/5 * * * *' });
    await due(plan, 'backup', '3 minutes');
    await client.query('select public.m23_begin_scheduled_backups()');
    await due(plan, 'backup', '2 minutes');
    await client.query('select public.m23_begin_scheduled_backups()');
    assert.equal((await jobs()).length, 1);
    const { rows } = await client.query(`select note from m23.plan_runs where plan_id = $1 and work_id is null`, [
      plan,
    ]);
    assert.deepEqual(rows, [{ note: 'the backup before it was still running' }]);
  });
});

describe('a plan, through supabase-js,', () => {
  const values = {
    plan_name: 'nightly',
    rto_minutes: 30,
    rpo_minutes: 1440,
    backup_frequency: '30 2 * * *',
    test_frequency: 'weekly',
    time_zone: 'Europe/Berlin',
  };
  const as = (role: Role, of: Tenant = tenant): SupabaseClient => api(of, role);

  before(async () => {
    tenant = await newTenant(stack, client);
  });

  for (const role of ['owner', 'admin'] as const) {
    test(`is created, listed, updated and switched off by an ${role}`, async () => {
      const made = await as(role)
        .from('dr_plans')
        .insert({ ...values, plan_name: role })
        .select()
        .single();
      assert.equal(made.error, null, JSON.stringify(made.error));
      assert.deepEqual(
        { ...made.data, id: '', created_at: '', next_backup_date: '', next_test_date: '' },
        {
          ...values,
          plan_name: role,
          id: '',
          tenant_id: tenant.id,
          description: null,
          backup_types: ['full'],
          retention_days: 30,
          is_active: true,
          created_by: tenant.userId(role),
          created_at: '',
          next_backup_date: '',
          next_test_date: '',
        },
        "the caller is the maker, the tenant the caller's",
      );
      assert.ok(
        Date.parse(made.data.next_backup_date as string) > Date.now() &&
          Date.parse(made.data.next_test_date as string) > Date.now(),
      );
      const changed = await as(role)
        .from('dr_plans')
        .update({ rto_minutes: 5, backup_types: ['full', 'incremental'] })
        .eq('id', made.data.id)
        .select();
      assert.deepEqual([changed.data?.[0].rto_minutes, changed.data?.[0].backup_types], [5, ['full', 'incremental']]);
      const off = await as(role).from('dr_plans').update({ is_active: false }).eq('id', made.data.id).select();
      assert.equal(off.data?.[0].is_active, false);
      const listed = await as('viewer').from('dr_plans').select('plan_name, is_active').eq('id', made.data.id);
      assert.deepEqual(listed.data, [{ plan_name: role, is_active: false }], 'every member reads it');
    });
  }

  for (const role of ['operator', 'viewer'] as const) {
    test(`is not for the ${role} to make or change`, async () => {
      const made = await as(role).from('dr_plans').insert(values).select();
      assert.deepEqual([made.status, made.data], [403, null]);
      const before = (await as('owner').from('dr_plans').select().order('id')).data;
      const changed = await as(role)
        .from('dr_plans')
        .update({ rto_minutes: 9, is_active: true })
        .neq('plan_name', '')
        .select();
      assert.deepEqual(changed.data, []);
      assert.deepEqual((await as('owner').from('dr_plans').select().order('id')).data, before);
    });
  }

  test('is never deleted, and its maker stays', async () => {
    assert.equal((await as('owner').from('dr_plans').delete().neq('plan_name', '').select()).status, 403);
    assert.equal(
      (
        await as('owner')
          .from('dr_plans')
          .update({ created_by: tenant.userId('admin') })
          .neq('plan_name', '')
          .select()
      ).status,
      403,
    );
  });

  test("is nobody else's: another tenant neither sees, changes nor makes it", async () => {
    const other = await newTenant(stack, client);
    assert.deepEqual((await as('owner', other).from('dr_plans').select()).data, []);
    assert.deepEqual(
      (await as('owner', other).from('dr_plans').update({ is_active: true }).neq('plan_name', '').select()).data,
      [],
    );
    assert.equal(
      (
        await as('owner', other)
          .from('dr_plans')
          .insert({ ...values, tenant_id: tenant.id })
          .select()
      ).status,
      403,
    );
    assert.equal(
      (
        await as('owner')
          .from('dr_plans')
          .insert({ ...values, created_by: tenant.userId('admin') })
          .select()
      ).status,
      403,
      "nor in another's name",
    );
  });

  for (const [fault, wrong] of Object.entries({
    'backup_frequency: "61 * * * *" is neither a cron expression of five fields nor one of hourly, daily, weekly, monthly':
      { backup_frequency: '61 * * * *' },
    'test_frequency: "0 0 31 2 *" never comes': { test_frequency: '0 0 31 2 *' },
    'time_zone: "Europe/Atlantis" is not a time zone such as Europe/Berlin': { time_zone: 'Europe/Atlantis' },
    'rto_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)': { rto_minutes: 0 },
    'rpo_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)': { rpo_minutes: -1 },
    'retention_days: must be a number of days, from 1 to 36500 (a hundred years)': { retention_days: 2147483647 },
    'backup_types: must name one or more of full, incremental, snapshot': { backup_types: ['partial'] },
    'plan_name: must have 1 to 200 characters': { plan_name: '' },
  })) {
    test(`is refused, new or changed, when ${fault}`, async () => {
      const made = await as('owner')
        .from('dr_plans')
        .insert({ ...values, ...wrong })
        .select();
      const changed = await as('owner').from('dr_plans').update(wrong).neq('plan_name', '').select();
      for (const { status, error } of [made, changed]) {
        assert.deepEqual(
          [status, error?.code, JSON.parse(error?.details ?? 'null')],
          [400, 'VALIDATION_FAILED', [fault]],
        );
        assert.equal(error?.message, 'the plan cannot be kept as it is');
      }
    });
  }
});

describe('a scheduled test', () => {
  test('is run when it is due, really restores, and sets the next date', async () => {
    const plan = await planned();
    const backup = await backUp(stack, client, tenant);
    await due(plan, 'test');
    await bothWake('recovery-test');
    await bothWake('recovery-test');
    const [one, ...more] = await tests();
    assert.deepEqual(more, [], 'once, whoever wakes');
    assert.deepEqual(
      [
        one?.['status'],
        one?.['test_type'],
        one?.['validation_level'],
        one?.['dr_plan_id'],
        one?.['backup_job_id'],
        one?.['created_by'],
      ],
      ['completed', 'scheduled', 'deep', plan, backup, tenant.userId('owner')],
    );
    assert.equal((one?.['results'] as { issuesFound: number } | undefined)?.issuesFound, 0);
    assert.ok(await isAhead(plan, 'test'));
  });

  test('is made up for once after an outage, whoever wakes, and sets the next date', async () => {
    const plan = await planned({ test_frequency: 'hourly', backup_types: ['full'] });
    await backUp(stack, client, tenant);
    await due(plan, 'test', '5 days');
    await bothWake('recovery-test');
    await bothWake('recovery-test');
    assert.deepEqual(
      (await tests()).map(({ status }) => status),
      ['completed'],
    );
    assert.ok(await isAhead(plan, 'test'));
  });

  test('comes again by its frequency when somebody has taken its time away', async () => {
    const plan = await planned();
    await client.query('update public.dr_plans set next_test_date = null where id = $1', [plan]);
    await stack.runCron('recovery-test');
    assert.ok(await isAhead(plan, 'test'));
  });

  test('that has nothing to test stands there as failed, with its reason', async () => {
    const plan = await planned();
    await due(plan, 'test', '2 days');
    await stack.runCron('recovery-test');
    await stack.runCron('recovery-test');
    assert.deepEqual(
      (await tests()).map(({ status, error_message }) => [status, error_message]),
      [['failed', 'this tenant has no completed backup that the plan covers']],
    );
    assert.ok(await isAhead(plan, 'test'));
    assert.ok(
      ((await client.query('select from public.health_snapshots where tenant_id = $1', [tenant.id])).rowCount ?? 0) > 0,
      'the health is noted after it as after every job',
    );
  });
});

test('the health of every tenant is noted once a day, whoever wakes, and not kept for ever', async () => {
  tenant = await newTenant(stack, client);
  const noted = async (): Promise<number | null> =>
    (await client.query('select from public.health_snapshots where tenant_id = $1', [tenant.id])).rowCount;
  const nextDay = async (): Promise<void> =>
    void (await client.query(`update m23.rounds set begun_at = begun_at - interval '1 day'`));
  await nextDay();
  await bothWake('recovery-test');
  await bothWake('recovery-test');
  assert.equal(await noted(), 1);
  await nextDay();
  await client.query(`update public.health_snapshots set created_at = now() - interval '1 day' where tenant_id = $1`, [
    tenant.id,
  ]);
  await bothWake('recovery-test');
  assert.equal(await noted(), 2);
  await nextDay();
  await client.query(
    `update public.health_snapshots set created_at = now() - interval '401 days' where tenant_id = $1`,
    [tenant.id],
  );
  await bothWake('recovery-test');
  assert.equal(await noted(), 1);
});

test('a tenant is healthy once it is backed up and tested by its plan, and its health is noted after each', async () => {
  const plan = await planned();
  await due(plan, 'backup');
  await due(plan, 'test');
  const score = async (): Promise<number> => {
    const { data, status } = await api(tenant, 'viewer').rpc('calculate_health_score', { p_tenant_id: tenant.id });
    assert.equal(status, 200);
    return data as number;
  };
  assert.ok((await score()) < 70);
  await stack.runCron('backup-create');
  assert.ok((await score()) < 70, 'a backup alone is no proof');
  await stack.runCron('recovery-test');
  assert.equal(await score(), 100);
  const { rows } = await client.query<{ score: string }>(
    'select score from public.health_snapshots where tenant_id = $1 order by created_at',
    [tenant.id],
  );
  assert.deepEqual([rows.length >= 2, Number(rows.at(-1)?.score)], [true, 100]);
});
