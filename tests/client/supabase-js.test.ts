// The product as an unmodified supabase-js client meets it: calls, tables, what it may not reach, and the limit.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { FunctionsHttpError, SupabaseClient } from '@supabase/supabase-js';

import type { Body } from '../fixtures/functions.ts';
import { NOWHERE, newClient, signIn } from '../fixtures/people.ts';
import { openStack } from '../fixtures/stack.ts';
import { eventually } from '../fixtures/time.ts';

const { stack, client: database } = await openStack({ others: 'contract' });

async function invoke(supabase: SupabaseClient, name: string, body: Record<string, unknown>): Promise<Body> {
  const { data, error } = await supabase.functions.invoke<Body>(name, { body });
  assert.equal(error, null, error === null ? '' : await (error as FunctionsHttpError).context.text());
  assert.ok(data);
  return data;
}

async function refused(
  supabase: SupabaseClient,
  name: string,
  body: Record<string, unknown>,
): Promise<{ response: Response; body: Body }> {
  const { data, error } = await supabase.functions.invoke<Body>(name, { body });
  assert.equal(data, null);
  assert.equal((error as FunctionsHttpError).name, 'FunctionsHttpError');
  const response = (error as FunctionsHttpError).context as Response;
  return { response, body: (await response.json()) as Body };
}

interface BackupJob {
  id: string;
  tenant_id: string;
  backup_name: string;
  job_type: string;
  status: string;
  created_by: string;
  is_incremental: boolean;
  backup_size_bytes: number | null;
  duration_seconds: number | null;
  completed_at: string | null;
  metadata: { progress?: { rows: number; percent: number } };
}

async function jobOf(supabase: SupabaseClient, id: unknown): Promise<BackupJob> {
  const { data, error } = await supabase.from('backup_jobs').select('*').eq('id', id).single<BackupJob>();
  assert.equal(error, null);
  return data;
}

async function completed(supabase: SupabaseClient, id: unknown): Promise<BackupJob> {
  return await eventually(
    () => jobOf(supabase, id),
    ({ status }) => status === 'completed',
  );
}

describe('an unmodified supabase-js client', () => {
  test('backs up, reads the job, damages and restores', async () => {
    const { supabase, tenantId, userId } = await signIn(stack, 0, 'owner');
    const begun = await invoke(supabase, 'backup-create', {
      jobType: 'full',
      backupName: 'before the migration',
      description: 'by hand',
    });
    assert.deepEqual(Object.keys(begun).sort(), ['backupName', 'estimatedDuration', 'jobId', 'status', 'success']);
    assert.equal(begun['backupName'], 'before the migration');
    assert.equal(typeof begun['estimatedDuration'], 'number');
    assert.ok(['pending', 'in_progress'].includes(String(begun['status'])));

    const job = await completed(supabase, begun['jobId']);
    assert.deepEqual(
      [job.tenant_id, job.created_by, job.job_type, job.is_incremental],
      [tenantId, userId, 'full', false],
    );
    assert.ok((job.backup_size_bytes ?? 0) > 0 && (job.duration_seconds ?? -1) >= 0 && job.completed_at !== null);
    assert.deepEqual([job.metadata.progress?.rows, job.metadata.progress?.percent], [380, 100]);

    const before = await supabase.from('customers').select('*').order('id');
    assert.equal((await supabase.from('customers').delete().lt('id', 5)).error, null);
    assert.equal((await supabase.from('customers').update({ email: 'mangled' }).gte('id', 5)).error, null);
    assert.equal((await supabase.from('customers').insert({ tenant_id: tenantId, name: 'a stray' })).error, null);
    const answer = await invoke(supabase, 'backup-restore', { backupJobId: job.id, confirmRestore: true });
    assert.equal(answer['status'], 'completed');
    assert.deepEqual(answer['restoredTables'], ['customers', 'projects', 'tasks']);
    assert.deepEqual((await supabase.from('customers').select('*').order('id')).data, before.data);

    const log = await supabase
      .from('restore_logs')
      .select('status, rows_restored, snapshot_id, backup_job_id')
      .eq('id', answer['restoreLogId'])
      .single();
    assert.deepEqual(log.data, {
      status: 'completed',
      rows_restored: answer['rowsRestored'],
      snapshot_id: answer['snapshotId'],
      backup_job_id: job.id,
    });
    const snapshot = await supabase
      .from('pitr_snapshots')
      .select('snapshot_type, restore_log_id')
      .eq('id', answer['snapshotId'])
      .single();
    assert.deepEqual(snapshot.data, { snapshot_type: 'pre_restore', restore_log_id: answer['restoreLogId'] });
  });

  test('describes a job first, and backup-create runs it once', async () => {
    const { supabase, tenantId, userId } = await signIn(stack, 0, 'operator');
    const row = { job_type: 'full', backup_name: 'described', tenant_id: tenantId, created_by: userId };
    const { data: job, error } = await supabase.from('backup_jobs').insert(row).select().single<BackupJob>();
    assert.equal(error, null);
    assert.equal(job?.status, 'pending');
    await stack.runCron('backup-create');
    assert.equal((await jobOf(supabase, job?.id)).status, 'pending', 'the clock takes up only what was accepted');

    const begun = await invoke(supabase, 'backup-create', { jobId: job?.id });
    assert.deepEqual([begun['jobId'], begun['backupName']], [job?.id, 'described']);
    await completed(supabase, job?.id);
    const again = await refused(supabase, 'backup-create', { jobId: job?.id });
    assert.deepEqual([again.response.status, again.body.code], [400, 'VALIDATION_FAILED']);
    assert.match(again.body.details?.join() ?? '', /^jobId: /);
  });

  test('describes jobs only for its own tenant, in its own name, and as its role allows', async () => {
    const [operator, viewer, stranger] = [
      await signIn(stack, 0, 'operator'),
      await signIn(stack, 0, 'viewer'),
      await signIn(stack, 1, 'owner'),
    ];
    const row = { job_type: 'full', backup_name: 'x', tenant_id: operator.tenantId, created_by: operator.userId };
    const attempts = [
      [viewer.supabase, { ...row, created_by: viewer.userId }],
      [operator.supabase, { ...row, created_by: viewer.userId }],
      [operator.supabase, { ...row, tenant_id: stranger.tenantId }],
      [stranger.supabase, { ...row, created_by: stranger.userId }],
      [operator.supabase, { ...row, status: 'completed' }],
      [operator.supabase, { ...row, metadata: { manifest: 'x' } }],
      [newClient(stack), row],
    ] as const;
    for (const [supabase, values] of attempts) {
      const { error } = await supabase.from('backup_jobs').insert(values);
      assert.equal(error?.code, '42501', JSON.stringify(values));
    }
    const defaults = await operator.supabase
      .from('backup_jobs')
      .insert({ job_type: 'full', backup_name: 'defaults' })
      .select()
      .single<BackupJob>();
    assert.deepEqual([defaults.data?.tenant_id, defaults.data?.created_by], [operator.tenantId, operator.userId]);
  });

  test('sees no job, log or snapshot of another tenant, and changes none of its own', async () => {
    const [owner, viewer, stranger] = [
      await signIn(stack, 0, 'owner'),
      await signIn(stack, 0, 'viewer'),
      await signIn(stack, 1, 'owner'),
    ];
    const { jobId } = await invoke(owner.supabase, 'backup-create', { jobType: 'full' });
    await completed(owner.supabase, jobId);
    await invoke(owner.supabase, 'backup-restore', { backupJobId: jobId, confirmRestore: true });
    for (const table of ['backup_jobs', 'restore_logs', 'pitr_snapshots']) {
      const { data: mine } = await viewer.supabase.from(table).select('id, tenant_id');
      assert.ok(mine !== null && mine.length > 0, `every member reads ${table}`);
      assert.deepEqual(
        (
          await stranger.supabase
            .from(table)
            .select('id')
            .in(
              'id',
              mine.map(({ id }) => String(id)),
            )
        ).data,
        [],
      );
      assert.notEqual(
        (await owner.supabase.from(table).update({ status: 'failed' }).eq('tenant_id', owner.tenantId)).error,
        null,
      );
      assert.notEqual((await owner.supabase.from(table).delete().eq('tenant_id', owner.tenantId)).error, null);
      assert.notEqual(
        (await newClient(stack).from(table).select('id')).error,
        null,
        'without a sign-in there is nothing to see',
      );
    }
    const answer = await refused(stranger.supabase, 'backup-restore', { backupJobId: jobId, confirmRestore: true });
    assert.deepEqual([answer.response.status, answer.body.code], [404, 'BACKUP_NOT_FOUND']);
  });

  test('cannot reach what the functions use: their calls, their tables, their schemas', async () => {
    const { supabase } = await signIn(stack, 0, 'owner');
    for (const name of [
      'm23_admit',
      'm23_claim_backup',
      'm23_read_chunk',
      'm23_execute_restore',
      'm23_sweep',
      'm23_finish_request',
      'm23_fail_backup',
      'm23_release_work',
      'm23_stage_chunk',
    ]) {
      const { error, data } = await supabase.rpc(name, {});
      assert.notEqual(error, null, `${name} gave ${JSON.stringify(data)}`);
    }
    for (const schema of ['m23', 'm23_log', 'm23_staging']) {
      assert.notEqual((await supabase.schema(schema).from('settings').select()).error, null);
    }
    const { rows } = await database.query<{ name: string }>(`
      select proname as name from pg_proc where pronamespace = 'public'::regnamespace and proname ~ '^m23_' and has_function_privilege('authenticated', oid, 'execute')`);
    for (const { name } of rows)
      assert.match(
        name,
        /^m23_(authorize|begin|preview)(_|$)/,
        "users begin work and look; the rest is the functions' own",
      );
  });

  test('meets the limit, and is told in headers how large it is and when to come back', async () => {
    const { supabase } = await signIn(stack, 1, 'owner');
    const now = Math.floor(Date.now() / 1000);
    const missing = { backupJobId: NOWHERE, confirmRestore: true };
    const { data: used } = await supabase.functions.invoke<Body>('backup-restore', { body: {} });
    assert.equal(used, null, 'an invalid request counts for nothing');
    let refusal = await refused(supabase, 'backup-restore', missing);
    const remaining: (string | null)[] = [];
    while (refusal.response.status === 404) {
      remaining.push(refusal.response.headers.get('x-ratelimit-remaining'));
      refusal = await refused(supabase, 'backup-restore', missing);
    }
    assert.deepEqual(remaining.at(-1), '0');
    assert.deepEqual(
      [refusal.response.status, refusal.body.code, refusal.body.success],
      [429, 'RATE_LIMIT_EXCEEDED', false],
    );
    const { headers } = refusal.response;
    assert.deepEqual([headers.get('x-ratelimit-limit'), headers.get('x-ratelimit-remaining')], ['5', '0']);
    const reset = Number(headers.get('x-ratelimit-reset'));
    assert.ok(reset > now + 3500 && reset <= now + 3605, String(reset - now));
    assert.ok(Math.abs(Number(headers.get('retry-after')) - (reset - Math.floor(Date.now() / 1000))) <= 2);
    const exposed = headers.get('access-control-expose-headers')?.toLowerCase() ?? '';
    for (const name of ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'retry-after'])
      assert.ok(exposed.includes(name), name);
    const other = await invoke(supabase, 'backup-create', { jobType: 'full' });
    await completed(supabase, other['jobId']);
  });
});
