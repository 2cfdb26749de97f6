// A database with an older version, in use, is upgraded while writers go on: all that was made before can be read,
// restored and rolled back. Functions are refused by a database of a version that they do not work with.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';

import pg from 'pg';

import { supabaseShape } from '../../stack/migrated.ts';
import { migrate } from '../../stack/migrations.ts';
import { catalogue } from '../fixtures/catalogue.ts';
import { increment } from '../fixtures/chain.ts';
import { backUp, call, lastRestore, ok, type RestoreLog, refusal, restored } from '../fixtures/functions.ts';
import { OlderVersion } from '../fixtures/older-version.ts';
import { newPlan, recoveryTest, resultsOf } from '../fixtures/recovery.ts';
import { damage, openShop, type Rows, rowsOf, stock } from '../fixtures/shop.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';
import { OLDER, olderMigrations, upgradedMigrations } from '../fixtures/versions.ts';

const VERSION_HEADER = 'x-m23-version';

let tenant: Tenant;
let proxy: Server | undefined;
/** What the functions are made to say of themselves: another version, or nothing; undefined leaves what they say. */
let forged: string | null | undefined;
/** The versions that they have said. */
const said = new Set<unknown>();

/** What was made with the older version, and the rows of each moment. */
const then: {
  full?: string;
  atFull?: Rows;
  part?: string;
  atPart?: Rows;
  restore?: RestoreLog | undefined;
  snapshot?: string;
  moment?: string;
  atMoment?: Rows;
  plan?: string;
} = {};

const { stack, client, now } = await openStack({ prepare: installOlder, between });

before(async () => {
  await openShop(client);
  tenant = await newTenant(stack, client);
  await stock(client, tenant);
  await use();
});
after(() => proxy?.close());

async function installOlder(url: string): Promise<void> {
  const owner = new pg.Client({ connectionString: url });
  await owner.connect();
  await migrate(owner, olderMigrations());
  await owner.end();
}

/** Stands between the functions and PostgREST. */
async function between(rest: string): Promise<string> {
  proxy = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers };
    const { method, url = '' } = incoming;
    if (url.includes('/rpc/m23_')) said.add(headers[VERSION_HEADER]);
    if (forged === null) delete headers[VERSION_HEADER];
    else if (forged !== undefined) headers[VERSION_HEADER] = forged;
    const passed = request(`http://${rest}${url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  const listening = proxy.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return `127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

/** Uses the older version: a chain, a restore, a snapshot, a plan, and changes after them. */
async function use(): Promise<void> {
  const older = await OlderVersion.open(stack, tenant);
  then.full = await older.backUp({ jobType: 'full' });
  then.atFull = await rowsOf(client, tenant);
  const moment = await now();
  await damage(client, tenant);
  then.part = await older.backUp({ jobType: 'incremental', baseBackupId: then.full });
  then.atPart = await rowsOf(client, tenant);
  await older.restoreTo(moment);
  then.restore = await lastRestore(client, tenant);
  assert.equal(then.restore?.status, 'completed');
  then.snapshot = await older.keepSnapshot();
  then.plan = await newPlan(client, tenant);
  await client.query(`update shop.orders set note = 'later' where tenant_id = $1`, [tenant.id]);
  then.moment = await now();
  then.atMoment = await rowsOf(client, tenant);
  await older.close();
}

async function value(sql: string): Promise<unknown> {
  return (await client.query<{ value: unknown }>(sql)).rows[0]?.value;
}

async function rolledBack(snapshotId: unknown): Promise<void> {
  ok(await call(stack, 'pitr-rollback', await tenant.token('admin'), { snapshotId, confirmRollback: true }));
}

/** Writes until it is told to stop. */
class Writer {
  written = 0;
  readonly #client: pg.Client;
  readonly #ended: Promise<void>;
  #stopped = false;

  constructor(connection: pg.Client) {
    this.#client = connection;
    this.#ended = this.#write();
  }

  async #write(): Promise<void> {
    while (!this.#stopped) {
      const note = `written ${this.written}`;
      await this.#client.query('update shop.orders set note = $2 where tenant_id = $1', [tenant.id, note]);
      this.written += 1;
    }
    await this.#client.end();
  }

  async writesMore(): Promise<void> {
    const wanted = this.written + 3;
    const look = async (): Promise<number> => this.written;
    await Promise.race([eventually(look, (count) => count >= wanted), this.#ended]);
  }

  /** Throws what the database has refused. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#ended;
  }
}

describe('an upgrade of a database in use', () => {
  test('goes on beside writers, and each of their changes is kept', async () => {
    assert.equal(await value('select m23.version() as value'), OLDER);
    const writer = new Writer(await stack.postgres.connect());
    await writer.writesMore();
    await migrate(client, upgradedMigrations());
    await writer.writesMore();
    await writer.stop();
    assert.notEqual(await value('select m23.version() as value'), OLDER);
    const logged = await value(`select count(distinct xid)::int as value from m23_log.log_2 where op = 'U'`);
    assert.ok(Number(logged) >= writer.written, `${logged} transactions of at least ${writer.written}`);
  });

  test('gives the database all that a fresh one has', async () => {
    await client.query('create database fresh');
    const fresh = new pg.Client({ connectionString: stack.postgres.url.replace(/\/postgres$/, '/fresh') });
    await fresh.connect();
    await supabaseShape(fresh);
    await migrate(fresh);
    const lines = (await catalogue(fresh)).filter((line) => !/^(database|role|member|setting) \||supabase_/.test(line));
    await fresh.end();
    const upgraded = new Set(await catalogue(client));
    assert.deepEqual(
      lines.filter((line) => !upgraded.has(line)),
      [],
    );
  });

  test('adds sources to the logs: what was before has none, and what is written from then on has one', async () => {
    const { rows } = await client.query<{ without: number; with: number }>(
      `select count(*) filter (where source is null)::int as without, count(source)::int as "with" from m23_log.log_2`,
    );
    assert.ok(rows[0]!.without > 0 && rows[0]!.with > 0, JSON.stringify(rows[0]));
  });

  test('leaves the doctor content', async () => {
    const { rows } = await client.query("select topic, finding from m23.doctor() where state = 'problem'");
    assert.deepEqual(rows, []);
  });

  test('leaves what was before as it was', async () => {
    assert.deepEqual(await lastRestore(client, tenant), then.restore);
    const { rows } = await client.query(
      'select id, status from public.backup_jobs where tenant_id = $1 order by created_at',
      [tenant.id],
    );
    assert.deepEqual(
      rows,
      [then.full, then.part].map((id) => ({ id, status: 'completed' })),
    );
  });

  test('lets one go back to a moment before it', async () => {
    ok(
      await call(stack, 'pitr-restore', await tenant.token('admin'), {
        targetTimestamp: then.moment,
        confirmRestore: true,
      }),
    );
    assert.deepEqual(await rowsOf(client, tenant), then.atMoment);
  });

  test('lets one roll back to the snapshots of before it', async () => {
    await rolledBack(then.snapshot);
    assert.deepEqual(await rowsOf(client, tenant), then.atFull);
    await rolledBack(then.restore?.snapshot_id);
    assert.deepEqual(await rowsOf(client, tenant), then.atPart);
  });

  test('lets one restore the backups of before it, continue their chain, and prove them', async () => {
    await restored(stack, tenant, String(then.full));
    assert.deepEqual(await rowsOf(client, tenant), then.atFull);
    await restored(stack, tenant, String(then.part));
    assert.deepEqual(await rowsOf(client, tenant), then.atPart);
    const more = await increment(stack, client, tenant, String(then.part));
    const proof = { dr_plan_id: then.plan, validation_level: 'deep' };
    assert.equal(resultsOf(await recoveryTest(stack, tenant, proof)).issuesFound, 0);
    await client.query('delete from shop."Line Items" where tenant_id = $1', [tenant.id]);
    await restored(stack, tenant, more);
    assert.deepEqual(await rowsOf(client, tenant), then.atPart);
  });
});

describe('the five functions', () => {
  const begin = async () => await call(stack, 'backup-create', await tenant.token('operator'), { jobType: 'full' });

  /** Makes the database say another version of itself. */
  async function databaseIs(version: string): Promise<void> {
    await client.query(
      `create or replace function m23.version() returns text language sql immutable as $$ select '${version}' $$`,
    );
  }

  test('say their version with each call', async () => {
    assert.deepEqual([...said], [await value('select m23.version() as value')]);
  });

  test('are refused where they are newer than the database, and nothing is begun', async () => {
    const jobs = await value('select count(*)::int as value from public.backup_jobs');
    forged = '9.0.0';
    const reply = await begin();
    forged = undefined;
    assert.deepEqual(refusal(reply), [503, 'UNAVAILABLE']);
    assert.match(String(reply.body.error), /^M23 is being upgraded: .* has to upgrade the database\.$/);
    assert.ok(Number(reply.headers.get('retry-after')) > 0);
    assert.equal(await value('select count(*)::int as value from public.backup_jobs'), jobs);
  });

  test('are refused where they are older than the minor version before', async () => {
    await databaseIs('0.3.0');
    const reply = await begin();
    assert.deepEqual(refusal(reply), [503, 'UNAVAILABLE']);
    assert.match(String(reply.body.error), /has to deploy the functions of that release\.$/);
    const health = await fetch(`${stack.url}/functions/v1/backup-create/health`);
    const { status, versions } = (await health.json()) as { status: string; versions: { database: string } };
    assert.deepEqual([health.status, status, versions.database], [503, 'down', '0.3.0']);
  });

  test('work with the database of the next minor version', async () => {
    await databaseIs('0.2.0');
    await backUp(stack, client, tenant);
  });

  test('work where they do not say their version: nobody else is asked for one', async () => {
    forged = null;
    await backUp(stack, client, tenant);
    forged = undefined;
  });
});
