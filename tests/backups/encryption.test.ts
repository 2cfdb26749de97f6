// Encrypted archives on the real parts: made, restored, without their key, rotated, erased.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { temporaryFolder } from '../dev-command.ts';
import { bytesOf, objectsOf, prefixOf, tamperedWith } from '../fixtures/archive.ts';
import { increment } from '../fixtures/chain.ts';
import { backUp, beginBackup, call, completed, refusal, restore, restored } from '../fixtures/functions.ts';
import { kindsOf, type Results, recoveryTest, resultsOf } from '../fixtures/recovery.ts';
import { damage, placesOf, rowsOf } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import type { Tenant } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';
import { copyBucket, m23 } from '../fixtures/tool.ts';

const [FIRST, SECOND] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')] as const;

const { stack, client, stocked, asService } = await openShopStack({ vars: { ARCHIVE_KEY: FIRST } });

before(async () => {
  await client.query("update m23.settings set value = '20' where name = 'chunk_rows'");
});

async function withKeys(current: string | undefined, previous?: string): Promise<void> {
  await stack.restartWorkers({ ARCHIVE_KEY: current, ARCHIVE_KEY_PREVIOUS: previous });
}

async function manifest(
  tenant: Tenant,
  backup: string,
): Promise<{ encryption?: { key_id: string; algorithm: string } }> {
  return JSON.parse((await bytesOf(stack, `${prefixOf(tenant, backup)}manifest.json`)).toString('utf8')) as {
    encryption?: { key_id: string; algorithm: string };
  };
}

async function keyOf(tenant: Tenant, backup: string): Promise<string | undefined> {
  return (await manifest(tenant, backup)).encryption?.key_id;
}

async function keyObjects(tenant?: Tenant): Promise<string[]> {
  const { objects } = await stack.archives.list({ prefix: tenant === undefined ? 'keys/' : `keys/${tenant.id}/` });
  return objects.map(({ key }) => key);
}

/** A chain of two whose rows are lost again; gives it, and the rows of its end. */
async function chainOf(tenant: Tenant): Promise<{ full: string; tip: string; rows: Record<string, string[]> }> {
  const full = await backUp(stack, client, tenant);
  await client.query(`update shop.orders set note = 'a secret ' || place where tenant_id = $1 and place % 2 = 0`, [
    tenant.id,
  ]);
  const tip = await increment(stack, client, tenant, full);
  const rows = await rowsOf(client, tenant);
  await damage(client, tenant);
  return { full, tip, rows };
}

async function assertComesBack(tenant: Tenant, backup: string, rows: Record<string, string[]>): Promise<void> {
  await damage(client, tenant).catch(() => undefined);
  await restored(stack, tenant, backup);
  assert.deepEqual(await rowsOf(client, tenant), rows);
}

async function assertUnusable(tenant: Tenant, backup: string, what: RegExp): Promise<void> {
  const before = await placesOf(client, tenant);
  const reply = await restore(stack, tenant, backup);
  assert.deepEqual(refusal(reply), [409, 'BACKUP_UNUSABLE'], JSON.stringify(reply.body));
  assert.match([reply.body.error, ...(reply.body.details ?? [])].join(' '), what);
  assert.deepEqual(await placesOf(client, tenant), before, 'nothing was changed');
}

async function erase(tenant: Tenant): Promise<unknown> {
  const service = asService();
  const { data, error } = await service.rpc('erase_archive_key', { p_tenant_id: tenant.id });
  assert.equal(error, null);
  return data;
}

describe('with a master key', () => {
  test('a full backup and its incremental are encrypted, and restored', async () => {
    const tenant = await stocked();
    const { full, tip, rows } = await chainOf(tenant);
    await assertComesBack(tenant, tip, rows);
    const { encryption } = await manifest(tenant, full);
    assert.equal(encryption?.algorithm, 'AES-256-GCM');
    assert.equal(await keyOf(tenant, tip), encryption.key_id, 'one key a tenant');
    assert.deepEqual(await keyObjects(tenant), [`keys/${tenant.id}/${encryption.key_id}.json`]);
    for (const backup of [full, tip]) {
      const { rows } = await client.query<{ sum: string }>(
        'select distinct fingerprint::text as sum from m23.backup_chunks where job_id = $1',
        [backup],
      );
      const text = JSON.stringify(await manifest(tenant, backup));
      assert.match(text, /"fingerprint":"[A-Za-z0-9+/=]{40,}"/);
      for (const { sum } of rows) assert.ok(!text.includes(sum), 'nor can one try what a short chunk holds');
    }
  });

  test('no row can be found in what lies in the bucket', async () => {
    const tenant = await stocked();
    const { full, tip } = await chainOf(tenant);
    const chunks: string[] = [];
    for (const key of [...(await objectsOf(stack, tenant, full)), ...(await objectsOf(stack, tenant, tip))]) {
      const bytes = await bytesOf(stack, key);
      for (const known of ['order 1', 'a secret', `${tenant.id}/1`])
        assert.ok(!bytes.includes(known), `${key} shows ${known}`);
      if (/manifest\.(json|mac)$/.test(key)) continue;
      assert.match(key, /\.copy\.gz\.enc$/);
      for (const packed of [bytes, bytes.subarray(12)]) assert.throws(() => gunzipSync(packed), `${key} is no gzip`);
      chunks.push(key);
    }
    assert.ok(chunks.some((key) => key.includes('/history-')) && chunks.length > 4, `${chunks.length} chunks`);
  });

  test('the database and the key object hold no key', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    const {
      rows: [known],
    } = await client.query<{ row: string }>('select to_jsonb(k) as row from m23.archive_keys k where tenant_id = $1', [
      tenant.id,
    ]);
    assert.deepEqual(Object.keys(known?.row ?? {}).sort(), [
      'created_at',
      'erased_at',
      'key_id',
      'retired_at',
      'tenant_id',
    ]);
    const object = JSON.parse(
      (await bytesOf(stack, `keys/${tenant.id}/${await keyOf(tenant, full)}.json`)).toString(),
    ) as Record<string, string>;
    assert.equal(Buffer.from(object['wrapped'] ?? '', 'base64').length, 60, 'nonce, ciphertext and tag of 32 bytes');
  });

  test('two first backups at once end with one key in use', async () => {
    const tenant = await stocked();
    const jobs = await Promise.all([1, 2, 3].map(() => beginBackup(stack, tenant)));
    for (const job of jobs) await completed(client, job);
    const keys = new Set(await Promise.all(jobs.map((job) => keyOf(tenant, job))));
    assert.equal(keys.size, 1, [...keys].join(' '));
    const { rows } = await client.query('select key_id from m23.archive_keys where tenant_id = $1', [tenant.id]);
    assert.deepEqual(rows, [{ key_id: [...keys][0] }]);
  });

  test('members under different keys make one chain, to each moment', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    const {
      rows: [moment],
    } = await client.query<{ at: string }>('select m23.iso(clock_timestamp()) as at');
    const between = await rowsOf(client, tenant);
    await client.query('update m23.archive_keys set retired_at = now() where tenant_id = $1', [tenant.id]);
    await damage(client, tenant);
    const tip = await increment(stack, client, tenant, full);
    const rows = await rowsOf(client, tenant);
    assert.notEqual(await keyOf(tenant, full), await keyOf(tenant, tip));
    await client.query('delete from shop."Line Items" where tenant_id = $1', [tenant.id]);
    await restored(stack, tenant, tip);
    assert.deepEqual(await rowsOf(client, tenant), rows);
    const reply = await call(stack, 'pitr-restore', await tenant.token('admin'), {
      targetTimestamp: moment?.at,
      baseBackupId: tip,
      confirmRestore: true,
    });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    assert.deepEqual(await rowsOf(client, tenant), between);
  });

  test('a manifest without its authentication, or made to look plain, is refused', async () => {
    const tenant = await stocked();
    const { full, tip } = await chainOf(tenant);
    for (const [backup, file, edit, what] of [
      [tip, 'manifest.mac', undefined, /manifest\.mac is missing/],
      [full, 'manifest.mac', undefined, /manifest\.mac is missing/],
      [
        tip,
        'manifest.mac',
        async () => await bytesOf(stack, `${prefixOf(tenant, full)}manifest.mac`),
        /manifest\.mac: it cannot be decrypted/,
      ],
      [
        tip,
        'manifest.json',
        async () => JSON.stringify({ ...(await manifest(tenant, tip)), encryption: null }),
        /manifest\.json has been altered/,
      ],
      [
        full,
        'manifest.json',
        async () => JSON.stringify({ ...(await manifest(tenant, full)), encryption: null }),
        /manifest\.json has been altered/,
      ],
    ] as const) {
      await tamperedWith(stack, client, tenant, backup, async () => {
        const key = prefixOf(tenant, backup) + file;
        if (edit === undefined) await stack.archives.delete(key);
        else await stack.archives.put(key, await edit());
        await assertUnusable(tenant, tip, what);
      });
    }
  });

  test('a recovery test opens everything, and finds a key that is gone', async () => {
    const tenant = await stocked();
    const { tip } = await chainOf(tenant);
    const deep = resultsOf(await recoveryTest(stack, tenant, { backup_job_id: tip, validation_level: 'deep' }));
    assert.deepEqual(deep.findings, []);
    const [object = ''] = await keyObjects(tenant);
    const kept = await bytesOf(stack, object);
    await stack.archives.delete(object);
    for (const validation_level of ['basic', 'full', 'deep']) {
      const found = resultsOf(await recoveryTest(stack, tenant, { backup_job_id: tip, validation_level }));
      assert.equal(kindsOf(found)[0], 'undecryptable', validation_level);
      assert.match(found.findings[0]?.sentence ?? '', /its key was erased or is missing/);
      assert.match(found.recommendations[0] ?? '', /ARCHIVE_KEY/);
    }
    await assertUnusable(tenant, tip, /its key was erased or is missing/);
    await stack.archives.put(object, kept);
    assert.deepEqual(
      resultsOf(await recoveryTest(stack, tenant, { backup_job_id: tip, validation_level: 'full' })).findings,
      [],
    );
  });

  test('a database that has adopted a chain learns what its chunks come to, and compares as well', async () => {
    const tenant = await stocked();
    const { full, tip } = await chainOf(tenant);
    const deep = async (): Promise<Results> =>
      resultsOf(await recoveryTest(stack, tenant, { backup_job_id: tip, validation_level: 'deep' }));
    const noted = async (): Promise<unknown[]> =>
      (
        await client.query(
          `select job_id, ordinal, seq, history, fingerprint from m23.backup_chunks
      where job_id in ($1, $2) order by 1, 2, 4, 3`,
          [full, tip],
        )
      ).rows;
    const [before, sums] = [await deep(), await noted()];
    await client.query('delete from public.recovery_tests where backup_job_id = $1', [tip]);
    for (const backup of [tip, full]) await client.query('delete from public.backup_jobs where id = $1', [backup]);
    for (const backup of [full, tip]) {
      const object = `${prefixOf(tenant, backup)}manifest.json`;
      const bytes = await bytesOf(stack, object);
      await client.query(`select m23.adopt_backup($1, $2, encode(sha256($3), 'hex'))`, [
        bytes.toString('utf8'),
        object,
        bytes,
      ]);
    }
    assert.notDeepEqual(await noted(), sums);
    const after = await deep();
    assert.deepEqual([kindsOf(after), after.validationsPassed], [[], before.validationsPassed]);
    assert.deepEqual(await noted(), sums);
    await client.query('update m23.backup_chunks set fingerprint = fingerprint + 1 where job_id = $1', [full]);
    assert.deepEqual(new Set(kindsOf(await deep())), new Set(['fingerprint_differs']));
  });

  test('whose data key has gone from the store, a tenant gets a new one', async () => {
    const tenant = await stocked();
    const first = await backUp(stack, client, tenant);
    for (const key of await keyObjects(tenant)) await stack.archives.delete(key);
    const rows = await rowsOf(client, tenant);
    const second = await backUp(stack, client, tenant);
    assert.notEqual(await keyOf(tenant, first), await keyOf(tenant, second));
    await assertComesBack(tenant, second, rows);
  });
});

describe('an erased key', () => {
  test('makes the archives unreadable, and is not the end of backups', async () => {
    const [tenant, other] = [await stocked(), await stocked()];
    const { full, tip } = await chainOf(tenant);
    const theirs = await chainOf(other);
    const keys = await keyObjects(tenant);
    assert.deepEqual(await erase(tenant), {
      tenant_id: tenant.id,
      prefix: `keys/${tenant.id}/`,
      keys: 1,
      status: 'pending',
    });
    await assertUnusable(tenant, tip, /encrypted with a key that was erased/);
    await stack.runCron('backup-create');
    assert.deepEqual(await keyObjects(tenant), []);
    await stack.runCron('backup-create');

    await assertUnusable(tenant, full, /encrypted with a key that was erased/);
    const reply = await call(stack, 'backup-create', await tenant.token('operator'), {
      jobType: 'incremental',
      baseBackupId: tip,
    });
    assert.deepEqual(refusal(reply), [409, 'BACKUP_UNUSABLE']);
    assert.match(String(reply.body.details), /encrypted with a key that was erased/);

    const rows = await rowsOf(client, tenant);
    const anew = await backUp(stack, client, tenant);
    assert.ok(!keys.includes(`keys/${tenant.id}/${await keyOf(tenant, anew)}.json`));
    await assertComesBack(tenant, anew, rows);
    await assertComesBack(other, theirs.tip, theirs.rows);
  });

  test('is a finding and in the audit, and its bytes are still as they were', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    await erase(tenant);
    const { rows: entries } = await client.query(
      'select action, event, detail from public.audit_log where tenant_id = $1 order by seq desc limit 1',
      [tenant.id],
    );
    assert.deepEqual(entries, [{ action: 'erase_archive_key', event: 'done', detail: { keys: 1 } }]);
    await stack.runCron('backup-create');
    const found = resultsOf(await recoveryTest(stack, tenant, { backup_job_id: full, validation_level: 'full' }));
    assert.ok(kindsOf(found).includes('undecryptable'), kindsOf(found).join(' '));
    assert.ok(!kindsOf(found).some((kind) => kind.startsWith('object_')));
  });

  test('forgetting a tenant tells of its keys', async () => {
    const tenant = await stocked();
    await backUp(stack, client, tenant);
    const {
      rows: [told],
    } = await client.query<{ value: { keys: { prefix: string; note: string } } }>(
      'select m23.forget_tenant($1) as value',
      [tenant.id],
    );
    assert.equal(told?.value.keys.prefix, `keys/${tenant.id}/`);
    assert.match(told.value.keys.note, /erase_archive_key/);
    await erase(tenant);
    await stack.runCron('backup-create');
    assert.deepEqual(await keyObjects(tenant), [], 'it can be done afterwards');
  });
});

describe('another configuration', () => {
  let tenant: Tenant;
  let chain: Awaited<ReturnType<typeof chainOf>>;
  before(async () => {
    tenant = await stocked();
    chain = await chainOf(tenant);
  });

  test('no master key: a tenant whose backups were encrypted gets no plain one, unless somebody wants that', async () => {
    await withKeys(undefined);
    const objects = async (): Promise<number> =>
      (await stack.archives.list({ prefix: `tenants/${tenant.id}/` })).objects.length;
    const before = await objects();
    for (const body of [{ jobType: 'full' }, { jobType: 'incremental', baseBackupId: chain.tip }]) {
      const reply = await call(stack, 'backup-create', await tenant.token('operator'), body);
      assert.deepEqual(refusal(reply), [409, 'BACKUP_UNUSABLE']);
      assert.deepEqual(reply.body.details, [
        'the backups of this tenant are encrypted and no ARCHIVE_KEY is configured; it would be plain',
      ]);
    }
    const { rows: jobs } = await client.query(
      `select status, error_message like '%no ARCHIVE_KEY%' as said from public.backup_jobs where tenant_id = $1 order by created_at desc limit 2`,
      [tenant.id],
    );
    assert.deepEqual(jobs, [
      { status: 'failed', said: true },
      { status: 'failed', said: true },
    ]);
    assert.equal(await objects(), before, 'nothing was stored');

    await client.query(`update m23.settings set value = 'yes' where name = 'plain_after_sealed'`);
    const plain = await backUp(stack, client, tenant);
    await client.query(`update m23.settings set value = 'no' where name = 'plain_after_sealed'`);
    assert.equal(await keyOf(tenant, plain), undefined);
    await withKeys(FIRST);
    assert.ok(
      await keyOf(tenant, await increment(stack, client, tenant, plain)),
      'encrypted again where there is a key',
    );
  });

  test('no master key: nothing encrypted is read, and backups of a tenant that never had a key are plain', async () => {
    await withKeys(undefined);
    await assertUnusable(tenant, chain.tip, /this backup is encrypted and no ARCHIVE_KEY is configured/);
    const found = resultsOf(await recoveryTest(stack, tenant, { backup_job_id: chain.tip, validation_level: 'full' }));
    assert.deepEqual(kindsOf(found), ['undecryptable']);
    assert.match(found.findings[0]?.sentence ?? '', /no ARCHIVE_KEY is configured/);

    const plain = await stocked();
    const full = await backUp(stack, client, plain);
    assert.equal(await keyOf(plain, full), undefined);
    assert.deepEqual(await keyObjects(plain), []);
    await withKeys(FIRST);
    await damage(client, plain);
    const tip = await increment(stack, client, plain, full);
    assert.ok(await keyOf(plain, tip), 'the incremental is encrypted');
    const rows = await rowsOf(client, plain);
    await client.query('delete from shop."Line Items" where tenant_id = $1', [plain.id]);
    await assertComesBack(plain, tip, rows);
    const deep = resultsOf(await recoveryTest(stack, plain, { backup_job_id: tip, validation_level: 'deep' }));
    assert.deepEqual(deep.findings, [], 'a mixed chain');
  });

  test('a malformed master key stops everything, and the log says why', async () => {
    await withKeys('c2hvcnQ=');
    const {
      rows: [begun],
    } = await client.query<{ count: string }>('select count(*) from public.backup_jobs where tenant_id = $1', [
      tenant.id,
    ]);
    for (const [name, body] of [
      ['backup-create', { jobType: 'full' }],
      ['backup-restore', { backupJobId: chain.full, confirmRestore: true }],
    ] as const) {
      const reply = await call(stack, name, await tenant.token('admin'), body);
      assert.deepEqual(refusal(reply), [500, 'INTERNAL']);
    }
    await eventually(
      async () => readFileSync(join(stack.stateDir, 'workers.log'), 'utf8'),
      (log) => /ARCHIVE_KEY: .*32 bytes in base64/.test(log),
    );
    const {
      rows: [jobs],
    } = await client.query<{ count: string }>('select count(*) from public.backup_jobs where tenant_id = $1', [
      tenant.id,
    ]);
    assert.equal(jobs?.count, begun?.count, 'no job was begun');
  });

  test('another master key: nothing is read, and nothing is written with another key', async () => {
    await withKeys(SECOND);
    await assertUnusable(tenant, chain.tip, /this backup was encrypted under another master key/);
    const found = resultsOf(await recoveryTest(stack, tenant, { backup_job_id: chain.tip, validation_level: 'full' }));
    assert.deepEqual(kindsOf(found), ['undecryptable']);
    const job = await beginBackup(stack, tenant);
    await assert.rejects(completed(client, job), /wrapped by another master key/);
  });

  test('a new master key beside the former reads everything; once keys are rewrapped it does alone', async () => {
    await withKeys(SECOND, FIRST);
    await assertComesBack(tenant, chain.tip, chain.rows);
    const later = await increment(stack, client, tenant, chain.tip);
    assert.equal(await keyOf(tenant, later), await keyOf(tenant, chain.tip), 'the data key stays');

    const bucket = join(temporaryFolder(), 'bucket');
    await copyBucket(stack, bucket);
    const rewrapped = await m23(['keys', 'rewrap', bucket], { ARCHIVE_KEY: SECOND, ARCHIVE_KEY_PREVIOUS: FIRST });
    assert.equal(rewrapped.code, 0, rewrapped.errors);
    const archives = await m23(['archive', 'verify', bucket, '--tenant', tenant.id], { ARCHIVE_KEY: SECOND });
    assert.equal(archives.code, 0, archives.output + archives.errors);
    for (const key of await keyObjects()) await stack.archives.put(key, readFileSync(join(bucket, key)));

    await withKeys(SECOND);
    for (const backup of [chain.tip, later]) await assertComesBack(tenant, backup, chain.rows);
    assert.deepEqual(
      resultsOf(await recoveryTest(stack, tenant, { backup_job_id: later, validation_level: 'deep' })).findings,
      [],
    );
  });
});
