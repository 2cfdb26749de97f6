// Incremental chains and snapshots as backups: how they are made, and what is refused.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { bytesOf, prefixOf } from '../fixtures/archive.ts';
import { chainManifest, increment, linesOf } from '../fixtures/chain.ts';
import { backUp, call, type Reply, refusal } from '../fixtures/functions.ts';
import { stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { databaseTime } from '../fixtures/time.ts';

const { stack, client, api } = await openShopStack();

before(async () => {
  await client.query(
    `create table shop.items (id int, tenant_id uuid not null, note text, primary key (id, tenant_id)); select m23.protect_table('shop.items')`,
  );
});

async function stocked(): Promise<Tenant> {
  const tenant = await newTenant(stack, client);
  await stock(client, tenant);
  await client.query(`insert into shop.items select n, $1, 'item ' || n from generate_series(1, 20) n`, [tenant.id]);
  return tenant;
}

async function ask(tenant: Tenant, baseBackupId: string, more: Record<string, unknown> = {}): Promise<Reply> {
  return await call(stack, 'backup-create', await tenant.token('operator'), {
    jobType: 'incremental',
    baseBackupId,
    ...more,
  });
}

/** What a tenant's pages are, in one text. */
async function pages(tenant: string): Promise<string | undefined> {
  const {
    rows: [all],
  } = await client.query<{ text: string }>(
    `select string_agg(p::text, ' ' order by id) as text from public.pages p where tenant_id = $1`,
    [tenant],
  );
  return all?.text;
}

async function refusedFor(tenant: Tenant, baseBackupId: string, what: RegExp): Promise<void> {
  const reply = await ask(tenant, baseBackupId);
  assert.deepEqual(refusal(reply), [409, 'BACKUP_UNUSABLE'], JSON.stringify(reply.body));
  assert.match(String(reply.body.details), what);
}

describe('an incremental', () => {
  test('leaves out of its log what an update did not change, and gives back every moment inside it all the same', async () => {
    await client.query(`create table if not exists public.pages (id int primary key, tenant_id uuid not null, views int, body text);
      select m23.protect_table('public.pages')`);
    const tenant = await newTenant(stack, client);
    const body = `select string_agg(md5(g::text), '') from generate_series(1, 3000) g`;
    await client.query(`insert into public.pages select n, $1, 0, (${body}) || n from generate_series(1, 4) n`, [
      tenant.id,
    ]);
    const full = await backUp(stack, client, tenant);
    await client.query('update public.pages set views = 1 where tenant_id = $1', [tenant.id]);
    const at = await databaseTime(client);
    const wanted = await pages(tenant.id);
    await client.query(`update public.pages set views = 2 where tenant_id = $1 and id = 1`, [tenant.id]);
    await client.query(`update public.pages set views = 2 where tenant_id = $1 and id = 2`, [tenant.id]);
    await client.query(`update public.pages set body = 'changed' where tenant_id = $1 and id = 2`, [tenant.id]);
    await client.query(`update public.pages set views = 2 where tenant_id = $1 and id = 3`, [tenant.id]);
    await client.query('delete from public.pages where tenant_id = $1 and id = 3', [tenant.id]);
    const id = await increment(stack, client, tenant, full);
    const table = (await chainManifest(stack, tenant, id)).tables.find(({ name }) => name === 'pages');
    const lines = await linesOf(stack, table?.history ?? []);
    assert.deepEqual(
      lines.map(([op, , , , unchanged, key, , , text]) => `${op} ${key} ${unchanged} ${text === '\\N'}`),
      [
        'U 1 1 true',
        'U 2 1 true',
        'U 3 1 true',
        'U 4 1 true',
        'U 1 1 true',
        'U 2 1 true',
        'U 2 0 false',
        'U 3 1 true',
        'D 3 0 false',
      ],
    );
    await client.query('delete from public.pages where tenant_id = $1', [tenant.id]);
    const { status, body: answer } = await call(stack, 'pitr-restore', await tenant.token('owner'), {
      targetTimestamp: at,
      baseBackupId: full,
      tables: ['pages'],
      confirmRestore: true,
    });
    assert.equal(status, 200, JSON.stringify(answer));
    assert.equal(await pages(tenant.id), wanted);
  });

  test('holds the changed keys as of its position, and what the log says of them', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    await client.query(`update shop.items set note = 'changed' where tenant_id = $1 and id = 3`, [tenant.id]);
    await client.query('delete from shop.items where tenant_id = $1 and id = 4', [tenant.id]);
    await client.query(`insert into shop.items values (30, $1, 'new')`, [tenant.id]);
    await client.query('update shop.items set id = 31 where tenant_id = $1 and id = 5', [tenant.id]);
    const id = await increment(stack, client, tenant, full);
    const manifest = await chainManifest(stack, tenant, id);
    const parent = await chainManifest(stack, tenant, full);
    const table = manifest.tables.find(({ name }) => name === 'items');
    assert.equal(table?.whole, false);
    assert.deepEqual(
      (await linesOf(stack, table?.chunks ?? [])).map(([key, , note]) => `${key} ${note}`),
      ['3 changed', '30 new', '31 item 5'],
    );
    assert.deepEqual(
      (await linesOf(stack, table?.history ?? [])).map(([op, , , , , key, , note]) => `${op} ${key} ${note}`),
      ['U 3 item 3', 'D 4 item 4', 'I 30 \\N', 'U 5 item 5', 'o 5 \\N', 'n 31 \\N'],
    );
    assert.deepEqual(
      [manifest.job_type, manifest.base_backup_id, manifest.parent?.backup_id, manifest.parent?.position],
      ['incremental', full, full, parent.position],
    );
    assert.ok(
      manifest.tables.every(({ name, chunks, history }) => name === 'items' || chunks.length + history.length === 0),
      'nothing of tables that did not change',
    );
  });

  test('has commit times and a position that is told apart by its time alone, while others write', async () => {
    const tenant = await stocked();
    const writers = await Promise.all([1, 2, 3].map(() => stack.postgres.connect()));
    let writing = true;
    const load = writers.map(async (writer, n) => {
      for (let i = 0; writing; i += 1)
        await writer.query(`insert into shop.items select $1, $2, 'load' from pg_sleep(0.002)`, [
          1000 + i * 3 + n,
          tenant.id,
        ]);
      await writer.end();
    });
    let base = await backUp(stack, client, tenant);
    for (let n = 0; n < 3; n += 1) base = await increment(stack, client, tenant, base);
    writing = false;
    await Promise.all(load);
    const {
      rows: [log],
    } = await client.query<{ name: string }>(
      `select m23.log_name(id) as name from m23.protected_tables where relid = 'shop.items'::regclass`,
    );
    const { rows: wrong } = await client.query(
      `
      select w.job_id, l.xid from m23.backup_work w cross join (select distinct xid from ${log?.name} where tenant_id = $1::text::uuid) l
       where w.tenant_id = $1::text and pg_visible_in_snapshot(l.xid, w.position) <> (pg_xact_commit_timestamp(l.xid::xid) <= w.position_at)`,
      [tenant.id],
    );
    assert.deepEqual(wrong, []);
    const { rows: members } = await client.query<{ id: string }>('select id from m23.chain_of($1)', [base]);
    assert.equal(members.length, 4);
    const seen = new Set<string>();
    for (const { id } of members) {
      const manifest = await chainManifest(stack, tenant, id);
      assert.equal(manifest.commit_times, 'native');
      const items = manifest.tables.find(({ name }) => name === 'items');
      const keys = (await linesOf(stack, items?.chunks ?? [])).map(([key]) => String(key));
      for (const key of keys) {
        assert.ok(!seen.has(key), `${key} stands in one member only`);
        seen.add(key);
      }
      for (const [, , , at] of await linesOf(stack, items?.history ?? []))
        assert.ok(new Date(String(at)) <= new Date(manifest.position_at));
    }
  });

  test('has a table whole that is new, or has another shape, or another key', async () => {
    const tenant = await stocked();
    await client.query(
      `create table shop.shapes (id int primary key, tenant_id uuid not null, a text); select m23.protect_table('shop.shapes')`,
    );
    await client.query(`insert into shop.shapes values (1, $1, 'x')`, [tenant.id]);
    const whole = async (id: string): Promise<boolean | undefined> =>
      (await chainManifest(stack, tenant, id)).tables.find(({ name }) => name === 'shapes')?.whole;
    const full = await backUp(stack, client, tenant);
    const same = await increment(stack, client, tenant, full);
    await client.query('alter table shop.shapes add column b int');
    const reshaped = await increment(stack, client, tenant, same);
    const after = await increment(stack, client, tenant, reshaped);
    await client.query('alter table shop.shapes drop constraint shapes_pkey, add primary key (id, tenant_id)');
    const rekeyed = await increment(stack, client, tenant, after);
    await client.query(`select m23.unprotect_table('shop.shapes'); select m23.protect_table('shop.shapes')`);
    const anew = await increment(stack, client, tenant, rekeyed);
    assert.deepEqual(await Promise.all([full, same, reshaped, after, rekeyed, anew].map(whole)), [
      true,
      false,
      true,
      false,
      true,
      true,
    ]);
    await client.query('drop table shop.shapes');
  });

  test('takes the time of what has changed, not of the tenant', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    await client.query(`update shop.items set note = 'one' where tenant_id = $1 and id = 1`, [tenant.id]);
    const id = await increment(stack, client, tenant, full);
    const {
      rows: [job],
    } = await client.query(
      `select metadata -> 'progress' -> 'rows' as rows, is_incremental, base_backup_id, parent_backup_id from public.backup_jobs where id = $1`,
      [id],
    );
    assert.deepEqual(
      job,
      { rows: 2, is_incremental: true, base_backup_id: full, parent_backup_id: full },
      'one row, one entry of the log',
    );
  });

  test('is refused where its parent cannot be built on, with the reason', async () => {
    const tenant = await stocked();
    const other = await stocked();
    const full = await backUp(stack, client, tenant);
    const snapshot = await backUp(stack, client, tenant, { jobType: 'snapshot' });
    for (const missing of [randomUUID(), await backUp(stack, client, other)])
      assert.deepEqual(refusal(await ask(tenant, missing)), [404, 'BACKUP_NOT_FOUND']);
    await refusedFor(tenant, snapshot, /baseBackupId: it is a snapshot/);
    const count = async (): Promise<number> =>
      (await client.query('select from public.backup_jobs where tenant_id = $1', [tenant.id])).rowCount ?? 0;
    const before = await count();
    for (const status of ['failed', 'in_progress', 'pending']) {
      await client.query('update public.backup_jobs set status = $2 where id = $1', [full, status]);
      await refusedFor(tenant, full, new RegExp(`this backup is ${status.replace('_', ' ')}, not completed`));
    }
    await client.query(`update public.backup_jobs set status = 'completed', deleted_at = now() where id = $1`, [full]);
    await refusedFor(tenant, full, /this backup is deleted/);
    await client.query('update public.backup_jobs set deleted_at = null where id = $1', [full]);
    assert.equal(await count(), before, 'nothing is left behind');

    const middle = await increment(stack, client, tenant, full);
    await client.query(`update public.backup_jobs set status = 'failed', backup_name = 'the first' where id = $1`, [
      full,
    ]);
    await refusedFor(tenant, middle, /the chain is broken: "the first" is failed/);
    await client.query(`update public.backup_jobs set status = 'completed' where id = $1`, [full]);

    const reply = await ask(tenant, full, { tables: ['shop.items'] });
    assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
    assert.match(String(reply.body.details), /^tables: an incremental has the tables/);
    assert.deepEqual(
      refusal(await call(stack, 'backup-create', await tenant.token('operator'), { jobType: 'incremental' })),
      [400, 'VALIDATION_FAILED'],
    );
  });

  test('is refused on a manifest that was altered or is missing, and says so in its row', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    const object = `${prefixOf(tenant, full)}manifest.json`;
    const bytes = await bytesOf(stack, object);
    for (const [put, what] of [
      [
        async () => void (await stack.archives.put(object, Buffer.concat([bytes, Buffer.from(' ')]))),
        /manifest\.json has been altered/,
      ],
      [() => stack.archives.delete(object), /manifest\.json is missing/],
    ] as const) {
      await put();
      await refusedFor(tenant, full, what);
      const {
        rows: [job],
      } = await client.query(
        'select status, error_message from public.backup_jobs where tenant_id = $1 order by created_at desc limit 1',
        [tenant.id],
      );
      assert.equal(job.status, 'failed');
      assert.match(job.error_message, what);
    }
    await stack.archives.put(object, bytes);
    await increment(stack, client, tenant, full);
  });

  test('is refused over a gap: another life of the database, a pruned log, capture that was off, a tenant that was forgotten', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    const within = async (sql: string, undo: string, what: RegExp): Promise<void> => {
      await client.query(sql);
      try {
        await refusedFor(tenant, full, what);
      } finally {
        await client.query(undo);
      }
    };
    await within(
      `insert into m23.incarnations (id, fingerprint, since) values ('00000000-0000-4000-8000-000000000001', 'another', '-infinity');
      update m23.backup_work set incarnation = '00000000-0000-4000-8000-000000000001' where job_id = '${full}'`,
      `update m23.backup_work set incarnation = m23.incarnation() where job_id = '${full}'`,
      /restored or copied since/,
    );
    await within(
      `update m23.protected_tables set pruned_below = pg_snapshot_xmax(pg_current_snapshot()), pruned_at = now() where relid = 'shop.items'::regclass`,
      `update m23.protected_tables set pruned_below = '0', pruned_at = null`,
      /the history of shop\.items goes back to/,
    );
    const insertTrigger = (enabled: string): string =>
      `update pg_trigger set tgenabled = '${enabled}' where tgrelid = 'shop.items'::regclass and tgname = 'aaa_m23_log_insert'`;
    await within(
      insertTrigger('D'),
      `${insertTrigger('A')}; update m23.protected_tables set triggers = m23.trigger_marks(relid)`,
      /changes of shop\.items may have gone unseen: capture is switched off/,
    );
    await within(
      `insert into m23.forgotten (tenant_id, incarnation) values ('${tenant.id}', m23.incarnation())`,
      `delete from m23.forgotten where tenant_id = '${tenant.id}'`,
      /what was before has been removed/,
    );
    await increment(stack, client, tenant, full);
  });
});

describe('a pending incremental job', () => {
  test('is run with the parent that it names', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    const operator = api(tenant, 'operator');
    const { data, error } = await operator
      .from('backup_jobs')
      .insert({
        tenant_id: tenant.id,
        backup_name: 'later',
        job_type: 'incremental',
        base_backup_id: full,
        created_by: tenant.userId('operator'),
      })
      .select()
      .single<{ id: string }>();
    assert.equal(error, null);
    const reply = await call(stack, 'backup-create', await tenant.token('operator'), { jobId: data?.id });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    assert.equal((await api(tenant, 'viewer').rpc('get_backup_chain', { p_backup_id: data?.id })).data.length, 2);
  });

  test('cannot name a backup of another tenant, nor find out that there is one', async () => {
    const [tenant, other] = [await stocked(), await stocked()];
    const theirs = await backUp(stack, client, other);
    const operator = api(tenant, 'operator');
    const errors = [];
    for (const base of [theirs, randomUUID()]) {
      const { error } = await operator.from('backup_jobs').insert({
        tenant_id: tenant.id,
        backup_name: 'later',
        job_type: 'incremental',
        base_backup_id: base,
        created_by: tenant.userId('operator'),
      });
      errors.push(error?.code);
    }
    assert.deepEqual(errors, ['42501', '42501']);
  });
});

describe('get_backup_chain and get_backup_statistics', () => {
  test('give the chain, the full backup first, up to the one asked for', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    const one = await increment(stack, client, tenant, full);
    const two = await increment(stack, client, tenant, one);
    const branch = await increment(stack, client, tenant, full);
    const chain = async (id: string): Promise<string[]> =>
      ((await api(tenant, 'viewer').rpc('get_backup_chain', { p_backup_id: id })).data as { id: string }[]).map(
        (row) => row.id,
      );
    assert.deepEqual(await chain(full), [full]);
    assert.deepEqual(await chain(two), [full, one, two]);
    assert.deepEqual(await chain(branch), [full, branch]);
    const { rows } = await client.query(
      'select base_backup_id, parent_backup_id from public.backup_jobs where id = $1',
      [two],
    );
    assert.deepEqual(rows, [{ base_backup_id: full, parent_backup_id: one }]);
  });

  test('answer nobody about another tenant, nor about what is not there', async () => {
    const [tenant, other] = [await stocked(), await stocked()];
    const theirs = await backUp(stack, client, other);
    for (const id of [theirs, randomUUID()]) {
      const { error, status } = await api(tenant, 'owner').rpc('get_backup_chain', { p_backup_id: id });
      assert.deepEqual([status, error?.code], [404, 'BACKUP_NOT_FOUND']);
    }
    const { status, error } = await api(tenant, 'owner').rpc('get_backup_statistics', {
      p_tenant_id: other.id,
    });
    assert.deepEqual([status, error?.code], [403, 'TENANT_NOT_FOUND']);
  });

  test("sum a tenant's backups of the last days, to 0 where there are none", async () => {
    const tenant = await stocked();
    const statistics = async (more = {}): Promise<unknown> =>
      (await api(tenant, 'viewer').rpc('get_backup_statistics', { p_tenant_id: tenant.id, ...more })).data;
    assert.deepEqual(await statistics(), {
      total_backups: 0,
      successful_backups: 0,
      failed_backups: 0,
      total_size_bytes: 0,
      avg_duration_seconds: 0,
    });
    const first = await backUp(stack, client, tenant);
    const second = await backUp(stack, client, tenant);
    await client.query(`update public.backup_jobs set backup_size_bytes = 100, duration_seconds = 2 where id = $1`, [
      first,
    ]);
    await client.query(`update public.backup_jobs set backup_size_bytes = 50, duration_seconds = 4 where id = $1`, [
      second,
    ]);
    await client.query(
      `insert into public.backup_jobs (tenant_id, backup_name, job_type, status, backup_size_bytes) values ($1, 'bad', 'full', 'failed', 7)`,
      [tenant.id],
    );
    await client.query(
      `insert into public.backup_jobs (tenant_id, backup_name, job_type, status, backup_size_bytes, created_at) values ($1, 'old', 'full', 'completed', 1000, now() - interval '40 days')`,
      [tenant.id],
    );
    assert.deepEqual(await statistics(), {
      total_backups: 3,
      successful_backups: 2,
      failed_backups: 1,
      total_size_bytes: 150,
      avg_duration_seconds: 3,
    });
    assert.deepEqual(await statistics({ p_days_back: 60 }), {
      total_backups: 4,
      successful_backups: 3,
      failed_backups: 1,
      total_size_bytes: 1150,
      avg_duration_seconds: 3,
    });
  });
});
