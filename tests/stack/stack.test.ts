// The development stack: how it starts and what it refuses; whatever ends it, no process stays behind.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';

import { createClient } from '@supabase/supabase-js';

import { startStack } from '../../stack/stack.ts';
import { DevCommand, temporaryFolder } from '../dev-command.ts';
import { gone } from '../processes.ts';

function start(t: TestContext, stateDir = temporaryFolder(), ...args: string[]): DevCommand {
  const dev = new DevCommand(stateDir, ...args);
  t.after(() => dev.stop('SIGTERM'));
  return dev;
}

describe('a running stack', () => {
  test('publishes how it is reached, and takes it back at the end', async (t) => {
    const dev = start(t);
    const published = await dev.ready();
    assert.deepEqual(Object.keys(published).sort(), ['anonKey', 'databaseUrl', 'serviceRoleKey', 'url', 'users']);
    assert.equal(statSync(join(dev.stateDir, 'dev.json')).mode & 0o777, 0o600);
    const tenants = Map.groupBy(published.users, (user) => user.tenantId);
    assert.deepEqual(
      [...tenants.values()].map((users) => users.map((user) => user.role)),
      [
        ['owner', 'operator', 'viewer'],
        ['owner', 'operator', 'viewer'],
        [null, null],
      ],
    );
    assert.equal(
      published.users.at(-1)?.email,
      'operator@platform.example',
      'the operator of the platform stands last',
    );
    assert.equal(await dev.stop(), 0);
    assert.ok(!existsSync(join(dev.stateDir, 'dev.json')));
    assert.ok(existsSync(join(dev.stateDir, 'pg')), 'the database is kept');
  });

  test('lets supabase-js sign in, stay signed in, read and sign out', async (t) => {
    const dev = start(t);
    const { url, anonKey, users } = await dev.ready();
    const [user] = users;
    assert.ok(user);
    const client = createClient(url, anonKey, { auth: { autoRefreshToken: false } });
    const { error } = await client.auth.signInWithPassword(user);
    assert.equal(error, null);
    assert.equal((await client.auth.getUser()).data.user?.email, user.email);
    assert.equal((await client.auth.refreshSession()).error, null);
    assert.equal((await client.auth.getClaims()).data?.claims['iss'], `${url}/auth/v1`);
    const { data } = await client.from('customers').select('tenant_id');
    assert.ok(data !== null && data.length > 0);
    assert.deepEqual([...new Set(data.map((row) => row.tenant_id as string))], [user.tenantId]);
    assert.equal((await client.auth.signOut()).error, null);
    const wrong = await client.auth.signInWithPassword({ email: user.email, password: 'wrong' });
    assert.equal(wrong.error?.message, 'Invalid login credentials');
  });

  test("answers an unknown function with the contract's body, and leaves the rest to the project", async (t) => {
    const { url } = await start(t).ready();
    const response = await fetch(`${url}/functions/v1/unknown`, { method: 'POST' });
    assert.equal(response.status, 404);
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    const body = (await response.json()) as Record<string, unknown>;
    assert.deepEqual([body['success'], body['code']], [false, 'NOT_FOUND']);
    for (const path of ['/storage/v1/bucket', '/realtime/v1/websocket', '/graphql/v1']) {
      assert.deepEqual(
        await (await fetch(url + path)).json(),
        { message: 'nothing here' },
        `${path} is the project's, and the stack has none`,
      );
    }
    assert.equal(
      (await fetch(`${url}/elsewhere/v1/`)).headers.has('x-request-id'),
      true,
      "what is nobody's the gateway answers",
    );
  });
});

describe('a start is refused with one sentence', () => {
  async function refused(t: TestContext, expected: RegExp, stateDir?: string, ...args: string[]): Promise<void> {
    const dev = start(t, stateDir, ...args);
    assert.equal(await dev.ended(), 1);
    assert.equal(dev.errors.length, 1, dev.output);
    assert.match(dev.errors[0] ?? '', expected);
    assert.doesNotMatch(dev.output, /^\s+at /m, 'no stack trace');
  }

  test('when another instance has the state', async (t) => {
    const first = start(t);
    await first.ready();
    await refused(t, /another `cargo xtask dev` is running/, first.stateDir);
    assert.equal(await first.stop(), 0);
  });

  test('when the port is taken', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await refused(t, new RegExp(`port ${port} is taken`), undefined, '--port', String(port));
  });

  test('when the folder holds something else', async (t) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'thesis.txt'), 'mine');
    await refused(t, /is not a state folder of M23/, folder);
    assert.deepEqual(readdirSync(folder), ['thesis.txt']);
  });

  test('when the folder has another format', async (t) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'format'), 'm23-state 99');
    await refused(t, /has the format "m23-state 99"/, folder);
  });

  test("when the database is another version's", async (t) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'format'), 'm23-state 1');
    mkdirSync(join(folder, 'pg'));
    writeFileSync(join(folder, 'pg', 'PG_VERSION'), '14\n');
    await refused(t, /holds a database of PostgreSQL 14/, folder);
  });
});

describe('nothing stays behind', { concurrency: 3 }, () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    test(`after ${signal}`, async (t) => {
      const dev = start(t);
      await dev.ready();
      const { family } = dev;
      assert.ok(family.length >= 5, 'supervisor, Node, Postgres, PostgREST and workerd');
      assert.equal(await dev.stop(signal), 0);
      assert.deepEqual(await gone(family, 500), []);
    });
  }

  for (const [part, named] of [
    ['postgrest', 'PostgREST'],
    ['workerd', 'workerd'],
    ['postgres', 'PostgreSQL'],
  ] as const) {
    test(`when ${named} crashes: the rest ends, with code 1 and its name`, async (t) => {
      const dev = start(t);
      await dev.ready();
      const { family } = dev;
      process.kill(dev.part(`(${part})`).pid, 'SIGKILL');
      assert.equal(await dev.ended(), 1);
      assert.match(dev.errors.join(), new RegExp(`${named} ended by itself`));
      assert.deepEqual(await gone(family, 500), []);
      assert.ok(!existsSync(join(dev.stateDir, 'dev.json')));
    });
  }

  test('when the supervisor is killed, and the state is good for the next start', async (t) => {
    const dev = start(t);
    await dev.ready();
    const { family } = dev;
    process.kill(dev.pid, 'SIGKILL');
    await dev.ended();
    assert.deepEqual(await gone(family), []);
    const next = start(t, dev.stateDir);
    await next.ready();
    assert.equal(await next.stop(), 0);
  });

  test("when the stack's own process is killed", async (t) => {
    const dev = start(t);
    await dev.ready();
    const { family } = dev;
    process.kill(dev.part('(node)').pid, 'SIGKILL');
    assert.equal(await dev.ended(), 1);
    assert.deepEqual(await gone(family, 500), []);
    const next = start(t, dev.stateDir);
    await next.ready();
    assert.equal(await next.stop(), 0);
  });

  test('of an ephemeral run, and a kept state is as it was', async (t) => {
    const kept = start(t);
    await kept.ready();
    assert.equal(await kept.stop(), 0);
    const key = readFileSync(join(kept.stateDir, 'issuer-key.json'), 'utf8');
    const before = readdirSync(kept.stateDir).sort();

    const ephemeral = start(t, kept.stateDir, '--ephemeral');
    await ephemeral.ready();
    assert.ok(existsSync(join(kept.stateDir, 'kv')) && existsSync(join(kept.stateDir, 'r2')));
    assert.notEqual(readFileSync(join(kept.stateDir, 'issuer-key.json'), 'utf8'), key);
    assert.equal(await ephemeral.stop(), 0);
    assert.deepEqual(readdirSync(kept.stateDir).sort(), before);
    assert.equal(readFileSync(join(kept.stateDir, 'issuer-key.json'), 'utf8'), key);

    const fresh = start(t, undefined, '--ephemeral');
    await fresh.ready();
    assert.equal(await fresh.stop(), 0);
    assert.deepEqual(readdirSync(fresh.stateDir), []);
  });
});

describe('a stack that a test has started', () => {
  test('reaches no address but its own project', async (t) => {
    const stack = await startStack({ stateDir: temporaryFolder(), ephemeral: true });
    t.after(() => stack.close());
    await stack.restartWorkers({ SUPABASE_URL: 'http://elsewhere.example' });
    const authorization = `Bearer ${await stack.issuer.accessToken(stack.users[0]!)}`;
    const { status } = await fetch(`${stack.url}/functions/v1/backup-create`, {
      method: 'POST',
      headers: { authorization },
      body: '{"jobType":"full"}',
    });
    assert.equal(status, 503);
    const isLogged = (): boolean => readFileSync(join(stack.stateDir, 'workers.log'), 'utf8').includes('403');
    assert.equal(await eventually(async () => Number(isLogged()), 1), 1);
  });

  test('survives the loss of each of its parts', async (t) => {
    const stack = await startStack({ stateDir: temporaryFolder(), ephemeral: true });
    t.after(() => stack.close());
    const token = await stack.issuer.accessToken(stack.users[0]!);
    const read = (bearer = token): Promise<Response> =>
      fetch(`${stack.url}/rest/v1/customers?limit=1`, {
        headers: { apikey: stack.anonKey, authorization: `Bearer ${bearer}` },
      });

    await stack.archives.put('kept', 'value');
    await stack.rateWindows.put('kept', 'value');
    await stack.restartWorkers();
    assert.equal(await (await stack.archives.get('kept'))?.text(), 'value');
    assert.equal(await stack.rateWindows.get('kept'), 'value');
    assert.equal((await read()).status, 200);

    await stack.killPostgrest();
    assert.equal((await read()).status, 503);
    await stack.restartPostgrest();
    assert.equal((await read()).status, 200);

    await stack.restartPostgres();
    assert.equal(await eventually(async () => (await read()).status, 200), 200);
    await stack.runCron('backup-create');

    const claims = { sub: stack.users[0]!.id };
    assert.equal((await read(await stack.issuer.otherKeySign(claims))).status, 401);
    assert.equal((await read(await stack.issuer.sign(claims, { alg: 'none' }))).status, 401);
    assert.equal((await read(await stack.issuer.sign(claims, { alg: 'HS256' }))).status, 401);
    assert.equal((await read(await stack.issuer.sign(claims, { expiresIn: -60 }))).status, 401);
  });
});

/** PostgREST takes a moment to notice that its database is back. */
async function eventually(look: () => Promise<number>, wanted: number): Promise<number> {
  const deadline = Date.now() + 10_000;
  let seen = await look();
  while (seen !== wanted && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    seen = await look();
  }
  return seen;
}
