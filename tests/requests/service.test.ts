// The service: the five functions with the service key, for a tenant that the call names; and what the auth
// server and the database may lack meanwhile.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { createClient } from '@supabase/supabase-js';

import { createM23, type M23 } from '../../client/src/index.ts';
import { ROOT } from '../../stack/places.ts';
import { type Body, call, completed, ok, type Reply, refusal } from '../fixtures/functions.ts';
import { type Block, blocksOf, runBlocks } from '../fixtures/page.ts';
import { damage, rowsOf, stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant, tokenOf } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';
import { m23 } from '../fixtures/tool.ts';

const SNAPSHOT = { jobType: 'snapshot' };
const WHY = 'the customer’s import, undone';
const DRILL = { test_name: 'drill', test_type: 'manual', validation_level: 'deep' };

const { stack, client, stocked, asService } = await openShopStack({ limits: { 'pitr-restore': 1 } });

/** The headers of the service's call for a tenant. */
function purpose(tenant: { id: string }, more: Sent = {}): Sent {
  const headers = { 'x-m23-tenant': tenant.id, 'x-m23-reason': WHY, ...more };
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, encodeURIComponent(value)]));
}

type Sent = Record<string, string>;

async function service(tenant: { id: string }, name: string, body: unknown, more: Sent = {}): Promise<Reply> {
  return await call(stack, name, stack.serviceRoleKey, body, { headers: purpose(tenant, more) });
}

async function raw(name: string, token: string, headers: Sent, body: unknown = SNAPSHOT): Promise<Reply> {
  return await call(stack, name, token, body, { headers });
}

async function now(): Promise<string> {
  const {
    rows: [row],
  } = await client.query<{ at: string }>('select m23.iso(clock_timestamp()) as at');
  return row!.at;
}

async function one<T>(query: string, values: unknown[] = []): Promise<T> {
  const {
    rows: [row],
  } = await client.query(query, values);
  return row as T;
}

/** A tenant whose every row and member is deleted, its rows as they were, and a moment before that. */
async function lost(): Promise<{ tenant: Tenant; rows: Awaited<ReturnType<typeof rowsOf>>; moment: string }> {
  const tenant = await stocked();
  const rows = await rowsOf(client, tenant);
  const moment = await now();
  await client.query('update shop.orders set follows = null where tenant_id = $1', [tenant.id]);
  await client.query('delete from shop.accounts where tenant_id = $1', [tenant.id]);
  await client.query('delete from public.tenant_members where tenant_id = $1', [tenant.id]);
  assert.equal(Object.values(await rowsOf(client, tenant)).flat().length, 0);
  return { tenant, rows, moment };
}

describe('the service', () => {
  let tenant: Tenant;
  let before: Awaited<ReturnType<typeof rowsOf>>;
  let backup: string;
  let snapshot: string;

  async function createdBy(table: string, id: unknown): Promise<unknown> {
    const by = `select coalesce(created_by::text, 'nobody') as by from public.${table} where id = $1`;
    return (await one<{ by: unknown }>(by, [id])).by;
  }

  test('makes a backup for the tenant that it names, and nobody has created it', async () => {
    tenant = await stocked();
    before = await rowsOf(client, tenant);
    backup = String(ok(await service(tenant, 'backup-create', { jobType: 'full' }))['jobId']);
    await completed(client, backup);
    const job = await one<{ tenant_id: string }>('select tenant_id from public.backup_jobs where id = $1', [backup]);
    assert.deepEqual([job.tenant_id, await createdBy('backup_jobs', backup)], [tenant.id, 'nobody']);
  });

  test('looks at a moment without a reason, page by page, and goes back to it', async () => {
    const targetTimestamp = await now();
    await damage(client, tenant);
    const named = { 'x-m23-tenant': tenant.id };
    const look = ok(await raw('pitr-restore', stack.serviceRoleKey, named, { targetTimestamp, dryRun: true }));
    const args = { p_preview_id: look['previewId'], p_table: 'shop.accounts' };
    const page = await asService().rpc('get_pitr_preview_page', args);
    assert.equal(page.status, 200);
    const confirmed = { targetTimestamp, confirmRestore: true, planHash: look['planHash'] };
    const done = ok(await service(tenant, 'pitr-restore', confirmed));
    assert.deepEqual(done['stats'], look['stats']);
    assert.deepEqual(await rowsOf(client, tenant), before);
    snapshot = String(done['snapshotId']);
    assert.equal(await createdBy('restore_logs', done['restoreLogId']), 'nobody');
    assert.equal(await createdBy('pitr_snapshots', snapshot), 'nobody');
  });

  test('rolls that back, restores the backup, and tests it', async () => {
    const rolled = ok(await service(tenant, 'pitr-rollback', { snapshotId: snapshot, confirmRollback: true }));
    assert.notDeepEqual(await rowsOf(client, tenant), before);
    assert.equal(await createdBy('pitr_rollbacks', rolled['rollbackId']), 'nobody');
    ok(await service(tenant, 'backup-restore', { backupJobId: backup, confirmRestore: true }));
    assert.deepEqual(await rowsOf(client, tenant), before);
    const tested = ok(await raw('recovery-test', stack.serviceRoleKey, { 'x-m23-tenant': tenant.id }, DRILL));
    assert.equal((tested['results'] as { issuesFound: number }).issuesFound, 0);
    assert.equal(await createdBy('recovery_tests', tested['testId']), 'nobody');
  });

  test("uses up nothing of the tenant's quota, and is not refused for it", async () => {
    const body = { targetTimestamp: await now(), dryRun: true };
    const owner = await tenant.token('owner');
    const used = await call(stack, 'pitr-restore', owner, body);
    assert.deepEqual([used.status, used.headers.get('x-ratelimit-remaining')], [200, '0'], 'the one was left');
    assert.deepEqual(refusal(await call(stack, 'pitr-restore', owner, body)), [429, 'RATE_LIMIT_EXCEEDED']);
    const reply = await service(tenant, 'pitr-restore', body);
    const window = ['limit', 'remaining'].map((name) => reply.headers.get(`x-ratelimit-${name}`));
    assert.deepEqual([reply.status, ...window], [200, '1', '0']);
  });

  test('gets the same answer again under its Idempotency-Key', async () => {
    const key = { 'idempotency-key': 'k' };
    const again = (): Promise<Reply> => service(tenant, 'backup-create', SNAPSHOT, key);
    const first = ok(await again());
    const second = await again();
    assert.deepEqual([second.body, second.headers.get('idempotent-replayed')], [first, 'true']);
  });

  test("touches no other tenant's backup", async () => {
    const other = await newTenant(stack, client);
    const reply = await service(other, 'backup-restore', { backupJobId: backup, confirmRestore: true });
    assert.deepEqual(refusal(reply), [404, 'BACKUP_NOT_FOUND']);
  });
});

describe('a tenant whose rows and members are all gone', () => {
  test('comes back from the log', async () => {
    const { tenant, rows, moment } = await lost();
    ok(await service(tenant, 'pitr-restore', { targetTimestamp: moment, confirmRestore: true }));
    assert.deepEqual(await rowsOf(client, tenant), rows);
  });

  test('is unknown where nothing has ever heard of it, whatever is called', async () => {
    const bodies = {
      'backup-create': { jobType: 'full' },
      'backup-restore': { backupJobId: randomUUID(), confirmRestore: true },
      'pitr-restore': { targetTimestamp: await now(), dryRun: true },
      'pitr-rollback': { snapshotId: randomUUID(), confirmRollback: true },
      'recovery-test': DRILL,
    };
    for (const [name, body] of Object.entries(bodies)) {
      for (const id of [randomUUID(), 'acme', `${randomUUID()}x`, 'a'.repeat(600)]) {
        assert.deepEqual(refusal(await service({ id }, name, body)), [403, 'TENANT_NOT_FOUND']);
      }
    }
  });
});

describe('what may not be the service', () => {
  test('is another key, a web page, or a call for nobody', async () => {
    const tenant = await newTenant(stack, client);
    const signed = await stack.issuer.sign({ sub: randomUUID(), role: 'service_role' });
    const refused: [string, Sent][] = [
      [signed, purpose(tenant)],
      [`${stack.serviceRoleKey}x`, purpose(tenant)],
      [stack.serviceRoleKey, { ...purpose(tenant), origin: 'https://app.example' }],
      [stack.serviceRoleKey, {}],
      [stack.serviceRoleKey, { 'x-m23-reason': 'r' }],
      [stack.serviceRoleKey, purpose({ id: '' })],
    ];
    for (const [token, headers] of refused) {
      assert.deepEqual(refusal(await raw('backup-create', token, headers)), [401, 'AUTH_REQUIRED']);
    }
  });

  test('is a user, be it an owner of that tenant', async () => {
    const tenant = await newTenant(stack, client);
    const reply = await raw('backup-create', await tenant.token('owner'), purpose(tenant));
    assert.deepEqual(refusal(reply), [403, 'INSUFFICIENT_PERMISSIONS']);
  });

  test('is let in by no preflight', async () => {
    const headers = {
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,x-m23-tenant',
    };
    const response = await fetch(`${stack.url}/functions/v1/backup-create`, { method: 'OPTIONS', headers });
    assert.doesNotMatch(response.headers.get('access-control-allow-headers') ?? '*', /m23|\*/);
  });
});

describe('a reason', () => {
  test('is required of whoever changes something, named with all other faults', async () => {
    const tenant = await newTenant(stack, client);
    const named = { 'x-m23-tenant': tenant.id };
    const reply = await raw('backup-create', stack.serviceRoleKey, named, { jobType: 'none' });
    assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
    assert.deepEqual(
      reply.body.details?.map((fault) => fault.split(':')[0]),
      ['jobType', 'x-m23-reason'],
    );
    for (const bad of ['%', '%C3', 'caf\u00e9', 'a'.repeat(501)]) {
      const { body } = await raw('backup-create', stack.serviceRoleKey, { ...named, 'x-m23-reason': bad });
      assert.deepEqual(
        body.details?.map((fault) => fault.split(':')[0]),
        ['x-m23-reason'],
        bad,
      );
    }
  });

  test("stands in the tenant's audit, with whoever is behind it", async () => {
    const tenant = await newTenant(stack, client);
    ok(await service(tenant, 'backup-create', SNAPSHOT, { 'x-m23-operator': 'Zoë, on call' }));
    assert.equal((await raw('backup-create', stack.serviceRoleKey, { 'x-m23-tenant': tenant.id })).status, 400);
    const headers = { authorization: `Bearer ${await tenant.token('owner')}` };
    const owner = createClient(stack.url, stack.anonKey, { global: { headers } });
    const look = async (): Promise<{ actor: string | null; outcome: string; detail: Record<string, unknown> }[]> => {
      return (await owner.rpc('get_audit_log', { p_tenant_id: tenant.id })).data ?? [];
    };
    const over = ['ended', 'refused'];
    const entries = await eventually(look, (seen) => seen.filter(({ outcome }) => over.includes(outcome)).length === 2);
    const why = (detail: Record<string, unknown>): unknown[] => [
      detail['caller'],
      detail['reason'],
      detail['operator'],
    ];
    assert.deepEqual(
      entries.map(({ actor, outcome, detail }) => [actor, outcome, ...why(detail)]),
      [
        [null, 'refused', 'service', undefined, undefined],
        [null, 'ended', 'service', WHY, 'Zoë, on call'],
      ],
    );
    const { data: proof } = await owner.rpc('verify_audit', { p_tenant_id: tenant.id });
    assert.equal((proof as { valid: boolean }).valid, true);
  });
});

describe('a tenant whose own row and members are deleted', () => {
  const tables = ['club.orgs', 'club.members', 'club.notes'];
  const world = async (id: string): Promise<string[]> => {
    const { rows } = await client.query<{ row: string }>(
      `select row::text from (select 'orgs' as t, o::text as r from club.orgs o where o.id = $1
         union all select 'members', m::text from club.members m where m.org_id = $1
         union all select 'notes', n::text from club.notes n where n.org_id = $1) row order by 1`,
      [id],
    );
    return rows.map(({ row }) => row);
  };
  const owner = randomUUID();
  const token = (): Promise<string> => tokenOf(stack, owner);

  /** A tenant of the club, with its only way in. */
  async function club(id: string): Promise<{ id: string }> {
    await client.query('insert into club.orgs values ($1)', [id]);
    await client.query(`insert into club.members values ($1, $2, 'owner')`, [id, owner]);
    await client.query('insert into club.notes (org_id) values ($1), ($1)', [id]);
    return { id };
  }

  before(async () => {
    await client.query(`create schema club;
      create table club.orgs (id text primary key);
      create table club.members (org_id text references club.orgs on delete cascade, user_id uuid, role text,
                                 primary key (org_id, user_id));
      create table club.notes (id serial primary key, org_id text not null references club.orgs on delete cascade);
      select m23.protect_table('club.orgs', 'id'), m23.protect_table('club.members', 'org_id'),
             m23.protect_table('club.notes', 'org_id'), m23.set_access_tables('{club.members}');
      create or replace function m23.memberships_of(p_user uuid) returns table (tenant_id text, role text)
      language sql stable security definer rows 3 set search_path = '' set row_security = off as
      $$ select m.tenant_id, m.role from public.tenant_members m where m.user_id = p_user
         union all select m.org_id, m.role from club.members m where m.user_id = p_user $$`);
  });

  test('is shut to its owner, and the service brings it back to a moment before, with the members that it names', async () => {
    const tenant = await club('chess');
    const [whole, targetTimestamp] = [await world('chess'), await now()];
    await client.query(`delete from club.orgs where id = 'chess'`);
    assert.deepEqual(refusal(await raw('pitr-restore', await token(), {}, { targetTimestamp, dryRun: true })), [
      403,
      'TENANT_NOT_FOUND',
    ]);
    const seen = ok(await service(tenant, 'pitr-restore', { targetTimestamp, tables, dryRun: true }));
    assert.equal(seen['wouldFail'], undefined);
    const done = ok(await service(tenant, 'pitr-restore', { targetTimestamp, tables, confirmRestore: true }));
    assert.equal(done['status'], 'completed');
    assert.deepEqual(await world('chess'), whole);
    ok(await raw('pitr-restore', await token(), {}, { targetTimestamp, dryRun: true }));
  });

  test('comes back from an archive as well, even if the log has forgotten it', async () => {
    const tenant = await club('go');
    const whole = await world('go');
    const backupJobId = String(ok(await service(tenant, 'backup-create', { jobType: 'full' }))['jobId']);
    await completed(client, backupJobId);
    await client.query(`delete from club.orgs where id = 'go';
      select m23.unprotect_table(t::regclass) from unnest('{${tables.join()}}'::text[]) t;
      select m23.protect_table('club.orgs', 'id'), m23.protect_table('club.members', 'org_id'),
             m23.protect_table('club.notes', 'org_id'), m23.set_access_tables('{club.members}')`);
    const first = ok(await service(tenant, 'backup-restore', { backupJobId, confirmRestore: true }));
    assert.match(String(first['warnings']), /club\.members was left out, because it says who has access/);
    assert.deepEqual(
      await world('go'),
      whole.filter((row) => !row.startsWith('(members')),
    );
    ok(await service(tenant, 'backup-restore', { backupJobId, tables: ['club.members'], confirmRestore: true }));
    assert.deepEqual(await world('go'), whole);
  });
});

test("a tenant's rows and M23's own memberships come back from an archive, once these are protected", async () => {
  await client.query(`select m23.protect_table('public.tenant_members')`);
  try {
    const tenant = await stocked();
    const members = async (): Promise<unknown[]> =>
      (await client.query('select * from public.tenant_members where tenant_id = $1 order by 2', [tenant.id])).rows;
    const [rows, people] = [await rowsOf(client, tenant), await members()];
    const backupJobId = String(ok(await service(tenant, 'backup-create', { jobType: 'full' }))['jobId']);
    await completed(client, backupJobId);
    await damage(client, tenant);
    await client.query('delete from public.tenant_members where tenant_id = $1', [tenant.id]);
    ok(await service(tenant, 'backup-restore', { backupJobId, confirmRestore: true }));
    assert.deepEqual([await rowsOf(client, tenant), await members()], [rows, []]);
    ok(await service(tenant, 'backup-restore', { backupJobId, tables: ['tenant_members'], confirmRestore: true }));
    assert.deepEqual(await members(), people);
    const tested = ok(await service(tenant, 'recovery-test', { ...DRILL, backup_job_id: backupJobId }));
    assert.equal((tested['results'] as { issuesFound: number }).issuesFound, 0, JSON.stringify(tested));
  } finally {
    await client.query(`select m23.unprotect_table('public.tenant_members')`);
  }
});

describe('the client package with the service key', () => {
  test('restores for the tenant that its client names, and waits for the end', async () => {
    const { tenant, rows, moment } = await lost();
    const options = { global: { headers: purpose(tenant) }, auth: { persistSession: false, autoRefreshToken: false } };
    const bound: M23 = createM23(createClient(stack.url, stack.serviceRoleKey, options));
    const done = await bound.executePITR({ targetTimestamp: moment, confirmRestore: true });
    assert.equal(done.status, 'completed');
    assert.deepEqual(await rowsOf(client, tenant), rows);
    const job = await bound.createBackupJob({ jobType: 'full', backupName: 'by the service', tenantId: tenant.id });
    assert.equal((await bound.executeBackup(job.id)).status, 'completed');
  });
});

describe('the command line', () => {
  let tenant: Tenant;
  let asService: Record<string, string>;

  before(async () => {
    tenant = await stocked();
    asService = {
      M23_URL: stack.url,
      M23_SERVICE_KEY: stack.serviceRoleKey,
      M23_TENANT: tenant.id,
      M23_REASON: WHY,
      M23_OPERATOR: 'Zoë',
    };
  });

  async function done(args: string[], code = 0): Promise<string> {
    const ran = await m23(args, asService);
    assert.equal(ran.code, code, ran.errors + ran.output);
    return ran.output;
  }

  /** The one group of a pattern that what was printed must fit. */
  function found(output: string, pattern: RegExp): string {
    const [, group] = pattern.exec(output) ?? assert.fail(output);
    return String(group);
  }

  test('takes a tenant back with the service key, step by step, and undoes it', async () => {
    const backup = found(await done(['backup', 'create', '--name', 'by hand']), /^backup ([0-9a-f-]{36}): completed$/m);
    const [rows, moment] = [await rowsOf(client, tenant), await now()];
    await damage(client, tenant);
    const damaged = await rowsOf(client, tenant);
    const look = await done(['restore', '--to', moment]);
    const hash = found(look, /^dry run of a restore: nothing was changed$[\s\S]*--plan-hash (\w+)/m);
    assert.deepEqual(await rowsOf(client, tenant), damaged);
    const restored = await done(['restore', '--to', moment, '--confirm', '--plan-hash', hash]);
    const snapshot = found(restored, /: completed$[\s\S]*m23 rollback ([0-9a-f-]{36}) --confirm/m);
    assert.deepEqual(await rowsOf(client, tenant), rows);
    await done(['rollback', snapshot]);
    assert.deepEqual(await rowsOf(client, tenant), rows, 'only looked at');
    await done(['rollback', snapshot, '--confirm']);
    assert.deepEqual(await rowsOf(client, tenant), damaged);
    await done(['backup', 'restore', backup, '--dry-run']);
    await done(['backup', 'restore', backup, '--confirm']);
    assert.deepEqual(await rowsOf(client, tenant), rows);
    const tested = await done(['test', '--backup', backup, '--level', 'deep']);
    assert.match(tested, /: completed\n {2}\d+ checks passed, 0 issues found$/m);
  });

  test('tells what happened to the rows of a tenant', async () => {
    const since = await now();
    const { id } = await one<{ id: number }>('select min(id) as id from shop.accounts where tenant_id = $1', [
      tenant.id,
    ]);
    await client.query(`update shop.accounts set code = 'lost' where id = $1`, [id]);
    await client.query(`update shop.accounts set code = 'found' where id = $1`, [id]);
    const until = await now();
    const listed = await done(['history', 'transactions', '--since', since, '--until', until]);
    const lines = listed.trim().split('\n');
    assert.equal(lines.length, 2);
    const last = found(lines[0]!, / (\d+) {2}\+0 ~1 -0 {2}app: unnamed as postgres {2}shop\.accounts$/);
    const change = /code: "lost" → "found"/;
    assert.match(await done(['history', 'transaction', last]), change);
    assert.match(await done(['history', 'row', 'shop.accounts', '--key', `id=${id}`, '--limit', '1']), change);
    const [row] = JSON.parse(await done(['history', 'find', 'shop.accounts', '--where', 'code=lost', '--json'])) as {
      transaction_id: string;
    }[];
    assert.equal(row?.transaction_id, last);
    const counted = await done(['history', 'counts', '--since', since, '--until', until, '--buckets', '1']);
    assert.match(counted, / 2 {2}UPDATE {2}shop\.accounts$/m);
    assert.equal(await done(['history', 'events', '--since', since, '--until', until]), 'no events\n');
    const refused = await m23(['history', 'find', 'shop.accounts', '--where', 'size=1'], asService);
    assert.deepEqual([refused.code, /size: is no column/.test(refused.errors)], [7, true]);
    const user = { M23_URL: stack.url, M23_ANON_KEY: stack.anonKey, M23_TOKEN: await tenant.token('operator') };
    assert.match((await m23(['history', 'transaction', last], user)).output, change);
  });

  test('does nothing where the hash of a dry run holds no more', async () => {
    const ran = await m23(['restore', '--to', await now(), '--confirm', '--plan-hash', 'x'], asService);
    assert.deepEqual([ran.code, /^error: (\w+): /.exec(ran.errors)?.[1]], [7, 'PLAN_CHANGED']);
  });

  test("waits for the end of a user's backup, too", async () => {
    const env = { M23_URL: stack.url, M23_ANON_KEY: stack.anonKey, M23_TOKEN: await tenant.token('operator') };
    const ran = await m23(['backup', 'create', '--json'], env);
    assert.equal(ran.code, 0, ran.errors);
    const { status, row } = JSON.parse(ran.output) as { status: string; row: { created_by: string } };
    assert.deepEqual([status, row.created_by], ['completed', tenant.userId('operator')]);
    const begun = await m23(['backup', 'create', '--no-wait'], env);
    assert.match(begun.output, /^backup [0-9a-f-]{36} goes on$/m);
  });

  test('ends with 7 where the API refuses, and with 8 over the limit', async () => {
    const look = ['restore', '--to', await now()];
    const owner = { M23_URL: stack.url, M23_TOKEN: await tenant.token('owner') };
    const ends = async (env: Record<string, string>, args = look): Promise<[number | null, string | undefined]> => {
      const { code, errors } = await m23(args, env);
      return [code, /^error: (\w+): /.exec(errors)?.[1]];
    };
    assert.deepEqual(await ends({ ...owner, M23_TENANT: tenant.id }), [7, 'INSUFFICIENT_PERMISSIONS']);
    assert.deepEqual(await ends({ ...asService, M23_TENANT: randomUUID() }), [7, 'TENANT_NOT_FOUND']);
    assert.deepEqual(await ends({ ...asService, M23_SERVICE_KEY: 'another' }), [7, 'AUTH_REQUIRED']);
    assert.deepEqual(await ends({ ...asService, M23_REASON: '' }, [...look, '--confirm']), [7, 'VALIDATION_FAILED']);
    assert.equal((await m23(look, owner)).code, 0);
    assert.deepEqual(await ends(owner), [8, 'RATE_LIMIT_EXCEEDED']);
  });
});

describe('the page for the person on call', () => {
  /** Without what is another one each time. */
  const plain = (text: string): string => {
    const ids = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
    return text
      .replaceAll(ids, 'ID')
      .replaceAll(/[0-9a-f]{16,}/g, 'HASH')
      .trim();
  };

  test('recovers a tenant by its commands as they stand', async () => {
    const owner = stack.users.find(({ role }) => role === 'owner')!;
    const demo = { id: owner.tenantId! };
    const backup = String(ok(await service(demo, 'backup-create', { jobType: 'full' }))['jobId']);
    await completed(client, backup);
    const kept = String(ok(await service(demo, 'backup-create', SNAPSHOT))['jobId']);
    const { id } = await one<{ id: string }>(
      `select metadata ->> 'snapshot_id' as id from public.backup_jobs where id = $1`,
      [kept],
    );
    const moment = await now();
    const customer = 'public.customers where tenant_id = $1 and id = 3';
    const { email } = await one<{ email: string }>(`select email from ${customer}`, [demo.id]);
    await client.query(`update public.customers set email = 'lost@acme.example' where tenant_id = $1 and id = 3`, [
      demo.id,
    ]);
    const ofThePart = ({ heading, note }: Block): boolean => heading.startsWith('Recover') && note === '';
    const blocks = blocksOf('docs/on-call.md').filter(ofThePart);
    const commands = blocks.filter(({ language }) => language === 'sh').map(({ code }) => code);
    const printed = await runBlocks(commands, ROOT, {
      PATH: `${join(ROOT, 'target', 'debug')}:${process.env['PATH']}`,
      M23_URL: stack.url,
      M23_SERVICE_KEY: stack.serviceRoleKey,
      M23_TENANT: demo.id,
      M23_REASON: 'ticket 4711',
      M23_OPERATOR: 'Ada',
      MOMENT: moment,
      SNAPSHOT_ID: id,
      BACKUP_ID: backup,
    });
    assert.equal(printed.length, 5);
    for (const [index, { language, code }] of blocks.entries()) {
      const output = printed[commands.indexOf(blocks[index - 1]?.code ?? '')] ?? '';
      if (language === 'text') assert.equal(plain(output), plain(code));
    }
    assert.equal((await one<{ email: string }>(`select email from ${customer}`, [demo.id])).email, email);
  });
});

describe('a token', () => {
  test('that is the anon key is told to sign in', async () => {
    const reply = await raw('backup-create', stack.anonKey, {});
    assert.deepEqual(refusal(reply), [401, 'AUTH_REQUIRED']);
    assert.equal(reply.body.error, "This is the project's anon key: sign in first.");
  });

  test("of an anonymous sign-in is refused by the database as by the functions, be it a member's", async () => {
    const tenant = await newTenant(stack, client);
    const token = await stack.issuer.sign({ sub: tenant.userId('owner'), role: 'authenticated', is_anonymous: true });
    assert.deepEqual(refusal(await raw('backup-create', token, {})), [401, 'AUTH_REQUIRED']);
    const headers = { apikey: stack.anonKey, authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const rest = async (path: string, more = {}): Promise<Response> => {
      return await fetch(`${stack.url}/rest/v1/${path}`, { headers, ...more });
    };
    const body = JSON.stringify({ p_tenant_id: tenant.id });
    const rpc = await rest('rpc/get_backup_statistics', { method: 'POST', body });
    assert.deepEqual([rpc.status, ((await rpc.json()) as Body).code], [401, 'AUTH_REQUIRED']);
    assert.deepEqual(await (await rest('tenant_members')).json(), []);
    headers.authorization = `Bearer ${await tokenOf(stack, tenant.userId('owner'))}`;
    assert.equal(((await (await rest('tenant_members')).json()) as unknown[]).length, 4, 'of whoever is not anonymous');
  });
});

describe('a full disk', () => {
  /** The server says so itself, at whatever is written to a table. */
  async function full(table: string, work: () => Promise<void>): Promise<void> {
    await client.query(`
      create function public.full_disk() returns trigger language plpgsql as
      $$ begin raise disk_full using message = 'could not extend file "base/5/16384"'; end $$;
      create trigger full_disk before insert on ${table} for each row execute function public.full_disk();
      alter table ${table} enable always trigger full_disk`);
    try {
      await work();
    } finally {
      await client.query('drop function public.full_disk() cascade');
    }
  }

  function refusedForNow(reply: Reply): void {
    assert.deepEqual(refusal(reply), [503, 'UNAVAILABLE']);
    assert.match(reply.headers.get('retry-after') ?? '', /^\d+$/);
    assert.doesNotMatch(JSON.stringify(reply.body), /extend|16384/);
  }

  test('is a 503, and the log says what to do', async () => {
    const tenant = await newTenant(stack, client);
    const backup = (): Promise<Reply> => service(tenant, 'backup-create', SNAPSHOT);
    await full('m23.requests', async () => refusedForNow(await backup()));
    const logged = (): Promise<string> => Promise.resolve(readFileSync(join(stack.stateDir, 'workers.log'), 'utf8'));
    await eventually(logged, (text) => text.includes('A full disk'));
  });

  test('in the middle of a restore takes it back, and the next one works', async () => {
    const tenant = await newTenant(stack, client);
    await stock(client, tenant, 1);
    const [before, targetTimestamp] = [await rowsOf(client, tenant), await now()];
    await client.query('update shop.accounts set balance = 7 where tenant_id = $1', [tenant.id]);
    const restore = (): Promise<Reply> => service(tenant, 'pitr-restore', { targetTimestamp, confirmRestore: true });
    await full('public.pitr_snapshots', async () => refusedForNow(await restore()));
    assert.match(readFileSync(join(stack.stateDir, 'postgres.log'), 'utf8'), /HINT: .*disk of the database is full/);
    ok(await restore());
    assert.deepEqual(await rowsOf(client, tenant), before);
  });
});
