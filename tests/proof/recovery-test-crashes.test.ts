// A recovery test whose Worker or database stops in the middle goes on or begins anew, and leaves nothing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { bytesOf, manifestOf, tamperedWith } from '../fixtures/archive.ts';
import { openBackedUpShop } from '../fixtures/backed-up-shop.ts';
import { call } from '../fixtures/functions.ts';
import { kindsOf, leftovers, type Results, recoveryTest, resultsOf, testRow } from '../fixtures/recovery.ts';
import { eventually } from '../fixtures/time.ts';

const { stack, client, tenant, backup } = await openBackedUpShop();

describe('a test that outlives its Worker', () => {
  /** A test that nobody drives yet. */
  async function abandoned(level: string): Promise<string> {
    const {
      rows: [row],
    } = await client.query<{ id: string }>(
      `select m23.begin_test($1, jsonb_build_object('backup_job_id', $2::text, 'test_name', 'left', 'test_type', 'manual', 'validation_level', $3::text), null) as id`,
      [tenant.id, backup, level],
    );
    return row?.id ?? '';
  }

  /** Takes a test up, and gives the lease. */
  async function claim(id: string): Promise<string> {
    const {
      rows: [row],
    } = await client.query<{ plan: { lease: string } }>('select public.m23_claim_test($1) as plan', [id]);
    return row?.plan.lease ?? '';
  }

  async function claimed(level: string): Promise<{ id: string; lease: string }> {
    const id = await abandoned(level);
    return { id, lease: await claim(id) };
  }

  /** Lets the lease of a driver run out that is gone. */
  async function lapse(id: string): Promise<void> {
    await client.query(`update m23.leases set until = now() - interval '1 second' where work_id = $1`, [id]);
  }

  /** Waits until the database restores. */
  async function executing(): Promise<void> {
    await eventually(
      async () =>
        (
          await client.query(
            `select from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'm23_execute_test'`,
          )
        ).rowCount,
      (n) => n === 1,
    );
  }

  test('is taken up by the clock, once whoever wakes', async () => {
    const ids = [await abandoned('deep'), await abandoned('basic')];
    await Promise.all([stack.runCron('recovery-test'), stack.runCron('recovery-test')]);
    for (const id of ids)
      assert.deepEqual(
        kindsOf(
          (
            await eventually(
              () => testRow(client, id),
              ({ status }) => status === 'completed',
            )
          )['results'] as Results,
        ),
        [],
      );
    assert.deepEqual(await leftovers(client), []);
  });

  /** A deep test whose examination is done, and of whose restore one chunk is staged; `next` asks which is to be staged. */
  async function half(seq = 1): Promise<{ id: string; lease: string; first: string; next: () => Promise<number> }> {
    const { id, lease } = await claimed('deep');
    await client.query(
      `select public.m23_save_test($1, $2, '{"listed": true, "read": 1000, "tally": {"passed": 100, "issues": 0, "findings": []}}')`,
      [id, lease],
    );
    await client.query('select public.m23_stage_test($1, $2)', [id, lease]);
    const { tables } = await manifestOf(stack, tenant, backup);
    const place = tables.findIndex(({ name }) => name === 'accounts');
    const [accounts, ordinal] = [tables[place], place + 1];
    const [chunk] = accounts?.chunks ?? [];
    assert.ok(accounts && chunk);
    const table = {
      ordinal,
      schema: accounts.schema,
      name: accounts.name,
      columns: accounts.columns.map(({ name }) => name),
      rows: accounts.chunks.reduce((sum, { rows }) => sum + rows, 0),
    };
    const next = async (): Promise<number> =>
      (await client.query<{ next: number }>('select public.m23_stage_table($1, $2, $3) as next', [id, lease, table]))
        .rows[0]?.next ?? NaN;
    assert.equal(await next(), 1);
    const head = { restore_id: id, lease, ordinal, seq, rows: chunk.rows, kind: 'rows' };
    await client.query('select public.m23_stage_chunk($1)', [
      Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), gunzipSync(await bytesOf(stack, chunk.object))]),
    ]);
    return { id, lease, first: chunk.object, next };
  }

  test('goes on at the first chunk that is missing: of two on their way the later one may have come alone', async () => {
    const inOrder = await half(1);
    assert.equal(await inOrder.next(), 2);
    await client.query('select public.m23_fail_test($1, $2, $3)', [inOrder.id, inOrder.lease, 'enough']);
    const outOfOrder = await half(2);
    assert.equal(await outOfOrder.next(), 1);
    await client.query('select public.m23_fail_test($1, $2, $3)', [outOfOrder.id, outOfOrder.lease, 'enough']);
  });

  test('is taken up where the last driver stopped, in the middle of its restore, and its time goes on', async () => {
    const { id, first } = await half();
    await client.query(`update m23.test_work set staging_at = staging_at - interval '1 hour' where test_id = $1`, [id]);
    await stack.runCron('recovery-test');
    assert.equal((await testRow(client, id))['status'], 'in_progress', "its lease is another's");
    await lapse(id);
    await tamperedWith(stack, client, tenant, backup, async () => {
      await stack.archives.delete(first);
      await stack.runCron('recovery-test');
    });
    const row = await testRow(client, id);
    assert.equal(row['status'], 'completed');
    const results = row['results'] as Results;
    assert.deepEqual(kindsOf(results), [], 'what was staged is not read again');
    assert.ok(
      results.validationsPassed > 100 && (results.recoverySeconds ?? 0) > 3600 && results.rowsRestored === 4 + 20 + 40,
      JSON.stringify(results),
    );
    assert.deepEqual(await leftovers(client), []);
  });

  test('begins its restore anew when the server has crashed, and staging with it', async () => {
    const { id } = await half();
    const {
      rows: [staged],
    } = await client.query<{ staging: string }>('select staging from m23.staged_tables where restore_id = $1', [id]);
    await client.query(`truncate ${staged?.staging}`); // as a crash does to what is unlogged
    await lapse(id);
    await stack.runCron('recovery-test');
    const row = await testRow(client, id);
    assert.deepEqual([row['status'], kindsOf(row['results'] as Results)], ['completed', []]);
    assert.deepEqual(await leftovers(client), []);
  });

  test('takes what a crash has lost under its driver for no damage, and begins its restore anew', async () => {
    const { id, lease } = await half();
    await client.query(
      `update m23.staged_tables t set rows = (select sum(c.rows) from m23.staged_chunks c where (c.restore_id, c.ordinal) = (t.restore_id, t.ordinal)) where t.restore_id = $1`,
      [id],
    );
    const {
      rows: [staged],
    } = await client.query<{ staging: string }>('select staging from m23.staged_tables where restore_id = $1', [id]);
    await client.query(`truncate ${staged?.staging}`);
    await assert.rejects(client.query('select public.m23_execute_test($1, $2)', [id, lease]), /UNAVAILABLE/);
    await lapse(id);
    await stack.runCron('recovery-test');
    const row = await testRow(client, id);
    assert.deepEqual([row['status'], kindsOf(row['results'] as Results)], ['completed', []]);
    assert.deepEqual(await leftovers(client), []);
  });

  for (const [what, change, back, found] of [
    [
      'has another column',
      'alter table shop.accounts rename column balance to worth',
      'alter table shop.accounts rename column worth to balance',
      ['shape_changed'],
    ],
    [
      'has another type',
      'alter table shop.accounts alter column balance type text',
      'alter table shop.accounts alter column balance drop default, alter column balance type numeric using balance::numeric, alter column balance set default 0',
      ['shape_changed'],
    ],
  ] as const) {
    test(`begins its restore anew when a table that was staged ${what} by now`, async () => {
      const { id } = await half();
      await client.query(change);
      await lapse(id);
      await stack.runCron('recovery-test');
      await client.query(back);
      const row = await testRow(client, id);
      assert.deepEqual([row['status'], kindsOf(row['results'] as Results)], ['completed', found]);
      assert.deepEqual(await leftovers(client), []);
    });
  }

  test('fails, and says so, when five drivers have come no further', async () => {
    const id = await abandoned('deep');
    for (let n = 1; n <= 5; n += 1) {
      const lease = await claim(id);
      await client.query(`select public.m23_save_test($1, $2, '{"listed": true, "read": 2}')`, [id, lease]);
      await client.query('select public.m23_stage_test($1, $2)', [id, lease]);
      await lapse(id);
      if (n === 1) await client.query('update m23.leases set taken = 1');
    }
    await stack.runCron('recovery-test');
    const row = await testRow(client, id);
    assert.deepEqual(
      [row['status'], row['error_message']],
      ['failed', 'five workers have taken this test up without getting further'],
    );
    assert.deepEqual(await leftovers(client), []);
  });

  test('leaves nothing when the database is ended in the middle of its restore', async () => {
    const id = await abandoned('deep');
    const gate = await stack.postgres.connect();
    await gate.query('begin; lock table shop.accounts in access exclusive mode');
    const cron = stack.runCron('recovery-test');
    await executing();
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'm23_execute_test'`,
    );
    await gate.query('rollback');
    await gate.end();
    await cron;
    await stack.runCron('recovery-test');
    assert.equal(
      (
        await eventually(
          () => testRow(client, id),
          ({ status }) => status === 'completed',
        )
      )['status'],
      'completed',
    );
    assert.deepEqual(await leftovers(client), []);
  });

  test('leaves nothing when its Worker is killed in the middle of its restore, and what the database found counts', async () => {
    const id = await abandoned('deep');
    const gate = await stack.postgres.connect();
    await gate.query('begin; lock table shop.accounts in access exclusive mode');
    const cron = stack.runCron('recovery-test').catch(() => undefined);
    await executing();
    await stack.restartWorkers();
    await cron;
    await gate.query('rollback');
    await gate.end();
    const trial = async (): Promise<{ trial: Record<string, unknown> | null } | undefined> =>
      (
        await client.query<{ trial: Record<string, unknown> | null }>(
          'select trial from m23.test_work where test_id = $1',
          [id],
        )
      ).rows[0];
    const done = await eventually(trial, (work) => work?.trial !== null);
    assert.deepEqual((await client.query(`select from pg_namespace where nspname like 'm23\\_scratch%'`)).rowCount, 0);
    await lapse(id);
    await stack.runCron('recovery-test');
    const results = (await testRow(client, id))['results'] as Results;
    assert.deepEqual(
      [kindsOf(results), results.recoverySeconds],
      [[], done?.trial?.['seconds']],
      'it is not restored twice',
    );
    assert.deepEqual(await leftovers(client), []);
  });

  test('may be one of two of a tenant at a time', async () => {
    const ids = [await abandoned('deep'), await abandoned('deep')];
    await Promise.all([
      stack.runCron('recovery-test'),
      recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup }).then((reply) =>
        assert.deepEqual(kindsOf(resultsOf(reply)), []),
      ),
    ]);
    for (const id of ids)
      assert.deepEqual(
        kindsOf(
          (
            await eventually(
              () => testRow(client, id),
              ({ status }) => status === 'completed',
            )
          )['results'] as Results,
        ),
        [],
      );
    assert.deepEqual(await leftovers(client), []);
  });

  test('does not stand in the way of a restore of the same tenant', async () => {
    const { id, lease } = await claimed('deep');
    await client.query('select public.m23_stage_test($1, $2)', [id, lease]);
    const reply = await call(stack, 'backup-restore', await tenant.token('owner'), {
      backupJobId: backup,
      confirmRestore: true,
    });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    await lapse(id);
    await stack.runCron('recovery-test');
    assert.equal((await testRow(client, id))['status'], 'completed');
  });
});
