// What limits calls, over HTTP: the window, what is given back to it, single use of requests, reads that are heavy.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import type { Role } from '../../stack/demo-tenants.ts';
import { type Body, call, ok, type Reply, refusal } from '../fixtures/functions.ts';
import { damage } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import type { Tenant } from '../fixtures/tenants.ts';
import { databaseTime, eventually } from '../fixtures/time.ts';

let tenant: Tenant;
let at: string;

const { stack, client, stocked } = await openShopStack({ others: 'contract' });

before(async () => {
  tenant = await stocked();
  at = await databaseTime(client);
  await damage(client, tenant);
  await client.query(`select m23.raise_limit($1, 'pitr-restore', 100, now() + interval '1 hour')`, [tenant.id]);
});

interface Answer {
  status: number;
  retryAfter: string | null;
  body: Body;
}

/** A call of the database through PostgREST. */
async function rest(path: string, whose: Tenant, role: Role, args?: Record<string, unknown>): Promise<Answer> {
  const authorization = `Bearer ${await whose.token(role)}`;
  const headers = { apikey: stack.anonKey, authorization, 'content-type': 'application/json' };
  const init = args === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(args) };
  const response = await fetch(`${stack.url}/rest/v1/${path}`, init);
  const retryAfter = response.headers.get('retry-after');
  return { status: response.status, retryAfter, body: (await response.json()) as Body };
}

async function ask(whose: Tenant, more: object): Promise<Reply> {
  return await call(stack, 'pitr-restore', await whose.token('owner'), { targetTimestamp: at, ...more });
}
const look = (whose: Tenant): Promise<Reply> => ask(whose, { dryRun: true });
const restore = (whose: Tenant): Promise<Reply> => ask(whose, { confirmRestore: true });
const left = (reply: Reply): string | null => reply.headers.get('x-ratelimit-remaining');
async function noted(whose: Tenant): Promise<number> {
  const { keys } = await stack.rateWindows.list({ prefix: `rate/pitr-restore/${whose.id}/` });
  return keys.length;
}

describe('the window', () => {
  test('gets back what failed by our own fault, in the database and at the edge', async () => {
    const one = await stocked();
    at = await databaseTime(client);
    await client.query('alter function public.m23_preview_pitr(uuid, jsonb) rename to m23_mislaid');
    try {
      for (let n = 0; n < 4; n += 1) {
        const reply = await look(one);
        assert.deepEqual([...refusal(reply), left(reply)], [500, 'INTERNAL', '3']);
      }
    } finally {
      await client.query('alter function public.m23_mislaid(uuid, jsonb) rename to m23_preview_pitr');
    }
    assert.equal(await noted(one), 0);
    const reply = await look(one);
    assert.deepEqual([reply.status, left(reply)], [200, '2']);
  });

  test('is as wide as the operator of the service has made it, at once', async () => {
    const one = await stocked();
    at = await databaseTime(client);
    for (let n = 0; n < 3; n += 1) ok(await look(one));
    const full = await look(one);
    assert.deepEqual(refusal(full), [429, 'RATE_LIMIT_EXCEEDED']);
    assert.match(full.body.error ?? '', /the operator of the service can raise it/);
    assert.ok(Number(full.headers.get('retry-after')) <= 3600);
    await client.query(`select m23.raise_limit($1, 'pitr-restore', 5, now() + interval '1 hour')`, [one.id]);
    for (const remaining of ['1', '0']) {
      const reply = await look(one);
      assert.deepEqual([reply.status, reply.headers.get('x-ratelimit-limit'), left(reply)], [200, '5', remaining]);
    }
    assert.deepEqual(refusal(await look(one)), [429, 'RATE_LIMIT_EXCEEDED']);
  });
});

describe('an admitted request', () => {
  test('that failed is not used again', async () => {
    const body = { backupJobId: randomUUID(), confirmRestore: true };
    const reply = await call(stack, 'backup-restore', await tenant.token('owner'), body);
    assert.deepEqual(refusal(reply), [404, 'BACKUP_NOT_FOUND']);
    const args = { p_request_id: reply.headers.get('x-request-id'), p_restore: body };
    const again = await rest('rpc/m23_begin_restore', tenant, 'owner', args);
    assert.deepEqual([again.status, again.body.code], [403, 'INSUFFICIENT_PERMISSIONS']);
  });

  test("is used up by a failure of the database's own call, and gets no further than through the edge", async () => {
    const {
      rows: [request],
    } = await client.query<{ id: string }>(
      `insert into m23.requests (id, tenant_id, user_id, function)
       values (gen_random_uuid(), $1, $2, 'pitr-restore') returning id`,
      [tenant.id, tenant.userId('owner')],
    );
    const begin = (more: object): Promise<Answer> =>
      rest('rpc/m23_begin_pitr', tenant, 'owner', {
        p_request_id: request?.id,
        p_restore: { targetTimestamp: at, ...more },
      });
    const first = await begin({ dryrun: true });
    assert.deepEqual(
      [first.status, first.body.code, first.body.details],
      [400, 'VALIDATION_FAILED', '["dryrun: unknown field","confirmRestore: must be true"]'],
    );
    assert.equal((await begin({ confirmRestore: true })).status, 403);
  });
});

describe('another restore that runs', () => {
  test('is told with the time to wait, by the functions and by the database', async () => {
    await client.query(
      `insert into m23.restore_work (work_id, tenant_id, kind, moment) values ($1::text::uuid, $1::text, 'pitr', m23.moment_of(pg_current_snapshot()))`,
      [tenant.id],
    );
    await client.query('select m23.take_lease($1)', [tenant.id]);
    try {
      const reply = await restore(tenant);
      assert.deepEqual([...refusal(reply), reply.headers.get('retry-after')], [409, 'RESTORE_IN_PROGRESS', '5']);
      const owner = tenant.userId('owner');
      const { body: snapshot } = await rest('rpc/create_pitr_snapshot', tenant, 'owner', {
        p_tenant_id: tenant.id,
        p_snapshot_name: 's',
        p_affected_tables: null,
        p_created_by: owner,
      });
      const rollback = await rest('rpc/execute_pitr_rollback', tenant, 'owner', {
        p_snapshot_id: snapshot,
        p_initiated_by: owner,
      });
      assert.deepEqual([rollback.status, rollback.body.code, rollback.retryAfter], [409, 'RESTORE_IN_PROGRESS', '5']);
    } finally {
      await client.query('select m23.end_work($1)', [tenant.id]);
    }
  });

  test('blocks nobody once its backend is known to be dead', async () => {
    const dead = await stack.postgres.connect();
    const {
      rows: [backend],
    } = await dead.query<{ pid: number }>('select pg_backend_pid() as pid');
    await dead.query(
      `insert into m23.restore_work (work_id, tenant_id, kind, moment) values ($1::text::uuid, $1::text, 'pitr', m23.moment_of(pg_current_snapshot()))`,
      [tenant.id],
    );
    await dead.query('select m23.take_lease($1)', [tenant.id]);
    await dead.end();
    const count = async (sql: string, value: unknown): Promise<number | null> =>
      (await client.query(sql, [value])).rowCount;
    await eventually(
      () => count('select from pg_stat_activity where pid = $1', backend?.pid),
      (alive) => alive === 0,
    );
    assert.equal(
      await count('select from m23.leases where work_id = $1 and until > clock_timestamp()', tenant.id),
      1,
      'its lease has not run out',
    );
    ok(await restore(tenant));
  });
});

describe('a preview without a call', () => {
  test('is the body of the dry run, and is not counted', async () => {
    const one = await stocked();
    at = await databaseTime(client);
    await damage(client, one);
    const dry = ok(await look(one));
    for (let n = 0; n < 4; n += 1) {
      const args = { p_tenant_id: one.id, p_target_timestamp: at };
      const { status, body } = await rest('rpc/get_pitr_preview', one, 'operator', args);
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual({ ...body, previewId: null }, { ...dry, previewId: null });
    }
    assert.equal(await noted(one), 1);
    const chosen = await rest('rpc/get_pitr_preview', one, 'operator', {
      p_tenant_id: one.id,
      p_target_timestamp: at,
      p_tables: ['shop.accounts'],
      p_selection: { includeRelated: true },
    });
    assert.deepEqual(chosen.body['stats'], dry['stats']);
  });
});

describe('heavy reads', () => {
  /** Backends that PostgREST has at work, but for its own listening. */
  const busy = async (): Promise<number> =>
    (
      await client.query(`select from pg_stat_activity
      where usename = 'authenticator' and state <> 'idle' and query !~* '^listen'`)
    ).rowCount ?? 0;

  test('of one user leave room for others, and are refused with the time to wait', async () => {
    const stranger = await stocked();
    at = await databaseTime(client);
    const gate = await stack.postgres.connect();
    await gate.query('begin; lock table shop.accounts in access exclusive mode');
    let ended = 0;
    const args = { p_tenant_id: tenant.id, p_target_timestamp: at };
    const reads = Array.from({ length: 16 }, async () => {
      const reply = await rest('rpc/calculate_pitr_stats', tenant, 'viewer', args);
      ended += 1;
      return reply;
    });
    try {
      await eventually(
        async () => ended,
        (count) => count >= 10,
      );
      await eventually(busy, (count) => count <= 6);
      const other = await rest('tenant_members?limit=1', stranger, 'viewer');
      assert.deepEqual([other.status, ended < 16], [200, true], 'another tenant reads while they run');
      await eventually(
        async () => ended,
        (count) => count === 15,
      );
      await gate.query('rollback');
    } finally {
      await gate.end();
    }
    const replies = await Promise.all(reads);
    assert.deepEqual(replies.map(({ status }) => status).sort(), [200, ...Array<number>(15).fill(503)]);
    for (const { body, retryAfter, status } of replies) {
      if (status === 503) assert.deepEqual([body.code, retryAfter], ['UNAVAILABLE', '2']);
    }
  });

  test('of every kind are metered, three at a time a tenant', async () => {
    const args = { p_tenant_id: tenant.id };
    const rows = { ...args, p_table: 'shop.accounts', p_timestamp: at };
    const gate = await stack.postgres.connect();
    await gate.query('begin; lock table shop.accounts in access exclusive mode');
    const first = [
      rest('rpc/calculate_pitr_stats', tenant, 'operator', { ...args, p_target_timestamp: at }),
      rest('rpc/get_rows_as_of', tenant, 'operator', rows),
      rest('rpc/get_pitr_preview', tenant, 'admin', { ...args, p_target_timestamp: at }),
    ];
    try {
      await eventually(busy, (count) => count === 3);
      for (const reply of await Promise.all([
        rest('rpc/get_rows_as_of', tenant, 'operator', rows),
        rest('rpc/get_rows_as_of', tenant, 'owner', rows),
        rest('transaction_logs?limit=1', tenant, 'owner'),
      ]))
        assert.deepEqual([reply.status, reply.body.code], [503, 'UNAVAILABLE']);
      const dry = await call(stack, 'pitr-restore', await tenant.token('admin'), { targetTimestamp: at, dryRun: true });
      assert.deepEqual([...refusal(dry), dry.headers.get('retry-after')], [503, 'UNAVAILABLE', '5']);
      await gate.query('rollback');
    } finally {
      await gate.end();
    }
    for (const reply of await Promise.all(first)) assert.equal(reply.status, 200, JSON.stringify(reply.body));
    assert.equal((await rest('transaction_logs?limit=1', tenant, 'owner')).status, 200);
  });
});
