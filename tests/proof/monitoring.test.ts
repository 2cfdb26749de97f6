// What the operator of all tenants sees: health, heartbeats, the fleet, and alerts at a real receiver.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { createClient } from '@supabase/supabase-js';
import { parse } from 'smol-toml';

import { readMigrations } from '../../stack/migrations.ts';
import { ROOT } from '../../stack/places.ts';
import { FUNCTIONS, type FunctionName } from '../../stack/wrangler-config.ts';
import { backUp, call } from '../fixtures/functions.ts';
import { stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';
import { type Message, Receiver } from '../fixtures/webhook.ts';

const CRONS: readonly FunctionName[] = ['backup-create', 'backup-restore', 'recovery-test'];

const receiver = await Receiver.start();
after(() => receiver.stop());
const vars = { ALERT_WEBHOOK_URL: receiver.url, ALERT_WEBHOOK_SECRET: receiver.secret };
const { stack, client, asService } = await openShopStack({ twins: true, vars });

before(async () => {
  for (const name of CRONS) await stack.runCron(name);
});

async function value<T>(sql: string, ...parameters: unknown[]): Promise<T> {
  const {
    rows: [row],
  } = await client.query<{ value: T }>(sql, parameters);
  return row!.value;
}

interface Health {
  status: string;
  versions: { functions: string; database: string | null };
  database: string;
  kv: string;
  objects: string;
  cron: Record<string, number>;
}

interface Answer {
  status: number;
  headers: Headers;
  text: string;
  body: Health;
}

async function health(path = 'health', init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${stack.url}/functions/v1/${path}`, init);
  const text = await response.text();
  const body = (text === '' ? {} : JSON.parse(text)) as Health;
  return { status: response.status, headers: response.headers, text, body };
}

/** The release of the Workers. */
function release(): string {
  const cargo: unknown = parse(readFileSync(join(ROOT, 'Cargo.toml'), 'utf8'));
  return (cargo as { workspace: { package: { version: string } } }).workspace.package.version;
}

/** Lines of the Workers' log. */
function logged(event: string): Record<string, unknown>[] {
  return readFileSync(join(stack.stateDir, 'workers.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes('{"'))
    .map((line) => JSON.parse(line.slice(line.indexOf('{"'))) as Record<string, unknown>)
    .filter((line) => line['event'] === event);
}

describe('a release', () => {
  test('is the same in the database and in the functions, and knows its newest migration', async () => {
    assert.equal(await value('select m23.version() as value'), release());
    assert.equal(await value('select m23.newest_migration() as value'), readMigrations().at(-1)?.version);
  });
});

describe('the health endpoint', () => {
  test('tells everybody that all is well, and nothing else', async () => {
    const { status, headers, body } = await health();
    assert.equal(status, 200);
    assert.equal(headers.get('access-control-allow-origin'), '*');
    assert.equal(headers.get('content-type'), 'application/json');
    assert.deepEqual(Object.keys(body.cron).sort(), CRONS);
    assert.ok(Object.values(body.cron).every((age) => Number.isInteger(age) && age >= 0 && age < 3600));
    const versions = { functions: release(), database: release() };
    const well = { status: 'ok', versions, database: 'ok', kv: 'ok', objects: 'ok', cron: {} };
    assert.deepEqual({ ...body, cron: {} }, well);
  });

  test('is there for each function alone', async () => {
    for (const name of FUNCTIONS) assert.equal((await health(`${name}/health`)).body.status, 'ok', name);
    const head = await health('health', { method: 'HEAD' });
    assert.deepEqual([head.status, head.text], [200, '']);
    const post = await health('health', { method: 'POST', body: '{}' });
    assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD, OPTIONS']);
    const preflight = await health('health', { method: 'OPTIONS' });
    assert.equal(preflight.headers.get('access-control-allow-methods'), 'GET, HEAD, OPTIONS');
    assert.equal((await health('unknown/health')).status, 404);
  });

  test('is degraded where a job of the clock is late', async () => {
    await client.query(`update m23.heartbeats set begun_at = now() - interval '1 hour' where name = 'recovery-test'`);
    await stack.restartWorkers();
    const { status, body } = await health();
    assert.deepEqual([status, body.status, (body.cron['recovery-test'] ?? 0) >= 3600], [200, 'degraded', true]);
    await client.query(`update m23.heartbeats set begun_at = null where name = 'recovery-test'`);
  });

  test('is 503 while the database is away, asks it once in 10 seconds, and shows no text of an error', async () => {
    await stack.killPostgrest();
    await stack.restartWorkers();
    const begun = Date.now();
    const { status, body, text } = await health();
    const versions = { functions: release(), database: null };
    const down = { status: 'down', versions, database: 'down', kv: 'ok', objects: 'ok', cron: {} };
    assert.deepEqual([status, body], [503, down], text);
    for (let n = 0; n < 20; n += 1) assert.equal((await health()).status, 503);
    const looks = await eventually(
      async () => logged('part_not_answering').filter(({ part }) => part === 'database').length,
      (seen) => seen >= 1,
    );
    assert.ok(looks <= 1 + (Date.now() - begun) / 10_000, `${looks} looks`);
    await stack.restartPostgrest();
    await stack.restartWorkers();
    assert.equal((await health()).status, 200);
  });
});

describe('a job of the clock', () => {
  interface Beat {
    name: string;
    come: boolean;
    gone: boolean;
    ok: boolean;
    error: string | null;
    version: string;
  }
  const beats = async (): Promise<Beat[]> =>
    (
      await client.query<Beat>(`
    select name, begun_at is not null as come, ended_at >= begun_at as gone, ok, error, version
      from m23.heartbeats where expected order by name`)
    ).rows;

  test('leaves a heartbeat', async () => {
    for (const name of CRONS) await stack.runCron(name);
    const beat = { come: true, gone: true, ok: true, error: null, version: release() };
    assert.deepEqual(
      await beats(),
      CRONS.map((name) => ({ name, ...beat })),
    );
  });

  test('that could not do its work says what it was, in a word', async () => {
    await client.query('alter function public.m23_begin_scheduled_backups() rename to m23_gone; notify pgrst');
    const failed = async (): Promise<boolean> => {
      await stack.runCron('backup-create');
      return (await beats())[0]?.ok === false;
    };
    await eventually(failed, (seen) => seen); // PostgREST knows the function for a moment longer
    assert.equal((await beats())[0]?.error, 'schedule_not_followed');
    await client.query('alter function public.m23_gone() rename to m23_begin_scheduled_backups; notify pgrst');
    await eventually(failed, (seen) => !seen);
  });

  test('logs whose work it did, how long it took, and how much it was', async () => {
    const tenant = await newTenant(stack, client);
    await stock(client, tenant, 2);
    const job = await backUp(stack, client, tenant);
    // The database knows of the end before the Worker has said it.
    const lines = async (): Promise<Record<string, unknown>[]> =>
      logged('backup_completed').filter((one) => one['job_id'] === job);
    const [line] = await eventually(lines, (seen) => seen.length > 0);
    assert.deepEqual([line?.['tenant_id'], line?.['rows']], [tenant.id, 2 + 10 + 20]);
    assert.ok(Number(line?.['bytes']) > 0 && Number(line?.['ms']) > 0, JSON.stringify(line));
  });
});

describe('the operator of the platform', () => {
  test('stands last among the users, sees the fleet and the doctor, and no row of a tenant', async () => {
    const { email, password, tenantId, role } = stack.users.at(-1)!;
    assert.deepEqual([tenantId, role], [null, null]);
    const auth = { autoRefreshToken: false, persistSession: false };
    const operator = createClient(stack.url, stack.anonKey, { auth });
    assert.equal((await operator.auth.signInWithPassword({ email, password })).error, null);
    const { data: fleet, error } = await operator.rpc('get_fleet');
    assert.equal(error, null);
    const overview = (await client.query<{ tenant_id: string }>('select * from m23.overview()')).rows;
    const ids = (rows: { tenant_id: string }[]): string[] => rows.map((row) => row.tenant_id);
    assert.deepEqual(ids(fleet as { tenant_id: string }[]), ids(overview));
    assert.deepEqual(Object.keys((fleet as object[])[0]!), [
      'tenant_id',
      'name',
      'last_backup_at',
      'rpo_minutes',
      'late',
      'last_proof_at',
      'score',
      'running',
      'failed_24h',
      'gaps',
      'plan',
      'worst',
      'why',
    ]);
    const { data: findings } = await operator.rpc('get_doctor');
    assert.deepEqual(Object.keys((findings as object[])[0]!), ['topic', 'state', 'finding', 'advice']);
    for (const table of ['customers', 'tenant_members', 'backup_jobs', 'dr_plans', 'audit_log', 'transaction_logs']) {
      assert.deepEqual((await operator.from(table).select()).data, [], table);
    }
    const token = (await operator.auth.getSession()).data.session?.access_token;
    assert.equal((await call(stack, 'backup-create', token, { jobType: 'full' })).body.code, 'TENANT_NOT_FOUND');
  });

  test('is nobody else but the service key', async () => {
    const service = asService();
    const tenant = await newTenant(stack, client);
    const headers = { authorization: `Bearer ${await tenant.token('owner')}` };
    const owner = createClient(stack.url, stack.anonKey, { global: { headers } });
    const anybody = createClient(stack.url, stack.anonKey);
    for (const name of ['get_fleet', 'get_doctor']) {
      assert.equal((await service.rpc(name)).error, null, name);
      const { status, error } = await owner.rpc(name);
      assert.deepEqual([status, error?.code], [403, 'INSUFFICIENT_PERMISSIONS'], name);
      assert.equal(error?.message, "this is for the platform's operator");
      assert.notEqual((await anybody.rpc(name)).error, null, name);
    }
  });
});

/** The cron triggers of two Workers fire at once. */
async function watch(): Promise<void> {
  await Promise.all([stack.runCron('backup-restore'), stack.runCron('backup-restore', true)]);
}

async function late(isLate: boolean): Promise<void> {
  await client.query(
    `
    update m23.heartbeats set begun_at = now() - case when $1 then interval '1 hour' else interval '0' end
     where name = 'recovery-test'`,
    [isLate],
  );
}

describe('an alert', () => {
  before(async () => {
    await client.query(`update m23.settings set value = '0' where name = 'watch_seconds'`);
  });
  beforeEach(async () => {
    receiver.status = 204;
    await late(false);
    await watch();
    await watch();
    receiver.messages.length = 0;
  });

  test('is told once when it begins, and once when it ends, whoever wakes', async () => {
    await late(true);
    await watch();
    await watch();
    assert.equal(receiver.messages.length, 1, JSON.stringify(receiver.messages));
    const [{ body, headers, path }] = receiver.of('cron_late.began') as [Message];
    assert.equal(path, '/alerts?key=of-the-receiver');
    assert.match(String(headers['content-type']), /^application\/json/);
    const { kind, edge, tenantId, detail } = body.data;
    assert.deepEqual([kind, edge, tenantId, detail], ['cron_late', 'began', undefined, { cron: 'recovery-test' }]);
    await late(false);
    await watch();
    await watch();
    assert.deepEqual(
      receiver.messages.map((one) => [one.body.type, one.body.data['alertId']]),
      [
        ['cron_late.began', body.data['alertId']],
        ['cron_late.ended', body.data['alertId']],
      ],
    );
  });

  test('that could not be delivered comes again later, as the same message', async () => {
    for (const [status, error] of [
      [500, 'status 500'],
      [302, 'status 302: redirects are not followed'],
    ] as const) {
      receiver.messages.length = 0;
      receiver.status = status;
      await late(true);
      await watch();
      await watch();
      const [failed, ...more] = receiver.messages;
      assert.deepEqual([failed?.path, more], ['/alerts?key=of-the-receiver', []]);
      assert.equal(await value('select error as value from m23.alert_deliveries where id = $1', failed?.id), error);
      receiver.status = 200;
      await client.query('update m23.alert_deliveries set next_at = now() where id = $1', [failed?.id]);
      await watch();
      const again = receiver.messages.at(-1);
      assert.deepEqual([receiver.messages.length, again?.id, again?.text], [2, failed?.id, failed?.text]);
      await late(false);
      await watch();
    }
  });

  test('of a tenant names it, and says what to do', async () => {
    const tenant = await newTenant(stack, client);
    await client.query(
      `
      insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency,
                                   created_at, created_by)
        values ($1, 'a name of theirs', 60, 60, 'daily', 'weekly', now() - interval '1 day', $2)`,
      [tenant.id, tenant.userId('owner')],
    );
    await watch();
    const [told] = receiver.of('backup_overdue.began', tenant.id);
    const { summary, advice } = told!.body.data;
    assert.equal(summary, 'the newest backup of this tenant is still to come; its RPO is 60 minutes');
    assert.match(String(advice), /cron trigger of backup-create/);
    assert.doesNotMatch(String(told?.text), /a name of theirs/);
  });

  test('is sent nowhere by a webhook that cannot be used, and the doctor says why', async () => {
    await stack.restartWorkers({ ALERT_WEBHOOK_URL: 'https://10.0.0.1/' });
    await late(true);
    await watch();
    assert.equal(
      await value(`select finding as value from m23.doctor() where topic = 'alerts'`),
      'the webhook cannot be used: ALERT_WEBHOOK_URL must be an address of the open internet',
    );
    assert.equal(receiver.messages.length, 0);
    await stack.restartWorkers({ ALERT_WEBHOOK_URL: receiver.url });
    await watch();
    assert.equal(receiver.of('cron_late.began').length, 1);
  });
});

describe('a mass delete', () => {
  let tenant: Tenant;

  before(async () => {
    await client.query(`update m23.settings set value = '0' where name = 'watch_seconds';
      create table shop.notes (id int, tenant_id uuid not null, note text, primary key (tenant_id, id));
      select m23.protect_table('shop.notes')`);
  });
  beforeEach(async () => {
    tenant = await newTenant(stack, client);
    await client.query(`insert into shop.notes select n, $1, 'a secret' from generate_series(1, 400) n`, [tenant.id]);
    await watch();
    receiver.messages.length = 0;
  });

  /** Some statements, each a transaction, then the clock; gives what was told. */
  async function told(...statements: string[]): Promise<Message[]> {
    for (const statement of statements) await client.query(`set m23_test.tenant = '${tenant.id}'; ${statement}`);
    await client.query('select pg_stat_force_next_flush()');
    await client.query('select 1');
    await watch();
    return receiver.of('mass_delete.began', tenant.id);
  }

  /** How many rows a restore to the moment of a message would bring back. */
  async function comesBack(message: Message | undefined): Promise<unknown> {
    const { targetTimestamp } = message!.body.data.detail;
    const order = { targetTimestamp, tables: ['shop.notes'], dryRun: true };
    const { body } = await call(stack, 'pitr-restore', await tenant.token('owner'), order);
    return (body['stats'] as Record<string, unknown>)['insertCount'];
  }

  const MINE = `tenant_id = current_setting('m23_test.tenant')::uuid`;

  test('is told with the moment just before it, and that brings the rows back', async () => {
    const [message, ...more] = await told(`delete from shop.notes where ${MINE} and id <= 150`);
    assert.deepEqual(more, []);
    const { data } = message!.body;
    const { table, rowsDeleted } = data.detail;
    assert.deepEqual([data['tenantId'], table, rowsDeleted], [tenant.id, 'shop.notes', 150]);
    assert.doesNotMatch(message!.text, /a secret/);
    assert.equal(await comesBack(message), 150);
    assert.deepEqual(await told(), [message], 'and once');
  });

  test('is a minute of many transactions as well', async () => {
    const ends = Array.from({ length: 15 }, (_, n) => n * 10 + 10);
    const [message] = await told(...ends.map((end) => `delete from shop.notes where ${MINE} and id <= ${end}`));
    assert.equal(message?.body.data.detail['rowsDeleted'], 150);
    assert.equal(await comesBack(message), 150);
  });

  test('across two looks is one', async () => {
    assert.deepEqual(await told(`delete from shop.notes where ${MINE} and id <= 90`), []);
    const [message] = await told(`delete from shop.notes where ${MINE} and id <= 180`);
    assert.equal(message?.body.data.detail['rowsDeleted'], 180);
  });

  test('is a TRUNCATE, of every tenant', async () => {
    assert.equal((await told('truncate shop.notes'))[0]?.body.data.detail['rowsDeleted'], 400);
  });

  test('is neither 100 rows nor a small part, nor rows that are there again', async () => {
    assert.deepEqual(await told(`delete from shop.notes where ${MINE} and id <= 100`), [], '100 of 400 rows');
    const again = `insert into shop.notes select n, '${tenant.id}', 'again' from generate_series(1, 400) n`;
    assert.deepEqual(await told(`delete from shop.notes where ${MINE}`, again), [], 'all of them, written anew');
    await client.query(`insert into shop.notes select n, $1, 'more' from generate_series(1001, 2000) n`, [tenant.id]);
    assert.deepEqual(await told(`delete from shop.notes where ${MINE} and id > 1600`), [], '400 of 1,400 rows');
  });

  test('is no restore of ours', async () => {
    const at = await value<string>('select m23.iso(clock_timestamp()) as value');
    await client.query(`insert into shop.notes select n, $1, 'stray' from generate_series(1001, 2000) n`, [tenant.id]);
    const order = { targetTimestamp: at, tables: ['shop.notes'], confirmRestore: true };
    const { body } = await call(stack, 'pitr-restore', await tenant.token('owner'), order);
    assert.equal((body['stats'] as Record<string, unknown>)['deleteCount'], 1000, JSON.stringify(body));
    assert.deepEqual(await told(), []);
    const back = { snapshotId: body['snapshotId'], confirmRollback: true };
    const undone = await call(stack, 'pitr-rollback', await tenant.token('owner'), back);
    assert.equal(undone.status, 200, JSON.stringify(undone.body));
    // What comes back can be taken away again.
    const again = { snapshotId: undone.body['snapshotId'], confirmRollback: true };
    assert.equal((await call(stack, 'pitr-rollback', await tenant.token('owner'), again)).body['rowsRestored'], 1000);
    assert.deepEqual(await told(), []);
  });
});
