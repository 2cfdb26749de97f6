// The operations that are cut: how each is prepared and called, where its record is, and what is there when it is done.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import type { Stack } from '../../stack/stack.ts';
import { archivedRows, bytesOf, manifestOf, objectsOf, prefixOf } from '../fixtures/archive.ts';
import { backUp, call, ok, type Reply } from '../fixtures/functions.ts';
import { newPlan } from '../fixtures/recovery.ts';
import { damage, placesOf, type Rows, rowsOf, stock } from '../fixtures/shop.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { databaseTime } from '../fixtures/time.ts';
import type { World } from './world.ts';

/** Tables as callers name them. */
const TABLES = ['shop.accounts', 'shop.orders', 'shop.Line Items'];

/** A tenant whose rows were as wanted at a time, and in a backup. */
export interface Scene {
  tenant: Tenant;
  wanted: Rows;
  at: string;
  backup: string;
}

/** What there is to do, and how it looked before. */
export interface Situation extends Scene {
  /** What the call names: a snapshot, a schema, a backup. */
  subject: string;
  /** The rows when it is done; undefined where it writes none. */
  outcome?: Rows;
}

/** How a piece of work has ended, by its row. */
export interface Ended {
  id: string;
  status: string;
  error_message: string | null;
}

export interface Operation {
  name: string;
  /** Whether 200 means that it is done, and not that it was accepted. */
  tellsTheEnd?: true;
  /** A dry run leaves no row of its own. */
  leavesNoRow?: true;
  prepare(world: World, scene: Scene): Promise<Pick<Situation, 'subject' | 'outcome'>>;
  /** Its code or status. */
  call(world: World, situation: Situation, signal?: AbortSignal): Promise<string | number>;
  /** The newest row of the work of this tenant. */
  record(world: World, situation: Situation): Promise<Ended | undefined>;
  /** What must be there beside the rows when it is done. */
  assertDone?(world: World, situation: Situation, ended: Ended): Promise<void>;
  /** What must not be there when it is not. */
  assertUndone?(world: World, situation: Situation): Promise<void>;
}

export async function newScene(world: World): Promise<Scene> {
  const { stack, client } = world;
  const tenant = await newTenant(stack, client);
  await stock(client, tenant, 3);
  const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: TABLES });
  return { tenant, backup, wanted: await rowsOf(client, tenant), at: await databaseTime(client) };
}

const NOTHING = { subject: '' };

async function damaged({ client }: World, { tenant, wanted }: Scene): Promise<Pick<Situation, 'subject' | 'outcome'>> {
  await damage(client, tenant);
  return { subject: '', outcome: wanted };
}

/** A restore that can be rolled back. */
async function restored(world: World, scene: Scene): Promise<Pick<Situation, 'subject' | 'outcome'>> {
  const { stack, client } = world;
  const back = async (): Promise<Reply> =>
    await call(stack, 'pitr-restore', await scene.tenant.token('owner'), {
      targetTimestamp: scene.at,
      confirmRestore: true,
    });
  ok(await back());
  await damage(client, scene.tenant);
  const outcome = await rowsOf(client, scene.tenant);
  return { subject: String(ok(await back())['snapshotId']), outcome };
}

async function ask(
  stack: Stack,
  tenant: Tenant,
  name: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<string | number> {
  const { status, body: answer } = await call(
    stack,
    name,
    await tenant.token('owner'),
    body,
    signal === undefined ? {} : { signal },
  );
  return answer.code ?? status;
}

/** A function of the database, with a token. */
async function rpc(
  stack: Stack,
  token: string,
  name: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<string | number> {
  const headers = { apikey: stack.anonKey, authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(`${stack.url}/rest/v1/rpc/${name}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
  const answer = (await response.json()) as { code?: string } | string | null;
  return response.ok ? response.status : ((answer as { code?: string } | null)?.code ?? response.status);
}

/** The newest row of a table, of this tenant. */
function newest(table: string, where = 'true') {
  return async ({ client }: World, { tenant }: Scene): Promise<Ended | undefined> => {
    const { rows } = await client.query<Ended>(
      `select id, status, error_message from public.${table}
        where tenant_id = $1 and ${where} order by created_at desc limit 1`,
      [tenant.id],
    );
    return rows[0];
  };
}

/** A backup that is whole: its objects are those of its manifest, and its restore would change nothing. */
async function assertBackedUp(world: World, { tenant }: Scene, { id }: Ended): Promise<void> {
  const { stack } = world;
  const manifest = await manifestOf(stack, tenant, id);
  const named = manifest.tables.flatMap(({ chunks }) => chunks.map(({ object }) => object));
  const there = (await objectsOf(stack, tenant, id)).filter((key) => !key.includes('/history/'));
  assert.deepEqual(
    there.filter((key) => key.includes('.gz')).sort(),
    [...new Set(named)].sort(),
    'no object too many or too few',
  );
  await assertNothingToRestore(world, tenant, id);
}

async function assertNothingToRestore({ stack }: World, tenant: Tenant, backup: string): Promise<void> {
  const answer = ok(
    await call(stack, 'backup-restore', await tenant.token('owner'), {
      backupJobId: backup,
      dryRun: true,
      confirmRestore: true,
    }),
  );
  assert.equal(
    (answer['stats'] as { totalOperations: number }).totalOperations,
    0,
    'the backup has the rows that are there',
  );
}

/** Row by row, and by nothing of M23's. */
async function assertArchived(world: World, scene: Scene, ended: Ended): Promise<void> {
  const { stack, client } = world;
  const manifest = await manifestOf(stack, scene.tenant, ended.id);
  for (const { schema, name, columns } of manifest.tables.filter((table) => table.schema === 'shop')) {
    const list = columns.map((column) => `"${column.name}"::text`).join(', ');
    const { rows } = await client.query<{ row: unknown }>(
      `select array[${list}] as row from ${schema}."${name}" where tenant_id = $1`,
      [scene.tenant.id],
    );
    const texts = (all: unknown[]): string[] => all.map((row) => JSON.stringify(row)).sort();
    assert.deepEqual(
      texts(await archivedRows(stack, manifest, schema, name)),
      texts(rows.map(({ row }) => row)),
      `${schema}.${name}`,
    );
  }
}

async function schemaExists({ client }: World, name: string): Promise<boolean> {
  return (await client.query('select from pg_namespace where nspname = $1', [name])).rowCount === 1;
}

let numbers = 0;

function newNumber(): number {
  numbers += 1;
  return numbers;
}

/** The database forgets a backup, whose archive stays. */
async function forget({ client }: World, backup: string): Promise<void> {
  await client.query('begin');
  for (const table of ['m23.backup_chunks', 'm23.backup_tables', 'm23.backup_work'])
    await client.query(`delete from ${table} where job_id = $1`, [backup]);
  await client.query('update public.restore_logs set backup_job_id = null where backup_job_id = $1', [backup]);
  await client.query('delete from public.backup_jobs where id = $1', [backup]);
  await client.query('commit');
}

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'full backup',
    prepare: () => Promise.resolve(NOTHING),
    call: ({ stack }, { tenant }, signal) =>
      ask(stack, tenant, 'backup-create', { jobType: 'full', tables: TABLES }, signal),
    record: newest('backup_jobs', `job_type = 'full'`),
    assertDone: async (world, scene, ended) => {
      await assertArchived(world, scene, ended);
      await assertBackedUp(world, scene, ended);
    },
  },
  {
    name: 'incremental backup',
    prepare: async ({ client }, { tenant }) => {
      await client.query('update shop.orders set note = $2 where tenant_id = $1 and place % 2 = 0', [
        tenant.id,
        `changed ${newNumber()}`,
      ]);
      return NOTHING;
    },
    call: ({ stack }, { tenant, backup }, signal) =>
      ask(stack, tenant, 'backup-create', { jobType: 'incremental', baseBackupId: backup }, signal),
    record: newest('backup_jobs', `job_type = 'incremental'`),
    assertDone: (world, { tenant }, { id }) => assertNothingToRestore(world, tenant, id),
  },
  {
    name: 'backup of a plan',
    prepare: async ({ client }, { tenant }) => {
      const { rowCount } = await client.query('select from public.dr_plans where tenant_id = $1', [tenant.id]);
      if (rowCount === 0) await newPlan(client, tenant);
      await client.query(
        `update public.dr_plans set next_backup_date = clock_timestamp() - interval '1 second' where tenant_id = $1`,
        [tenant.id],
      );
      return NOTHING;
    },
    call: async ({ stack }) => {
      await stack.runCron('backup-create');
      return 200;
    },
    record: newest('backup_jobs', 'tables is null'),
    assertDone: async (world, scene, ended) => {
      await assertArchived(world, scene, ended);
    },
  },
  {
    name: 'restore to a moment',
    tellsTheEnd: true,
    prepare: damaged,
    call: ({ stack }, { tenant, at }, signal) =>
      ask(stack, tenant, 'pitr-restore', { targetTimestamp: at, confirmRestore: true }, signal),
    record: newest('restore_logs'),
  },
  {
    name: 'restore to a moment from an archive',
    tellsTheEnd: true,
    prepare: damaged,
    call: ({ stack }, { tenant, at, backup }, signal) =>
      ask(
        stack,
        tenant,
        'pitr-restore',
        { targetTimestamp: at, baseBackupId: backup, tables: TABLES, confirmRestore: true },
        signal,
      ),
    record: newest('restore_logs'),
  },
  {
    name: 'dry run',
    leavesNoRow: true,
    prepare: async (world, scene) => {
      if (JSON.stringify(await rowsOf(world.client, scene.tenant)) === JSON.stringify(scene.wanted))
        await damage(world.client, scene.tenant);
      return NOTHING;
    },
    call: ({ stack }, { tenant, backup }, signal) =>
      ask(stack, tenant, 'backup-restore', { backupJobId: backup, dryRun: true, confirmRestore: true }, signal),
    record: newest('restore_logs'),
  },
  {
    name: 'restore of a backup',
    tellsTheEnd: true,
    prepare: damaged,
    call: ({ stack }, { tenant, backup }, signal) =>
      ask(stack, tenant, 'backup-restore', { backupJobId: backup, confirmRestore: true }, signal),
    record: newest('restore_logs'),
  },
  {
    name: 'restore beside the live data',
    tellsTheEnd: true,
    prepare: () => Promise.resolve({ subject: `beside_${newNumber()}` }),
    call: ({ stack }, { tenant, backup, subject }, signal) =>
      ask(
        stack,
        tenant,
        'backup-restore',
        { backupJobId: backup, targetSchema: subject, confirmRestore: true },
        signal,
      ),
    record: newest('restore_logs'),
    assertDone: async ({ client }, { tenant, wanted, subject }) => {
      const beside = Object.fromEntries(Object.keys(wanted).map((table) => [table, table.replace('shop', subject)]));
      const rows = await rowsOf(client, tenant, Object.values(beside));
      for (const [table, copy] of Object.entries(beside)) assert.deepEqual(rows[copy], wanted[table], copy);
      await client.query(`drop schema ${subject} cascade`);
    },
    assertUndone: async (world, { subject }) =>
      assert.equal(await schemaExists(world, subject), false, 'nothing stands beside'),
  },
  {
    name: 'rollback',
    tellsTheEnd: true,
    prepare: restored,
    call: ({ stack }, { tenant, subject }, signal) =>
      ask(stack, tenant, 'pitr-rollback', { snapshotId: subject, confirmRollback: true }, signal),
    record: newest('pitr_rollbacks'),
  },
  {
    name: 'rollback by the function of the database',
    tellsTheEnd: true,
    prepare: restored,
    call: async ({ stack }, { tenant, subject }, signal) =>
      rpc(
        stack,
        await tenant.token('owner'),
        'execute_pitr_rollback',
        { p_snapshot_id: subject, p_initiated_by: tenant.userId('owner') },
        signal,
      ),
    record: newest('pitr_rollbacks'),
  },
  {
    name: 'snapshot',
    tellsTheEnd: true,
    prepare: () => Promise.resolve(NOTHING),
    call: async ({ stack }, { tenant }, signal) =>
      rpc(
        stack,
        await tenant.token('owner'),
        'create_pitr_snapshot',
        {
          p_tenant_id: tenant.id,
          p_snapshot_name: 'by hand',
          p_affected_tables: ['shop.orders'],
          p_created_by: tenant.userId('owner'),
        },
        signal,
      ),
    record: async ({ client }, { tenant }) =>
      (
        await client.query<Ended>(
          `select id, 'completed' as status, null as error_message from public.pitr_snapshots
            where tenant_id = $1 order by created_at desc limit 1`,
          [tenant.id],
        )
      ).rows[0],
  },
  {
    name: 'recovery test',
    tellsTheEnd: true,
    prepare: () => Promise.resolve(NOTHING),
    call: ({ stack }, { tenant, backup }, signal) =>
      ask(
        stack,
        tenant,
        'recovery-test',
        { backup_job_id: backup, test_name: 'cut', test_type: 'manual', validation_level: 'deep' },
        signal,
      ),
    record: newest('recovery_tests'),
    assertDone: async ({ client }, _, { id }) => {
      const {
        rows: [test],
      } = await client.query<{ findings: unknown[] }>(
        `select results -> 'findings' as findings from public.recovery_tests where id = $1`,
        [id],
      );
      assert.deepEqual(test?.findings, []);
    },
  },
  {
    name: 'adoption',
    tellsTheEnd: true,
    prepare: async (world, { backup }) => {
      await forget(world, backup);
      return NOTHING;
    },
    call: async ({ stack }, { tenant, backup }, signal) => {
      const object = `${prefixOf(tenant, backup)}manifest.json`;
      const manifest = await bytesOf(stack, object);
      const digest = createHash('sha256').update(manifest).digest('hex');
      return await rpc(
        stack,
        stack.serviceRoleKey,
        'adopt_backup',
        { p_manifest: JSON.parse(manifest.toString('utf8')), p_object: object, p_sha256: digest },
        signal,
      );
    },
    record: newest('backup_jobs'),
    assertDone: (world, { tenant, backup }) => assertNothingToRestore(world, tenant, backup),
  },
  {
    name: 'collection of a deleted backup',
    prepare: async (world, { tenant }) => {
      const subject = await backUp(world.stack, world.client, tenant, { jobType: 'full', tables: TABLES });
      await world.client.query(
        `update public.backup_jobs
            set completed_at = completed_at - interval '9 days', deleted_at = now() - interval '8 days' where id = $1`,
        [subject],
      );
      return { subject };
    },
    call: async ({ stack }) => {
      await stack.runCron('backup-create');
      return 200;
    },
    record: async ({ client }, { subject }) =>
      (
        await client.query<Ended>(
          `select id, 'completed' as status, null as error_message from public.backup_jobs
            where id::text = $1 and metadata ? 'purged_at'`,
          [subject],
        )
      ).rows[0],
    assertDone: async ({ stack }, { tenant, subject }) =>
      assert.deepEqual(await objectsOf(stack, tenant, subject), [], 'its objects are gone'),
  },
];

/** Every row of the tenant with its place and the transaction that wrote it. */
export async function livePlaces({ client }: World, { tenant }: Scene): Promise<Rows> {
  return await placesOf(client, tenant);
}
