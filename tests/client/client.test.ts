// The seventeen functions of the client, as an application calls them, on the real stack.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { createClient, type SupabaseClient } from '@supabase/supabase-js';

import * as named from '../../client/src/index.ts';
import { type BackupJob, createM23, setClient } from '../../client/src/index.ts';
import type { Role } from '../../stack/demo-tenants.ts';
import { backUp, failure, type User, userOf } from '../fixtures/client.ts';
import { NOWHERE, newClient } from '../fixtures/people.ts';
import { openStack } from '../fixtures/stack.ts';
import { tokenOf } from '../fixtures/tenants.ts';

const { stack, client: database } = await openStack({ limits: { 'backup-restore': 4 } });

async function user(tenant: 0 | 1, role: Role, network?: typeof fetch): Promise<User> {
  return await userOf(stack, tenant, role, network);
}

/** A client whose user is whoever the token says. */
function withToken(token: string): SupabaseClient {
  return createClient(stack.url, stack.anonKey, { accessToken: async () => token });
}

async function now(): Promise<Date> {
  const {
    rows: [row],
  } = await database.query<{ now: Date }>('select clock_timestamp() as now');
  await database.query('select pg_sleep(0.01)');
  return row!.now;
}

/** Somebody whose calls of one function of the database are counted: `count` gives them, and the rows that they have fetched. */
async function counted(
  tenant: 0 | 1,
  role: Role,
  name: string,
): Promise<User & { count(): [calls: number, rows: number] }> {
  let [calls, rows] = [0, 0];
  const person = await user(tenant, role, async (input, init) => {
    const response = await fetch(input, init);
    if (!String(input).endsWith(`/rpc/${name}`)) return response;
    calls += 1;
    rows += ((await response.clone().json()) as unknown[]).length;
    return response;
  });
  return {
    ...person,
    count() {
      const counts: [number, number] = [calls, rows];
      [calls, rows] = [0, 0];
      return counts;
    },
  };
}

describe('backups', () => {
  test('are described, run to their end and read again', async () => {
    const { m23, tenantId, userId } = await user(0, 'operator');
    const job = await m23.createBackupJob({
      jobType: 'full',
      backupName: 'monday',
      tenantId,
      createdBy: userId,
      tables: ['customers'],
    });
    assert.deepEqual(
      [job.status, job.tenant_id, job.created_by, job.tables],
      ['pending', tenantId, userId, ['customers']],
    );
    const seen: BackupJob[] = [];
    const done = await m23.executeBackup(job.id, { onProgress: (row) => seen.push(row) });
    assert.deepEqual(
      [done.success, done.jobId, done.backupName, done.status, done.job?.status],
      [true, job.id, 'monday', 'completed', 'completed'],
    );
    assert.equal(typeof done.estimatedDuration, 'number');
    assert.equal(seen.at(-1)?.metadata.progress?.percent, 100);
    assert.deepEqual(await m23.getBackupById(job.id), done.job);
    const listed = await m23.getBackupJobs({ status: 'completed', jobType: 'full', tenantId });
    assert.deepEqual(
      listed.find(({ id }) => id === job.id),
      done.job,
    );
  });

  test('are listed newest first, in pages', async () => {
    const { m23, tenantId } = await user(1, 'operator');
    for (const backupName of ['one', 'two', 'three']) await m23.createBackupJob({ jobType: 'full', backupName });
    const first = await m23.getBackupJobs({ limit: 2 });
    assert.deepEqual(
      first.map((job) => job.backup_name),
      ['three', 'two'],
    );
    const second = await m23.getBackupJobs({ limit: 2, before: first.at(-1) });
    assert.deepEqual(
      second.map((job) => [job.backup_name, job.tenant_id]),
      [['one', tenantId]],
    );
    assert.deepEqual(await m23.getBackupJobs({ tenantId: randomUUID() }), []);
  });

  test('of one time are listed in pages, each once', async () => {
    const { m23, tenantId } = await user(1, 'viewer');
    const since = new Date(Date.now() + 3_600_000).toISOString();
    await database.query(
      `insert into public.backup_jobs (tenant_id, backup_name, job_type, created_by, created_at)
        select $1, n::text, 'full', gen_random_uuid(), $2 from generate_series(1, 5) n`,
      [tenantId, since],
    );
    const names: string[] = [];
    for (let last: BackupJob | undefined; names.length < 5; ) {
      const jobs = await m23.getBackupJobs({ limit: 2, before: last });
      names.push(
        ...jobs
          .filter(({ created_at }) => Date.parse(created_at) === Date.parse(since))
          .map(({ backup_name }) => backup_name),
      );
      last = jobs.at(-1);
    }
    assert.deepEqual(names.sort(), ['1', '2', '3', '4', '5']);
  });

  test('need not be waited for, and can be watched', async () => {
    const { m23 } = await user(0, 'operator');
    const job = await m23.createBackupJob({ jobType: 'full', backupName: 'not waited for' });
    const begun = await m23.executeBackup(job.id, { wait: false });
    assert.equal(begun.job, undefined);
    assert.ok(['pending', 'in_progress'].includes(begun.status));
    const statuses: string[] = [];
    const end = await m23.watchBackup(begun.jobId, { onProgress: ({ status }) => statuses.push(status) });
    assert.equal(end.status, 'completed');
    assert.equal(statuses.at(-1), 'completed');
  });

  test("that are not there, or another tenant's, are not found", async () => {
    const [mine, other] = [await user(0, 'owner'), await user(1, 'owner')];
    const job = await mine.m23.createBackupJob({ jobType: 'full', backupName: 'mine' });
    const works = [
      mine.m23.getBackupById(NOWHERE),
      other.m23.getBackupById(job.id),
      other.m23.watchBackup(job.id),
      other.m23.executeBackup(job.id),
    ];
    for (const { code } of await Promise.all(works.map(failure))) assert.equal(code, 'BACKUP_NOT_FOUND');
  });

  test('are described only as a role allows, and whole', async () => {
    const [viewer, operator] = [await user(0, 'viewer'), await user(0, 'operator')];
    const refused = await failure(viewer.m23.createBackupJob({ jobType: 'full', backupName: 'x' }));
    assert.deepEqual([refused.code, refused.status], ['INSUFFICIENT_PERMISSIONS', 403]);
    const faulty = await failure(operator.m23.createBackupJob({ jobType: 'full', backupName: '' }));
    assert.deepEqual([faulty.code, faulty.status], ['VALIDATION_FAILED', 400]);
  });
});

describe('restores', () => {
  test('bring rows back, and are logged', async () => {
    const person = await user(0, 'owner');
    const { supabase, m23 } = person;
    const backup = await backUp(person);
    const before = await supabase.from('customers').select('*').order('id');
    assert.equal((await supabase.from('customers').delete().lt('id', 4)).error, null);
    const answer = await m23.executeRestore({ backupJobId: backup.id, confirmRestore: true });
    assert.deepEqual([answer.success, answer.status], [true, 'completed']);
    assert.deepEqual((await supabase.from('customers').select('*').order('id')).data, before.data);
    const [log] = await m23.getRestoreLogs({ status: 'completed', restoreType: 'backup', limit: 1 });
    assert.deepEqual(
      [log?.id, log?.backup_job_id, log?.snapshot_id],
      [answer.restoreLogId, backup.id, answer.snapshotId],
    );
    assert.deepEqual(await m23.watchRestore(answer.restoreLogId!), log);
  });

  test('that are refused say why: code, status, details, quota and request', async () => {
    const { m23 } = await user(1, 'owner');
    const faulty = await failure(m23.executeRestore({ backupJobId: 'x', confirmRestore: true, tables: [] }));
    assert.deepEqual(
      [faulty.code, faulty.status, faulty.details.length, faulty.name],
      ['VALIDATION_FAILED', 400, 2, 'M23Error'],
    );
    assert.match(faulty.requestId ?? '', /^[0-9a-f-]{36}$/);
    const missing = { backupJobId: NOWHERE, confirmRestore: true } as const;
    for (let n = 0; n < 4; n += 1) assert.equal((await failure(m23.executeRestore(missing))).code, 'BACKUP_NOT_FOUND');
    const limited = await failure(m23.executeRestore(missing));
    assert.deepEqual([limited.code, limited.status], ['RATE_LIMIT_EXCEEDED', 429]);
    assert.ok(Number(limited.retryAfter) > 3500);
    const operator = await user(1, 'operator');
    assert.equal((await failure(operator.m23.executeRestore(missing))).code, 'INSUFFICIENT_PERMISSIONS');
  });
});

describe('point-in-time recovery', () => {
  test('is looked at, done and undone', async () => {
    const { supabase, m23, tenantId } = await user(0, 'owner');
    const before = await supabase.from('customers').select('*').order('id');
    const at = await now();
    const lost = (before.data ?? []).slice(0, 2).map(({ id }) => id as number);
    assert.equal((await supabase.from('customers').delete().in('id', lost)).error, null);

    const preview = await m23.getPITRPreview(at, undefined, ['customers', 'projects', 'tasks']);
    assert.equal(preview.stats.insertCount, preview.stats.totalOperations);
    assert.equal(preview.previewChanges['customers']?.length, 2);
    const stats = await m23.getPITRStats(at);
    assert.deepEqual(stats, (await m23.getPITRPreview(at.toISOString())).stats);
    const looked = await m23.lookAtPITR(at, { tables: ['customers', 'projects', 'tasks'], includeRelated: true });
    const own = { rows: null, previewId: null };
    assert.deepEqual({ ...looked, ...own }, { ...preview, ...own }, 'the same without a call that is counted');
    assert.deepEqual(await m23.getPITRStats(at, await now(), { tenantId }), stats);
    const { planHash } = await m23.lookAtPITR(at, { tables: ['customers', 'projects', 'tasks'], onBlocked: 'skip' });
    assert.notEqual(planHash, preview.planHash, 'what becomes of blocked rows is part of the plan');
    const same = await m23.getPITRPreview(at, undefined, ['customers', 'projects', 'tasks'], { onBlocked: 'skip' });
    assert.equal(same.planHash, planHash);

    const done = await m23.executePITR({ targetTimestamp: at.toISOString(), confirmRestore: true });
    assert.deepEqual([done.success, done.status, done.stats], [true, 'completed', stats]);
    assert.deepEqual((await supabase.from('customers').select('*').order('id')).data, before.data);

    const snapshots = await m23.getActivePITRSnapshots();
    assert.deepEqual([snapshots[0]?.snapshot_id, snapshots[0]?.snapshot_type], [done.snapshotId, 'pre_restore']);
    const look = await m23.executePITRRollback(snapshots[0]!.snapshot_id, 'looking', true);
    assert.equal(look.stats?.deleteCount, stats.insertCount);
    const undone = await m23.executePITRRollback(snapshots[0]!.snapshot_id, 'by mistake', false, {
      planHash: look.planHash,
      onBlocked: 'refuse',
    });
    assert.deepEqual([undone.success, undone.rowsRestored], [true, stats.totalOperations]);
    assert.equal((await supabase.from('customers').select('id').in('id', lost)).data?.length, 0);
    assert.equal((await m23.watchRollback(undone.rollbackId!)).reason, 'by mistake');
    assert.equal((await failure(m23.executePITRRollback(snapshots[0]!.snapshot_id))).code, 'SNAPSHOT_NOT_FOUND');
    await m23.executePITRRollback(undone.snapshotId!);
  });

  test('shows every row of a long preview, and fetches no page before it is read', async () => {
    const { supabase, m23, tenantId, count } = await counted(1, 'owner', 'get_pitr_preview_page');
    const at = await now();
    const rows = Array.from({ length: 1250 }, (_, n) => ({ tenant_id: tenantId, name: `stray ${n}` }));
    assert.equal((await supabase.from('customers').insert(rows)).error, null);
    const preview = await m23.getPITRPreview(at);
    assert.equal(preview.changeCounts['customers'], 1250);
    assert.equal(preview.previewChanges['customers']?.length, 100);
    for (const [read, calls] of [
      [100, 0],
      [101, 1],
      [600, 1],
      [601, 2],
    ]) {
      let seen = 0;
      for await (const _ of preview.rows('customers')) {
        seen += 1;
        if (seen === read) break;
      }
      assert.deepEqual([seen, count()[0]], [read, calls]);
    }
    const keys = new Set<unknown>();
    for await (const { table, operation, key } of preview.rows()) {
      assert.deepEqual([table, operation], ['customers', 'delete']);
      keys.add(key['id']);
    }
    assert.deepEqual([keys.size, count()], [1250, [3, 1150]]);
  });

  test('lists changes under every filter, which the database applies', async () => {
    const { supabase, m23, tenantId, userId } = await user(1, 'operator');
    const since = await now();
    for (const name of ['a', 'b', 'c'])
      assert.equal((await supabase.from('customers').insert({ tenant_id: tenantId, name })).error, null);
    assert.equal((await supabase.from('customers').update({ email: 'c@c.example' }).eq('name', 'c')).error, null);
    const until = await now();
    assert.equal((await supabase.from('customers').delete().eq('name', 'c')).error, null);
    const all = await m23.getTransactionLogs({ tenantId, since });
    assert.deepEqual(
      all.map(({ operation }) => operation),
      ['DELETE', 'UPDATE', 'INSERT', 'INSERT', 'INSERT'],
    );
    const [remove, update, ...inserts] = all;
    assert.deepEqual(
      [remove?.table_name, remove?.actor, remove?.old_values?.['email'], remove?.row_key],
      ['customers', userId, 'c@c.example', update?.row_key],
    );

    const one = await counted(1, 'operator', 'get_transaction_logs');
    for (const [filter, wanted] of [
      [{ limit: 2 }, [remove, update]],
      [{ limit: 2, before: update }, inserts.slice(0, 2)],
      [{ limit: 1, operation: 'UPDATE' }, [update]],
      [{ table: 'projects', since }, []],
      [{ table: 'customers', actor: userId, operation: 'INSERT', since, until }, inserts],
      [{ operation: 'DELETE', since, until: until.toISOString() }, []],
      [{ actor: randomUUID() }, []],
      [{ since: new Date(Date.now() + 3_600_000) }, []],
    ] as const) {
      assert.deepEqual(await one.m23.getTransactionLogs(filter), wanted, JSON.stringify(filter));
      assert.deepEqual(one.count(), [1, wanted.length], 'nothing else is fetched');
    }
  });

  test('tells what happened: when, in which transactions, to which rows', async () => {
    const { supabase, m23, tenantId, userId } = await user(1, 'operator');
    const since = await now();
    const names = ['lost', 'kept'].map((name) => ({ tenant_id: tenantId, name: `${name} ${since.getTime()}` }));
    const { data } = await supabase.from('customers').insert(names).select();
    const [lost] = data as { id: number; name: string }[];
    assert.equal((await supabase.from('customers').update({ email: 'l@c.example' }).eq('id', lost!.id)).error, null);
    assert.equal((await supabase.from('customers').delete().eq('id', lost!.id)).error, null);
    const until = await now();

    const buckets = await m23.getChangeHistogram(since, until, { buckets: 1, tables: ['customers'], actor: userId });
    assert.deepEqual(
      buckets.map(({ operation, row_count, transaction_count }) => [operation, row_count, transaction_count]),
      [
        ['DELETE', 1, 1],
        ['INSERT', 2, 1],
        ['UPDATE', 1, 1],
      ],
    );
    const { rows: newest, before } = await m23.getTransactions({ since, until, limit: 2 });
    const { rows: oldest } = await m23.getTransactions({ since, until, before });
    assert.deepEqual(
      [...newest, ...oldest].map(({ inserts, updates, deletes, tables }) => [inserts, updates, deletes, tables]),
      [
        [0, 0, 1, ['customers']],
        [0, 1, 0, ['customers']],
        [2, 0, 0, ['customers']],
      ],
    );
    const changes = await m23.getTransaction(oldest[0]!.transaction_id);
    assert.deepEqual(
      changes.map(({ operation, old_values, new_values }) => [operation, old_values, new_values?.['name']]),
      names.reverse().map(({ name }) => ['INSERT', null, name]),
    );
    const found = await m23.findRows('customers', { where: { name: lost!.name }, operation: 'DELETE', since });
    assert.deepEqual([found.rows.length, found.searchedBack], [1, undefined]);
    assert.deepEqual(found.rows[0]?.old_values['email'], 'l@c.example');
    const history = await m23.getRowHistory('customers', { id: lost!.id }, { limit: 2 });
    const [made] = await m23.getRowHistory('customers', { id: lost!.id }, { before: history.at(-1) });
    assert.deepEqual(
      [made?.operation, ...history.map((c) => c.changed_columns?.includes('email'))],
      ['INSERT', true, true],
    );
    assert.deepEqual(await m23.getEvents(since, until), []);
    const viewer = await user(1, 'viewer');
    assert.equal((await failure(viewer.m23.findRows('customers'))).code, 'INSUFFICIENT_PERMISSIONS');
    assert.deepEqual((await failure(m23.findRows('customers', { where: { size: 1 } }))).details, [
      'p_filter.size: is no column of the table whose values are kept',
    ]);
  });

  test('lists more changes than a page of the database, page by page, each once', async () => {
    const { supabase, tenantId } = await user(1, 'owner');
    const since = await now();
    for (let n = 0; n < 3; n += 1) {
      const rows = Array.from({ length: 400 }, (_, k) => ({ tenant_id: tenantId, name: `page ${n}/${k}` }));
      assert.equal((await supabase.from('customers').insert(rows)).error, null);
    }
    const { m23, count } = await counted(1, 'operator', 'get_transaction_logs');
    const first = await m23.getTransactionLogs({ since, limit: 1100 });
    assert.deepEqual([first.length, count()], [1100, [2, 1100]]);
    const rest = await m23.getTransactionLogs({ since, before: first.at(-1), limit: 1000 });
    const order = [...first, ...rest].map(({ id }) => id);
    assert.deepEqual([order.length, new Set(order).size], [1200, 1200]);
    assert.deepEqual(
      order,
      order.toSorted((a, b) => b - a),
    );
  });

  test('lists changes to those who may see old values, and refuses a filter that cannot be read', async () => {
    const [viewer, operator, other] = [await user(1, 'viewer'), await user(1, 'operator'), await user(0, 'operator')];
    assert.equal((await failure(viewer.m23.getTransactionLogs())).code, 'INSUFFICIENT_PERMISSIONS');
    assert.equal(
      (await failure(other.m23.getTransactionLogs({ tenantId: operator.tenantId }))).code,
      'TENANT_NOT_FOUND',
    );
    const faulty = await failure(
      operator.m23.getTransactionLogs({ table: 'nowhere', before: { id: 1, transaction_id: 'x' } }),
    );
    assert.deepEqual([faulty.code, faulty.details.length], ['VALIDATION_FAILED', 2]);
    assert.equal(
      (await failure(operator.m23.getTransactionLogs({ since: 'yesterday morning' }))).code,
      'VALIDATION_FAILED',
    );
  });

  test('refuses a moment out of reach, and a plan that no longer holds', async () => {
    const { supabase, m23 } = await user(0, 'owner');
    const early = await failure(m23.getPITRStats('2020-01-01T00:00:00Z'));
    assert.equal(early.code, 'VALIDATION_FAILED');
    assert.match(early.details.join(), /before the history begins/);
    const at = await now();
    assert.equal((await supabase.from('customers').update({ email: 'once' }).eq('id', 7)).error, null);
    const { planHash } = await m23.getPITRPreview(at);
    assert.equal((await supabase.from('customers').update({ email: 'twice' }).eq('id', 7)).error, null);
    const stale = await failure(
      m23.executePITR({ targetTimestamp: at.toISOString(), confirmRestore: true, planHash: planHash ?? null }),
    );
    assert.deepEqual([stale.code, stale.status], ['PLAN_CHANGED', 409]);
    await m23.executePITR({ targetTimestamp: at.toISOString(), confirmRestore: true });
  });
});

describe('plans and health', () => {
  const plan = {
    plan_name: 'standard',
    rto_minutes: 60,
    rpo_minutes: 1440,
    backup_frequency: 'daily',
    backup_types: ['full'],
    retention_days: 30,
    test_frequency: 'monthly',
  };

  test('are entered whole, and listed', async () => {
    const { m23, tenantId, userId } = await user(0, 'owner');
    const entered = await m23.createDRPlan({ ...plan, tenant_id: tenantId, created_by: userId });
    assert.deepEqual([entered.tenant_id, entered.created_by, entered.is_active], [tenantId, userId, true]);
    assert.deepEqual(await m23.fetchDRPlans({ isActive: true, limit: 1 }), [entered]);
    assert.deepEqual(await m23.fetchDRPlans({ isActive: false }), []);
    const faulty = await failure(
      m23.createDRPlan({ ...plan, tenant_id: tenantId, rto_minutes: 0, test_frequency: 'sometimes' }),
    );
    assert.deepEqual([faulty.code, faulty.details.length], ['VALIDATION_FAILED', 2]);
    const operator = await user(0, 'operator');
    assert.equal(
      (await failure(operator.m23.createDRPlan({ ...plan, tenant_id: tenantId }))).code,
      'INSUFFICIENT_PERMISSIONS',
    );
  });

  test('a backup is proved by a recovery test, with a plan or without', async () => {
    const person = await user(1, 'operator');
    const { m23 } = person;
    const backup = await backUp(person, 'to be proved');
    const done = await m23.executeRecoveryTest({
      backup_job_id: backup.id,
      test_type: 'manual',
      test_name: 'by hand',
      validation_level: 'deep',
    });
    assert.deepEqual(
      [done.success, done.status, done.results?.issuesFound, done.results?.backupJobId],
      [true, 'completed', 0, backup.id],
    );
    const row = await m23.watchRecoveryTest(done.testId!);
    assert.deepEqual([row.status, row.test_name, row.validation_level], ['completed', 'by hand', 'deep']);
    const owner = await user(1, 'owner');
    const { id } = await owner.m23.createDRPlan({ ...plan, tenant_id: person.tenantId });
    const planned = await m23.executeRecoveryTest({
      dr_plan_id: id,
      test_type: 'automated',
      test_name: 'planned',
      validation_level: 'basic',
    });
    assert.equal((await m23.watchRecoveryTest(planned.testId!)).dr_plan_id, id);
    const missing = await failure(
      m23.executeRecoveryTest({
        backup_job_id: NOWHERE,
        test_type: 'manual',
        test_name: 'x',
        validation_level: 'basic',
      }),
    );
    assert.equal(missing.code, 'BACKUP_NOT_FOUND');
  });

  test("health is a number from 0 to 100, of one's own tenant only", async () => {
    const [mine, other] = [await user(0, 'viewer'), await user(1, 'viewer')];
    const score = await mine.m23.calculateHealthScore(mine.tenantId);
    assert.ok(score >= 0 && score <= 100, String(score));
    assert.equal(await mine.m23.calculateHealthScore(), score);
    assert.equal(typeof (await mine.m23.calculateHealthScore(undefined, 7)), 'number');
    assert.equal((await failure(mine.m23.calculateHealthScore(other.tenantId))).code, 'TENANT_NOT_FOUND');
  });

  test('scores are listed', async () => {
    const { m23, tenantId } = await user(0, 'viewer');
    await database.query(
      `insert into public.health_snapshots (tenant_id, score, parts, created_at) values ($1, 80, '{}', now() + interval '1 day')`,
      [tenantId],
    );
    assert.deepEqual(
      (await m23.fetchHealthSnapshots({ limit: 1 })).map(({ score }) => score),
      [80],
    );
  });
});

describe('a client', () => {
  test('is set once for the functions exported by name, which are the bound ones', async () => {
    const { supabase, m23 } = await user(0, 'viewer');
    const functions = Object.entries(named).filter(([name]) => name in m23) as [
      string,
      (id: string) => Promise<unknown>,
    ][];
    assert.equal(functions.length, Object.keys(m23).length);
    for (const [name, call] of functions) await assert.rejects(call(NOWHERE), /call setClient/, name);
    setClient(supabase);
    assert.deepEqual(await named.getBackupJobs({ limit: 3 }), await m23.getBackupJobs({ limit: 3 }));
  });

  test('of nobody, and of a user of no tenant, is told so', async () => {
    const anonymous = createM23(newClient(stack));
    assert.equal((await failure(anonymous.executeBackup(NOWHERE))).code, 'AUTH_REQUIRED');
    const nobody = createM23(withToken(await tokenOf(stack, randomUUID())));
    assert.equal((await failure(nobody.getActivePITRSnapshots())).code, 'TENANT_NOT_FOUND');
    assert.equal((await failure(nobody.executeBackup(NOWHERE))).code, 'TENANT_NOT_FOUND');
    const expired = createM23(withToken('not.a.token'));
    assert.equal((await failure(expired.getBackupJobs())).code, 'AUTH_REQUIRED');
  });

  test('that has picked one of its tenants works in that one', async () => {
    const { userId } = await user(0, 'owner');
    const [acme, birch] = [...new Set(stack.users.map(({ tenantId }) => tenantId))];
    await database.query(`insert into public.tenant_members (tenant_id, user_id, role) values ($1, $2, 'owner')`, [
      birch,
      userId,
    ]);
    try {
      for (const tenant of [acme!, birch!]) {
        const picked = createM23(withToken(await tokenOf(stack, userId, tenant)));
        assert.equal((await picked.createBackupJob({ jobType: 'full', backupName: 'picked' })).tenant_id, tenant);
        await picked.getPITRStats(await now());
      }
      const undecided = createM23(withToken(await tokenOf(stack, userId)));
      assert.equal((await failure(undecided.getPITRStats(await now()))).code, 'TENANT_NOT_FOUND');
    } finally {
      await database.query('delete from public.tenant_members where tenant_id = $1 and user_id = $2', [birch, userId]);
    }
  });
});
