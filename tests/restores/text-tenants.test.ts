// Applications whose tenants are no uuids, over HTTP and on the real parts: backed up, damaged, taken back in every way
// there is, proven and forgotten, each under its own key. Names in the bucket are made of it, and another tenant of the
// same tables keeps each of its rows.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { temporaryFolder } from '../dev-command.ts';
import { bytesOf } from '../fixtures/archive.ts';
import { increment } from '../fixtures/chain.ts';
import { rowTexts } from '../fixtures/database.ts';
import { type Body, backUp, call, completed, ok, refusal, restored } from '../fixtures/functions.ts';
import { recoveryTest, resultsOf } from '../fixtures/recovery.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { copyBucket, m23 } from '../fixtures/tool.ts';

interface App {
  schema: string;
  /** The types of the tenant column in its two tables. */
  types: [string, string];
  mine: string;
  other: string;
  /** What the tenant is called in the bucket. */
  name: RegExp;
}

const APPS: App[] = [
  { schema: 'texts', types: ['text', 'varchar(60)'], mine: 'cm4x/ä"\'', other: 'acme', name: /^~[0-9a-f]{32}$/ },
  { schema: 'ints', types: ['int', 'bigint'], mine: '42', other: '7', name: /^42$/ },
];

const ARCHIVE_KEY = randomBytes(32).toString('base64');
const { stack, client, now, api, asService } = await openStack({ vars: { ARCHIVE_KEY } });

for (const { schema, types, mine, other, name } of APPS) {
  describe(`an application whose tenants are ${schema}`, () => {
    let tenant: Tenant;
    let bystander: Tenant;
    let named: string;
    let full: string;
    let tip: string;
    let wanted: string[];
    let others: string[];

    const rowsOf = async (key: string): Promise<string[]> => [
      ...(await rowTexts(client, `select * from ${schema}.notes where tenant_id = $1`, [key])),
      ...(await rowTexts(client, `select * from ${schema}.marks where tenant_id = $1`, [key])),
    ];

    const damage = async (): Promise<void> => {
      await client.query(`delete from ${schema}.marks where id in (1, 2)`);
      await client.query(`update ${schema}.notes set body = 'lost' where tenant_id = $1 and id > 2`, [mine]);
      await client.query(`insert into ${schema}.notes values (90, $1, 'too much')`, [mine]);
    };

    /** A call in the name of the service, for the tenant. */
    const service = async (path: string, body: unknown): Promise<Body> => {
      const headers = { 'x-m23-tenant': encodeURIComponent(mine), 'x-m23-reason': 'a test' };
      return ok(await call(stack, path, stack.serviceRoleKey, body, { headers }));
    };

    const pitr = async (targetTimestamp: string, more: Record<string, unknown>): Promise<Body> =>
      ok(await call(stack, 'pitr-restore', await tenant.token('admin'), { targetTimestamp, ...more }));

    before(async () => {
      await client.query(`create schema ${schema}; grant usage on schema ${schema} to authenticated, service_role;
        create table ${schema}.notes (id int, tenant_id ${types[0]} not null, body text, primary key (id));
        create table ${schema}.marks (id int primary key, tenant_id ${types[1]} not null, note int references ${schema}.notes);
        create index on ${schema}.notes (tenant_id); create index on ${schema}.marks (tenant_id);
        select m23.protect_table('${schema}.notes'); select m23.protect_table('${schema}.marks')`);
      for (const [key, first] of [
        [mine, 1],
        [other, 11],
      ] as const) {
        await client.query(
          `insert into ${schema}.notes select n, $1, 'note ' || n from generate_series($2::int, $2 + 5) n`,
          [key, first],
        );
        await client.query(`insert into ${schema}.marks select n, $1, n from generate_series($2::int, $2 + 5) n`, [
          key,
          first,
        ]);
      }
      tenant = await newTenant(stack, client, mine);
      bystander = await newTenant(stack, client, other);
      others = await rowsOf(other);
      const { rows } = await client.query<{ name: string }>('select m23.tenant_name($1) as name', [mine]);
      named = rows[0]!.name;
    });

    test('is backed up under a name made of the key, which the manifest has itself', async () => {
      assert.match(named, name);
      full = await backUp(stack, client, tenant);
      const manifest = JSON.parse(
        (await bytesOf(stack, `tenants/${named}/backups/${full}/manifest.json`)).toString('utf8'),
      ) as { tenant_id: string; version: number; rows: number };
      assert.deepEqual([manifest.tenant_id, manifest.version], [mine, 3]);
      const { objects } = await stack.archives.list({ prefix: `keys/${named}/` });
      assert.equal(objects.length, 1);
      await client.query(`update ${schema}.notes set body = 'newer' where id in (1, 11)`);
      others = await rowsOf(other);
      tip = await increment(stack, client, tenant, full);
      wanted = await rowsOf(mine);
    });

    test('goes back to a moment by its log, after a look, and back again', async () => {
      const moment = await now();
      await damage();
      const damaged = await rowsOf(mine);
      const seen = await pitr(moment, { dryRun: true });
      assert.deepEqual((seen['stats'] as Body)['totalOperations'], 7);
      const done = await pitr(moment, { confirmRestore: true });
      assert.deepEqual(await rowsOf(mine), wanted);
      ok(
        await call(stack, 'pitr-rollback', await tenant.token('admin'), {
          snapshotId: done['snapshotId'],
          confirmRollback: true,
        }),
      );
      assert.deepEqual(await rowsOf(mine), damaged);
    });

    test('comes back from its archive', async () => {
      await restored(stack, tenant, tip);
      assert.deepEqual(await rowsOf(mine), wanted);
    });

    test('is proven by a deep recovery test', async () => {
      const results = resultsOf(await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: tip }));
      assert.deepEqual(results.findings, []);
    });

    test("is named by the service in percent-encoding, in the user's claim, and by nobody else", async () => {
      const backup = String((await service('backup-create', { jobType: 'full' }))['jobId']);
      await completed(client, backup);
      const moment = await now();
      await damage();
      await service('pitr-restore', { targetTimestamp: moment, confirmRestore: true });
      assert.deepEqual(await rowsOf(mine), wanted);
      const { rows } = await client.query<{ actor: string | null }>(
        `select actor from public.audit_log where tenant_id = $1 and detail ->> 'caller' = 'service'`,
        [mine],
      );
      assert.ok(rows.length >= 2);
      const strange = await call(stack, 'backup-create', await bystander.token('owner'), {
        jobType: 'incremental',
        baseBackupId: full,
      });
      assert.deepEqual(refusal(strange), [404, 'BACKUP_NOT_FOUND']);
    });

    test("is told of its health by its own key, and nobody of another's", async () => {
      const user = api(tenant, 'viewer');
      const health = await user.rpc('get_health', { p_tenant_id: mine });
      assert.equal(health.error, null);
      const { data } = await user.rpc('get_current_tenant');
      assert.match(JSON.stringify(data), new RegExp(JSON.stringify(mine).slice(1, -1).replaceAll('\\', '\\\\')));
      assert.match((await user.rpc('get_health', { p_tenant_id: other })).error?.message ?? '', /do not belong/);
    });

    test('is verified, listed and read by the tool under its key', async () => {
      const folder = temporaryFolder();
      await copyBucket(stack, folder);
      const verified = await m23(['archive', 'verify', folder, '--tenant', mine, '--require-key', '--json'], {
        ARCHIVE_KEY,
      });
      assert.equal(verified.code, 0, verified.output + verified.errors);
      const report = JSON.parse(verified.output) as { backups: { tenant_id: string }[]; findings: number };
      assert.deepEqual([report.findings, ...new Set(report.backups.map(({ tenant_id }) => tenant_id))], [0, mine]);
      const script = await m23(['archive', 'extract', folder, '--backup', tip], { ARCHIVE_KEY });
      assert.equal(script.code, 0, script.errors);
    });

    test('is forgotten with its key, and another tenant of its tables has kept each row', async () => {
      const admin = asService();
      const erased = await admin.rpc('erase_archive_key', { p_tenant_id: mine });
      assert.deepEqual([erased.error, (erased.data as Body)['prefix']], [null, `keys/${named}/`]);
      await stack.runCron('backup-create');
      assert.deepEqual((await stack.archives.list({ prefix: `keys/${named}/` })).objects, []);
      const forgotten = await admin.rpc('forget_tenant', { p_tenant_id: mine });
      assert.equal(forgotten.error, null);
      assert.equal((forgotten.data as { archives: { prefix: string } }).archives.prefix, `tenants/${named}/`);
      assert.deepEqual(await rowsOf(mine), wanted, 'live rows stay');
      assert.deepEqual(await rowsOf(other), others);
    });
  });
}
