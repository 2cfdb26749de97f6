// What every request goes through before a function works: method, size, token, tenant, role and rate limit.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { createClient, type FunctionsHttpError } from '@supabase/supabase-js';

import type { DemoUser, Role } from '../../stack/demo-tenants.ts';
import { openStack } from '../fixtures/stack.ts';

const FULL = { jobType: 'full' };
const RESTORE = { backupJobId: '6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11', confirmRestore: true };
const DRILL = { test_name: 'drill', test_type: 'manual', validation_level: 'basic' };
const RATE_HEADERS = [
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'ratelimit-policy',
  'ratelimit',
];

interface Reply {
  status: number;
  headers: Headers;
  body: { success: boolean; error?: string; code?: string; details?: string[]; [field: string]: unknown };
}

const { stack } = await openStack({ others: 'contract', limits: { 'recovery-test': 2, 'backup-restore': 1000 } });

/** Sends a request as it is, and checks what every response of a function must have. */
async function send(name: string, init: RequestInit & { duplex?: 'half' }): Promise<Reply> {
  const response = await fetch(`${stack.url}/functions/v1/${name}`, init);
  const text = await response.text();
  assert.equal(response.headers.get('access-control-allow-origin'), '*');
  assert.match(response.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
  const body = (text === '' ? {} : JSON.parse(text)) as Reply['body'];
  if (response.status >= 400) {
    assert.equal(body.success, false);
    assert.match(body.error ?? '', /^[A-Z].*\.$/);
    assert.doesNotMatch(text, /select |relation|panicked|postgrest|127\.0\.0\.1/i);
  }
  return { status: response.status, headers: response.headers, body };
}

async function call(
  name: string,
  token: string | undefined,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  return send(name, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

function member(tenant: 0 | 1, role: Role): DemoUser {
  const user = stack.users.filter((one) => one.role === role)[tenant];
  assert.ok(user);
  return user;
}

async function tokenOf(tenant: 0 | 1, role: Role): Promise<string> {
  return stack.issuer.accessToken(member(tenant, role));
}

function refusal(reply: Reply): [number, string | undefined] {
  return [reply.status, reply.body.code];
}

function assertWindow(reply: Reply, limit: number, remaining: number): void {
  for (const name of RATE_HEADERS) assert.ok(reply.headers.has(name), name);
  assert.equal(reply.headers.get('x-ratelimit-limit'), String(limit));
  assert.equal(reply.headers.get('x-ratelimit-remaining'), String(remaining));
  assert.equal(reply.headers.get('ratelimit-policy'), `"default";q=${limit};w=3600`);
  assert.match(reply.headers.get('ratelimit') ?? '', new RegExp(`^"default";r=${remaining};t=\\d+$`));
}

describe('a token', () => {
  const claims = (): Record<string, unknown> => ({ sub: member(0, 'owner').id });

  async function refused(token: string | undefined): Promise<void> {
    const reply = await call('backup-create', token, FULL);
    assert.deepEqual(refusal(reply), [401, 'AUTH_REQUIRED']);
    assert.equal(reply.headers.get('www-authenticate'), 'Bearer');
  }

  test('of a member is accepted as far as its body', async () => {
    assert.deepEqual(refusal(await call('backup-create', await stack.issuer.sign(claims()), {})), [
      400,
      'VALIDATION_FAILED',
    ]);
  });
  test('must be there and be one', async () => {
    await refused(undefined);
    await refused('x');
    await refused('a.b.c');
  });
  test('that is forged is refused', async () => {
    await refused(await stack.issuer.otherKeySign(claims()));
    const [head, body] = (await stack.issuer.sign(claims())).split('.');
    await refused(`${head}.${body}.${'A'.repeat(86)}`);
  });
  test('whose claims were changed is refused', async () => {
    const [head, , signature] = (await stack.issuer.sign(claims())).split('.');
    const [, other] = (await stack.issuer.sign({ sub: member(1, 'owner').id })).split('.');
    await refused(`${head}.${other}.${signature}`);
  });
  test('that has expired is refused', async () => refused(await stack.issuer.sign(claims(), { expiresIn: -60 })));
  test('with alg none is refused', async () => refused(await stack.issuer.sign(claims(), { alg: 'none' })));
  test('signed HS256 with the public key is refused', async () =>
    refused(await stack.issuer.sign(claims(), { alg: 'HS256' })));
  test('with an unknown kid is refused', async () => refused(await stack.issuer.sign(claims(), { kid: 'unknown' })));
  test('for another audience is refused', async () => refused(await stack.issuer.sign({ ...claims(), aud: 'other' })));
  test('from another issuer is refused', async () =>
    refused(await stack.issuer.sign({ ...claims(), iss: 'https://evil.example/auth/v1' })));
  test('that is the anon key is refused', async () => refused(stack.anonKey));
  test('that is the service key is refused', async () => refused(stack.serviceRoleKey));
  test('of an anonymous user is refused', async () =>
    refused(await stack.issuer.sign({ ...claims(), is_anonymous: true })));
  test('without a user is refused', async () => refused(await stack.issuer.sign({})));
});

describe('a body', () => {
  async function faults(name: string, body: unknown): Promise<string[]> {
    const reply = await call(name, await tokenOf(0, 'owner'), body);
    assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
    for (const header of RATE_HEADERS) assert.ok(reply.headers.has(header), header);
    return reply.body.details ?? [];
  }

  test('that is not JSON is refused', async () => {
    assert.deepEqual(await faults('backup-create', '{"jobType":'), ['body: is not JSON (line 1, column 11)']);
    assert.deepEqual(await faults('backup-create', '[]'), ['body: must be a JSON object']);
    assert.deepEqual(await faults('backup-create', ''), ['body: is empty']);
  });

  test("has all its faults named at once, the database's too", async () => {
    const found = await faults('backup-restore', {
      backupJobId: 7,
      tables: ['no_such_table'],
      targetSchema: 'auth',
      confirmrestore: true,
    });
    assert.deepEqual(
      found.map((fault) => fault.split(':')[0]),
      ['confirmrestore', 'backupJobId', 'confirmRestore', 'targetSchema', 'tables'],
    );
    assert.match(found[0] ?? '', /did you mean confirmRestore\?/);
  });

  test('with a misspelt dryRun never becomes a real restore', async () => {
    const body = { targetTimestamp: new Date().toISOString(), dryrun: true, confirmRestore: true };
    assert.deepEqual(await faults('pitr-restore', body), ['dryrun: unknown field (did you mean dryRun?)']);
  });

  test('that is too large is refused, whatever its length says', async () => {
    const token = await tokenOf(0, 'owner');
    const large = JSON.stringify({ ...FULL, description: 'x'.repeat(1_000_000) });
    const told = await call('backup-create', token, large);
    assert.deepEqual(refusal(told), [413, 'PAYLOAD_TOO_LARGE']);
    for (const header of RATE_HEADERS) assert.ok(told.headers.has(header), header);
    const streamed = new Blob([large]).stream();
    const headers = { authorization: `Bearer ${token}` };
    const reply = await send('backup-create', { method: 'POST', headers, body: streamed, duplex: 'half' });
    assert.deepEqual(refusal(reply), [413, 'PAYLOAD_TOO_LARGE']);
  });
});

describe('the edge', () => {
  test('answers a preflight without a token', async () => {
    const headers = {
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization, idempotency-key',
    };
    const reply = await send('backup-create', { method: 'OPTIONS', headers });
    assert.equal(reply.status, 204);
    assert.match(reply.headers.get('access-control-allow-methods') ?? '', /POST/);
    const allowed = (reply.headers.get('access-control-allow-headers') ?? '').split(', ');
    for (const name of [
      'authorization',
      'x-client-info',
      'apikey',
      'content-type',
      'x-retry-count',
      'x-region',
      'idempotency-key',
    ]) {
      assert.ok(allowed.includes(name), name);
    }
  });

  test('lets browsers read the rate limit, Retry-After and the request id', async () => {
    const reply = await call('backup-create', await tokenOf(0, 'owner'), {});
    const exposed = (reply.headers.get('access-control-expose-headers') ?? '').split(', ');
    for (const name of [...RATE_HEADERS, 'retry-after', 'x-request-id']) assert.ok(exposed.includes(name), name);
  });

  test('takes POST only', async () => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const reply = await send('backup-create', { method });
      assert.deepEqual(refusal(reply), [405, 'METHOD_NOT_ALLOWED']);
      assert.match(reply.headers.get('allow') ?? '', /POST/);
    }
  });

  test("does not take the caller's word for the request id", async () => {
    const mine = randomUUID();
    const reply = await call('backup-create', undefined, {}, { 'x-request-id': mine });
    assert.notEqual(reply.headers.get('x-request-id'), mine);
  });
});

describe('a member', () => {
  test('of no tenant is told so, with a window that nobody has used', async () => {
    const nobody = stack.users.find((user) => user.tenantId === null);
    assert.ok(nobody);
    const reply = await call('backup-create', await stack.issuer.accessToken(nobody), FULL);
    assert.deepEqual(refusal(reply), [403, 'TENANT_NOT_FOUND']);
    assertWindow(reply, 10, 10);
  });

  test('who picks a tenant that is not theirs has none', async () => {
    const claims = { app_metadata: { tenant_id: member(1, 'owner').tenantId } };
    const token = await stack.issuer.accessToken(member(0, 'owner'), claims);
    assert.deepEqual(refusal(await call('backup-create', token, FULL)), [403, 'TENANT_NOT_FOUND']);
  });

  test('may do what the role allows, and a refusal uses no quota', async () => {
    assert.deepEqual(refusal(await call('backup-create', await tokenOf(0, 'viewer'), FULL)), [
      403,
      'INSUFFICIENT_PERMISSIONS',
    ]);
    const operator = await tokenOf(0, 'operator');
    const dated = { targetTimestamp: new Date().toISOString() };
    assert.deepEqual(refusal(await call('backup-restore', operator, RESTORE)), [403, 'INSUFFICIENT_PERMISSIONS']);
    const real = await call('pitr-restore', operator, { ...dated, confirmRestore: true });
    assert.deepEqual(refusal(real), [403, 'INSUFFICIENT_PERMISSIONS']);
    assertWindow(real, 3, 3);
    const dry = await call('pitr-restore', operator, { ...dated, dryRun: true });
    assert.notEqual(dry.status, 403);
    assertWindow(dry, 3, 2);
  });
});

describe('the rate limit', () => {
  test('lets exactly 10 of 30 calls at once through', async () => {
    const token = await tokenOf(1, 'owner');
    const replies = await Promise.all(Array.from({ length: 30 }, () => call('backup-create', token, FULL)));
    const accepted = replies.filter((reply) => reply.status === 200);
    const refused = replies.filter((reply) => reply.status === 429);
    assert.deepEqual([accepted.length, refused.length], [10, 20], JSON.stringify(replies.map((reply) => reply.body)));
    const remaining = accepted.map((reply) => Number(reply.headers.get('x-ratelimit-remaining'))).sort((a, b) => a - b);
    assert.deepEqual(remaining, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const reply of refused) {
      assert.equal(reply.body.code, 'RATE_LIMIT_EXCEEDED');
      assertWindow(reply, 10, 0);
    }
    const { keys } = await stack.rateWindows.list({ prefix: `rate/backup-create/${member(1, 'owner').tenantId}/` });
    assert.equal(keys.length, 10, 'one key for each counted request');
  });

  test('tells a supabase-js client when to come back', async () => {
    const { email, password } = member(0, 'owner');
    const client = createClient(stack.url, stack.anonKey, { auth: { autoRefreshToken: false } });
    assert.equal((await client.auth.signInWithPassword({ email, password })).error, null);
    const now = Math.floor(Date.now() / 1000);
    let last: FunctionsHttpError | null = null;
    for (let n = 0; n < 3; n += 1) {
      last = (await client.functions.invoke('recovery-test', { body: DRILL })).error as FunctionsHttpError | null;
    }
    const response = last?.context as Response;
    assert.equal(response.status, 429);
    const reset = Number(response.headers.get('x-ratelimit-reset'));
    const later = Math.ceil(Date.now() / 1000);
    assert.ok(reset >= now + 3600 && reset <= later + 3600, 'an hour after the first call');
    const wait = Number(response.headers.get('retry-after'));
    assert.ok(wait >= reset - later && wait <= Math.min(reset - now, 3600), `${wait} s`);
  });

  test("is each tenant's own", async () => {
    const reply = await call('recovery-test', await tokenOf(1, 'owner'), DRILL);
    assert.notEqual(reply.status, 429);
    assertWindow(reply, 2, 1);
  });
});

describe('an Idempotency-Key', () => {
  test('makes a repeated request one piece of work', async () => {
    const token = await tokenOf(0, 'owner');
    const key = { 'idempotency-key': randomUUID() };
    const first = await call('backup-create', token, FULL, key);
    assert.equal(first.status, 200, JSON.stringify(first.body));
    assert.equal(first.headers.get('idempotent-replayed'), null);
    const second = await call('backup-create', token, FULL, key);
    assert.deepEqual([second.status, second.body], [200, first.body]);
    assert.equal(second.headers.get('idempotent-replayed'), 'true');
    assert.equal(second.headers.get('x-ratelimit-remaining'), first.headers.get('x-ratelimit-remaining'));
    const other = await call('backup-create', token, { ...FULL, backupName: 'another' }, key);
    assert.deepEqual(refusal(other), [400, 'VALIDATION_FAILED']);
  });

  test('keeps a refusal too, and belongs to one user', async () => {
    const key = { 'idempotency-key': 'the same' };
    const owner = await tokenOf(0, 'owner');
    const first = await call('backup-restore', owner, RESTORE, key);
    assert.deepEqual(refusal(first), [404, 'BACKUP_NOT_FOUND']);
    const second = await call('backup-restore', owner, RESTORE, key);
    assert.deepEqual([second.status, second.body], [404, first.body]);
    assert.equal(second.headers.get('idempotent-replayed'), 'true');
    const stranger = await call('backup-restore', await tokenOf(1, 'owner'), RESTORE, key);
    assert.equal(stranger.headers.get('idempotent-replayed'), null);
  });

  test('runs ten requests at once as one', async () => {
    const token = await tokenOf(0, 'owner');
    const key = { 'idempotency-key': randomUUID() };
    const replies = await Promise.all(Array.from({ length: 10 }, () => call('backup-restore', token, RESTORE, key)));
    const fresh = replies.filter((reply) => reply.status === 404 && !reply.headers.has('idempotent-replayed'));
    assert.equal(fresh.length, 1);
    for (const reply of replies) {
      if (reply.status === 404) continue;
      assert.deepEqual(refusal(reply), [503, 'UNAVAILABLE']);
      assert.ok(reply.headers.has('retry-after'));
    }
  });
});

describe('a database that does not answer', () => {
  test('is a 503 that says when to come back, soon', async () => {
    const token = await tokenOf(0, 'owner');
    await stack.killPostgrest();
    const started = Date.now();
    const reply = await call('backup-create', token, FULL);
    assert.ok(Date.now() - started < 10_000);
    assert.deepEqual(refusal(reply), [503, 'UNAVAILABLE']);
    assert.ok(Number(reply.headers.get('retry-after')) > 0);
    for (const header of RATE_HEADERS) assert.ok(reply.headers.has(header), header);
    await stack.restartPostgrest();
    assert.deepEqual(refusal(await call('backup-create', token, {})), [400, 'VALIDATION_FAILED']);
  });
});
