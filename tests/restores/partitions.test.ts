// Partitions that are dropped or detached, over HTTP: what goes with them is out of reach, and it is said.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { chainManifest, increment } from '../fixtures/chain.ts';
import { type Body, backUp, beginBackup, call, jobOf, ok, refusal, restore, restored } from '../fixtures/functions.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { databaseTime, eventually } from '../fixtures/time.ts';

const { stack, client } = await openStack();

/** A table by month, with two rows of January, two of February, and two of another tenant. */
async function visits(): Promise<Tenant> {
  const [tenant, other] = [await newTenant(stack, client), await newTenant(stack, client)];
  await client.query(`drop schema if exists stats cascade; create schema stats; set search_path = stats, public;
    create table visits (id int, tenant_id uuid not null, day date, page text, primary key (id, day))
      partition by range (day);
    create table january partition of visits for values from ('2026-01-01') to ('2026-02-01');
    create table february partition of visits for values from ('2026-02-01') to ('2026-03-01');
    select m23.protect_table('visits');
    insert into visits select n, o, '2026-01-10'::date + 30 * (n % 2), 'page ' || n
      from generate_series(1, 6) n,
           lateral (select case when n < 5 then '${tenant.id}' else '${other.id}' end::uuid) t (o)`);
  return tenant;
}

const tables = ['stats.visits'];
const pages = async (tenant: Tenant): Promise<string> =>
  (
    await client.query<{ pages: string }>(
      `select string_agg(page, ',' order by id) as pages from visits where tenant_id = $1`,
      [tenant.id],
    )
  ).rows[0]!.pages;
const pitr = async (tenant: Tenant, targetTimestamp: string, more: Record<string, unknown> = {}): Promise<Body> =>
  ok(
    await call(stack, 'pitr-restore', await tenant.token('admin'), {
      targetTimestamp,
      tables,
      confirmRestore: true,
      ...more,
    }),
  );

const LOST = /^stats\.visits: rows of partitions that were dropped after that moment .* back: stats\.january \(2/;

describe('a partition that was dropped with its rows', () => {
  test('is named by a dry run and a restore, which bring everything else back', async () => {
    const tenant = await visits();
    const at = await databaseTime(client);
    await client.query(`delete from visits where day >= '2026-02-01'; drop table january`);
    const dry = await pitr(tenant, at, { dryRun: true });
    const done = await pitr(tenant, at);
    assert.match(String(dry['warnings']), LOST);
    assert.deepEqual(done['warnings'], dry['warnings']);
    assert.deepEqual(done['stats'], dry['stats']);
    assert.equal(await pages(tenant), 'page 1,page 3');
  });

  test('comes back from a backup, where a partition takes its rows', async () => {
    const tenant = await visits();
    const backup = await backUp(stack, client, tenant, { jobType: 'full', tables });
    const at = await databaseTime(client);
    await client.query('drop table january; delete from visits');
    const first = await restored(stack, tenant, backup);
    assert.deepEqual(first['warnings'], ['stats.visits: 2 row(s) were left alone: no partition takes them any more']);
    assert.equal(await pages(tenant), 'page 1,page 3');
    await client.query(`create table january partition of visits for values from ('2026-01-01') to ('2026-02-01')`);
    assert.match(String((await pitr(tenant, at, { baseBackupId: backup }))['warnings']), LOST);
    assert.deepEqual((await restored(stack, tenant, backup))['warnings'], []);
    assert.equal(await pages(tenant), 'page 1,page 2,page 3,page 4');
  });

  test('has its table whole in the next incremental, which is exact', async () => {
    const tenant = await visits();
    const full = await backUp(stack, client, tenant, { jobType: 'full', tables });
    const between = await databaseTime(client);
    await client.query(`drop table january; update visits set page = page || '!'`);
    const next = await increment(stack, client, tenant, full);
    assert.deepEqual(
      (await chainManifest(stack, tenant, next)).tables.map(({ whole }) => whole),
      [true],
    );
    await client.query('delete from visits');
    await restored(stack, tenant, next);
    assert.equal(await pages(tenant), 'page 1!,page 3!');
    const inside = await call(stack, 'pitr-restore', await tenant.token('admin'), {
      targetTimestamp: between,
      baseBackupId: next,
      tables,
      confirmRestore: true,
    });
    assert.deepEqual(refusal(inside), [400, 'VALIDATION_FAILED']);
    assert.match(String(inside.body.details), /its shape, its protection or its partitions changed after/);
  });

  test('fails a backup that was to read it', async (t) => {
    const tenant = await visits();
    const gate = await stack.postgres.connect();
    t.after(() => gate.end());
    await gate.query('begin; lock table m23.leases in exclusive mode');
    const job = await beginBackup(stack, tenant, { jobType: 'full', tables });
    await client.query('drop table january');
    await gate.query('rollback');
    const ended = await eventually(
      () => jobOf(client, job),
      (j) => ['completed', 'failed'].includes(j.status),
    );
    assert.equal(ended.status, 'failed');
    assert.match(String(ended.error_message), LOST);
  });
});

test('a detached partition comes back from a moment or a backup as far as another takes its rows', async () => {
  const tenant = await visits();
  const backup = await backUp(stack, client, tenant, { jobType: 'full', tables });
  const at = await databaseTime(client);
  await client.query(`alter table visits detach partition january concurrently`);
  const left = ['stats.visits: 2 row(s) were left alone: no partition takes them any more'];
  assert.deepEqual((await pitr(tenant, at, { dryRun: true }))['warnings'], left);
  assert.deepEqual((await pitr(tenant, at))['warnings'], left);
  assert.deepEqual((await restored(stack, tenant, backup))['warnings'], left);
  assert.equal(await pages(tenant), 'page 1,page 3');
  await client.query('create table others partition of visits default');
  assert.deepEqual((await pitr(tenant, at))['warnings'], []);
  assert.equal(await pages(tenant), 'page 1,page 2,page 3,page 4');
});

test('a table that inherits is neither backed up nor restored, and both say why', async () => {
  const tenant = await newTenant(stack, client);
  await client.query(`create schema kin; create table kin.t (id int primary key, tenant_id uuid not null);
    select m23.protect_table('kin.t'); insert into kin.t values (1, '${tenant.id}')`);
  const named = { tables: ['kin.t'] };
  const backup = await backUp(stack, client, tenant, { jobType: 'full', ...named });
  const at = await databaseTime(client);
  await client.query('create table kin.child () inherits (kin.t)');
  const token = await tenant.token('admin');
  for (const reply of [
    await call(stack, 'backup-create', token, { jobType: 'full', ...named }),
    await restore(stack, tenant, backup),
    await call(stack, 'pitr-restore', token, { targetTimestamp: at, confirmRestore: true, ...named }),
    await call(stack, 'pitr-restore', token, { targetTimestamp: at, baseBackupId: backup, dryRun: true, ...named }),
  ]) {
    assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
    assert.match(String(reply.body.details), /kin\.t.*capture is suspended: the table shows the rows of kin\.child/);
  }
  await client.query('drop schema kin cascade');
});
