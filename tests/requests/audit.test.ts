// Every call and every change is in its tenant's audit or the server's log, and an altered entry is found.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import type { Role } from '../../stack/demo-tenants.ts';
import { bytesOf, prefixOf } from '../fixtures/archive.ts';
import { backUp, call, restored } from '../fixtures/functions.ts';
import { stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';

let tenant: Tenant;

const { stack, client, asService } = await openShopStack({ limits: { 'pitr-restore': 2 } });

interface Entry {
  seq: number;
  action: string;
  actor: string;
  outcome: string;
  status: number | null;
  code: string | null;
  from_address: string | null;
  user_agent: string | null;
  request_id: string | null;
  detail: Record<string, unknown> | null;
}

async function rpc<T>(name: string, role: Role, args: Record<string, unknown>): Promise<{ status: number; body: T }> {
  const headers = {
    apikey: stack.anonKey,
    authorization: `Bearer ${await tenant.token(role)}`,
    'content-type': 'application/json',
    'user-agent': 'a client',
    'x-forwarded-for': '192.0.2.44, 10.0.0.1',
  };
  const response = await fetch(`${stack.url}/rest/v1/rpc/${name}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(args),
  });
  return { status: response.status, body: (await response.json()) as T };
}

/** The tenant's calls, oldest first, once every one has its outcome: it is written after the answer. */
async function audited(count: number): Promise<Entry[]> {
  const look = async (): Promise<Entry[]> =>
    (await rpc<Entry[]>('get_audit_log', 'owner', { p_tenant_id: tenant.id })).body;
  const entries = await eventually(
    look,
    (seen) => seen.length >= count && seen.every(({ outcome }) => outcome !== 'no outcome was recorded'),
  );
  assert.equal(entries.length, count, JSON.stringify(entries));
  return entries.reverse();
}

async function verified(): Promise<Record<string, unknown>> {
  return (await rpc<Record<string, unknown>>('verify_audit', 'owner', { p_tenant_id: tenant.id })).body;
}

interface Refusal {
  code: string;
  method: string;
  path: string;
  actor: string;
  tenants: string[] | null;
  from_address: string | null;
  user_agent: string;
}

/** What the server's log has of refused calls. */
function refusals(): Refusal[] {
  const lines = readFileSync(join(stack.stateDir, 'postgres.log'), 'utf8').matchAll(/LOG: {2}m23: refused (.*)/g);
  return [...lines].map(([, entry = '']) => JSON.parse(entry) as Refusal);
}

async function fresh(): Promise<void> {
  tenant = await newTenant(stack, client);
  await stock(client, tenant, 1);
}

describe('every call of a function', () => {
  before(fresh);

  test('is in the audit of its tenant: who, when, from where, with what outcome', async () => {
    const at = new Date().toISOString();
    const calls: [string, Role, unknown, number][] = [
      ['backup-create', 'operator', { jobType: 'full' }, 200],
      ['backup-create', 'viewer', { jobType: 'full' }, 403],
      ['backup-create', 'owner', { jobType: 'half' }, 400],
      ['backup-restore', 'admin', { backupJobId: randomUUID(), confirmRestore: true }, 404],
      ['pitr-restore', 'owner', { targetTimestamp: at, dryRun: true }, 200],
      ['pitr-restore', 'owner', { targetTimestamp: at, dryRun: true }, 200],
      ['pitr-restore', 'owner', { targetTimestamp: at, dryRun: true }, 429],
      ['pitr-rollback', 'owner', { snapshotId: randomUUID(), confirmRollback: true }, 404],
      [
        'recovery-test',
        'operator',
        { test_name: 'x', test_type: 'manual', validation_level: 'basic', backup_job_id: randomUUID() },
        404,
      ],
    ];
    const expected: unknown[] = [];
    for (const [name, role, body, status] of calls) {
      const reply = await call(stack, name, await tenant.token(role), body, {
        headers: { 'cf-connecting-ip': '192.0.2.44', 'user-agent': 'a test' },
      });
      assert.equal(reply.status, status, JSON.stringify(reply.body));
      expected.push([
        name,
        tenant.userId(role),
        status,
        reply.body.code ?? null,
        reply.headers.get('x-request-id'),
        '192.0.2.44',
        'a test',
        [403, 400, 429].includes(status) ? 'refused' : 'ended',
      ]);
    }
    const entries = await audited(calls.length);
    // What is refused without having been admitted is written after its answer: order is of writing.
    const seen = entries.map((e) => [
      e.action,
      e.actor,
      e.status,
      e.code,
      e.request_id,
      e.from_address,
      e.user_agent,
      e.outcome,
    ]);
    const byRequest = (a: unknown, b: unknown): number =>
      String((a as unknown[])[4]).localeCompare(String((b as unknown[])[4]));
    assert.deepEqual(seen.sort(byRequest), expected.sort(byRequest));
    assert.equal((await verified())['valid'], true);
  });

  test('at once stays one chain', async () => {
    const token = await tenant.token('viewer');
    await Promise.all(Array.from({ length: 20 }, () => call(stack, 'backup-create', token, { jobType: 'full' })));
    const look = async (): Promise<Entry[]> =>
      (await rpc<Entry[]>('get_audit_log', 'owner', { p_tenant_id: tenant.id })).body.filter(
        ({ status }) => status === 403,
      );
    const count = (entries: Entry[]): number => entries.reduce((sum, { detail }) => sum + Number(detail?.['count']), 0);
    const entries = await eventually(look, (seen) => count(seen) === 1 + 20);
    assert.ok(entries.length <= 3, 'one a minute, user and cause');
    await client.query(`update m23.refusals set minute = minute - interval '1 minute'`);
    await client.query('select m23.write_refusals()');
    assert.deepEqual(await look().then(count), 1 + 20);
    assert.deepEqual(
      [(await verified())['valid'], (await verified())['entries']],
      [true, 6 * 2 + 2 + entries.length],
      'six calls have a beginning and an end, three causes of refusals an entry each',
    );
  });

  test('that never ended says so', async () => {
    await client.query(
      `select public.m23_admit(jsonb_build_object('id', gen_random_uuid(), 'tenant_id', $1::text, 'user_id', gen_random_uuid(), 'function', 'backup-restore', 'limit', 9, 'from', '{}'::jsonb))`,
      [tenant.id],
    );
    const {
      body: [newest],
    } = await rpc<Entry[]>('get_audit_log', 'owner', { p_tenant_id: tenant.id, p_limit: 1 });
    assert.deepEqual(
      [newest?.action, newest?.outcome, newest?.status],
      ['backup-restore', 'no outcome was recorded', null],
    );
  });

  test('is for the owner to read', async () => {
    for (const role of ['admin', 'operator', 'viewer'] as const) {
      assert.equal((await rpc('get_audit_log', role, { p_tenant_id: tenant.id })).status, 403);
      assert.equal((await rpc('verify_audit', role, { p_tenant_id: tenant.id })).status, 403);
    }
  });
});

describe('every change through the API', () => {
  before(fresh);

  test('is in the audit: functions of the database, and rows that clients write', async () => {
    const owner = tenant.userId('owner');
    const made = await rpc<string>('create_pitr_snapshot', 'owner', {
      p_tenant_id: tenant.id,
      p_snapshot_name: 's',
      p_affected_tables: null,
      p_created_by: owner,
    });
    const undone = await rpc<string>('execute_pitr_rollback', 'owner', {
      p_snapshot_id: made.body,
      p_initiated_by: owner,
    });
    assert.deepEqual([made.status, undone.status], [200, 200], JSON.stringify(undone.body));
    const headers = {
      apikey: stack.anonKey,
      authorization: `Bearer ${await tenant.token('owner')}`,
      'content-type': 'application/json',
      prefer: 'return=representation',
    };
    const plan = { plan_name: 'p', rto_minutes: 1, rpo_minutes: 1, backup_frequency: 'daily', test_frequency: 'daily' };
    const response = await fetch(`${stack.url}/rest/v1/dr_plans`, {
      method: 'POST',
      headers,
      body: JSON.stringify(plan),
    });
    const [row] = (await response.json()) as { id: string }[];
    const entries = await audited(3);
    assert.deepEqual(
      entries.map(({ action, actor, outcome, detail }) => [action, actor, outcome, detail?.['id']]),
      [
        ['create_pitr_snapshot', owner, 'done', made.body],
        ['execute_pitr_rollback', owner, 'done', undone.body],
        ['insert dr_plans', owner, 'done', row?.id],
      ],
    );
    assert.deepEqual([entries[0]?.user_agent, entries[0]?.from_address], ['a client', '192.0.2.44']);
    assert.equal((await verified())['valid'], true);
  });

  test('is in it as well when it stops a restore, drops a copy, or adopts a backup', async () => {
    const backup = await backUp(stack, client, tenant);
    const { restoreLogId } = await restored(stack, tenant, backup, { targetSchema: 'audited_copy' });
    const {
      rows: [work],
    } = await client.query<{ id: string }>(
      `insert into m23.restore_work (work_id, tenant_id, kind, moment) values (gen_random_uuid(), $1, 'pitr', m23.moment_of(pg_current_snapshot())) returning work_id as id`,
      [tenant.id],
    );
    assert.equal((await rpc('cancel_restore', 'admin', { p_id: work?.id })).status, 200);
    await client.query('select m23.end_work($1)', [work?.id]);
    assert.equal((await rpc('drop_restore_copy', 'owner', { p_restore_log_id: restoreLogId })).status, 200);
    const object = `${prefixOf(tenant, backup)}manifest.json`;
    const manifest = await bytesOf(stack, object);
    const service = asService();
    const { error } = await service.rpc('adopt_backup', {
      p_manifest: JSON.parse(manifest.toString('utf8')),
      p_object: object,
      p_sha256: createHash('sha256').update(manifest).digest('hex'),
    });
    assert.equal(error, null);
    const { rows } = await client.query(
      `select action, actor, detail from public.audit_log where tenant_id = $1 and event = 'done' order by seq desc limit 3`,
      [tenant.id],
    );
    assert.deepEqual(rows.reverse(), [
      { action: 'cancel_restore', actor: tenant.userId('admin'), detail: { id: work?.id } },
      { action: 'drop_restore_copy', actor: tenant.userId('owner'), detail: { id: restoreLogId, dropped: true } },
      { action: 'adopt_backup', actor: null, detail: { id: backup } },
    ]);
  });

  test("and refused, it is in the server's log: who, of which tenant, what, from where, with what code", async () => {
    const written = async (): Promise<unknown> =>
      (await client.query('select count(*) from public.audit_log where tenant_id = $1', [tenant.id])).rows;
    const before = await written();
    const other = await newTenant(stack, client);
    const at = { p_tenant_id: tenant.id, p_snapshot_name: 's', p_affected_tables: null };
    const calls: [string, Role, Record<string, unknown>, string][] = [
      ['create_pitr_snapshot', 'viewer', { ...at, p_created_by: tenant.userId('viewer') }, 'INSUFFICIENT_PERMISSIONS'],
      [
        'create_pitr_snapshot',
        'owner',
        { ...at, p_tenant_id: other.id, p_created_by: tenant.userId('owner') },
        'TENANT_NOT_FOUND',
      ],
      [
        'create_pitr_snapshot',
        'owner',
        { ...at, p_snapshot_name: '', p_created_by: tenant.userId('owner') },
        'VALIDATION_FAILED',
      ],
      [
        'execute_pitr_rollback',
        'admin',
        { p_snapshot_id: randomUUID(), p_initiated_by: tenant.userId('admin') },
        'SNAPSHOT_NOT_FOUND',
      ],
      ['cancel_backup', 'owner', { p_backup_id: randomUUID() }, 'BACKUP_NOT_FOUND'],
      ['delete_backup', 'owner', { p_backup_id: randomUUID() }, 'BACKUP_NOT_FOUND'],
      ['keep_backup', 'owner', { p_backup_id: randomUUID() }, 'BACKUP_NOT_FOUND'],
      [
        'm23_begin_backup',
        'owner',
        { p_request_id: randomUUID(), p_backup: { jobType: 'full' } },
        'INSUFFICIENT_PERMISSIONS',
      ],
      ['verify_audit', 'admin', { p_tenant_id: tenant.id }, 'INSUFFICIENT_PERMISSIONS'],
    ];
    for (const [name, role, args, code] of calls) {
      const { status, body } = await rpc<{ code: string }>(name, role, args);
      assert.deepEqual([status >= 400, body.code], [true, code], name);
    }
    const headers = {
      apikey: stack.anonKey,
      authorization: `Bearer ${await tenant.token('owner')}`,
      'content-type': 'application/json',
      'user-agent': 'a client',
      'x-forwarded-for': '192.0.2.44, 10.0.0.1',
    };
    await fetch(`${stack.url}/rest/v1/dr_plans`, { method: 'POST', headers, body: JSON.stringify({ plan_name: '' }) });
    const logged = refusals().filter(({ tenants }) => tenants?.includes(tenant.id));
    assert.deepEqual(
      logged.map(({ method, path, actor, tenants, code, user_agent: agent, from_address: from }) => [
        method,
        path,
        actor,
        tenants,
        code,
        agent,
        from,
      ]),
      [
        ...calls.map(([name, role, , code]) => [
          'POST',
          `/rpc/${name}`,
          tenant.userId(role),
          [tenant.id],
          code,
          'a client',
          '192.0.2.44',
        ]),
        ['POST', '/dr_plans', tenant.userId('owner'), [tenant.id], 'VALIDATION_FAILED', 'a client', '192.0.2.44'],
      ],
    );
    assert.deepEqual(await written(), before, 'its own entry was taken back with it');
    assert.equal(
      refusals().filter(({ path }) => path.includes('m23_')).length,
      1,
      'calls of the functions are in the audit, and there alone',
    );
  });

  test('goes with the tenant when it is forgotten, and with it alone', async () => {
    const others = async (): Promise<unknown> =>
      (await client.query('select count(*) from public.audit_log where tenant_id <> $1', [tenant.id])).rows;
    const before = await others();
    await client.query('select m23.forget_tenant($1)', [tenant.id]);
    assert.deepEqual([(await verified())['entries'], await others()], [0, before]);
  });
});
