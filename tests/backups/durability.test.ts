// Backups and restores whose Worker or database stops in the middle: all is done or nothing, and it is said which.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { manifestOf, objectsOf, prefixOf } from '../fixtures/archive.ts';
import {
  backUp,
  beginBackup,
  call,
  completed,
  jobOf,
  lastRestore,
  ok,
  type Reply,
  restored,
} from '../fixtures/functions.ts';
import { everyApiSessionAnswers, reconnected } from '../fixtures/sessions.ts';
import { damage, placesOf, type Rows, rowsOf, stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { eventually, pause, randomNumbers } from '../fixtures/time.ts';

const SEED = Number(process.env['M23_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const TABLES = ['shop.accounts', 'shop.orders', 'shop.Line Items'];

const random = randomNumbers(SEED);

const { stack, client: first } = await openShopStack();
/** The present connection: the server's end is a connection's, too. */
let client = first;
after(() => client.end());

before(async () => {
  // As in production: what is committed survives a crash. (Of the machine, that is not tested.)
  await client.query('alter database postgres set synchronous_commit = on');
  await stack.restartPostgrest();
  await reconnect();
  // Many small steps, and a lease that is soon taken over.
  await client.query(
    "update m23.settings set value = '8' where name = 'chunk_rows'; update m23.settings set value = '1' where name = 'lease_seconds'",
  );
});

/** A connection does not outlive its server, neither the test's nor PostgREST's. */
beforeEach(async () => {
  await reconnect();
  await everyApiSessionAnswers(stack);
});

async function reconnect(): Promise<void> {
  client = await reconnected(stack.postgres, client);
}

/** Ends every session without a word and resets what is not in the write-ahead log, as a crash does. */
async function crashPostgres(): Promise<void> {
  const {
    rows: [mine],
  } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  assert.ok(mine);
  process.kill(mine.pid, 'SIGKILL');
  await pause(50);
  await reconnect();
}

async function restartPostgres(): Promise<void> {
  await stack.restartPostgres();
  await reconnect();
}

async function stocked(accounts = 12): Promise<Tenant> {
  const tenant = await newTenant(stack, client);
  await stock(client, tenant, accounts);
  return tenant;
}

async function count(sql: string, ...values: unknown[]): Promise<number> {
  const {
    rows: [row],
  } = await client.query<{ n: number }>(`select count(*)::int as n from ${sql}`, values);
  return row?.n ?? 0;
}

describe(`a backup (M23_SEED=${SEED})`, () => {
  for (const [what, interrupt] of [
    ['restarted', restartPostgres],
    ['crashes', crashPostgres],
  ] as const) {
    test(`in whose middle Postgres ${what === 'crashes' ? what : `is ${what}`} is completed by the clock, exactly`, async () => {
      const tenant = await stocked(30);
      const wanted = await rowsOf(client, tenant);
      const id = await beginBackup(stack, tenant, { jobType: 'full', tables: TABLES });
      await damage(client, tenant);
      const seen = await eventually(
        () => jobOf(client, id),
        (job) => job.chunks > 3,
      );
      assert.equal(seen.status, 'in_progress', 'it was in the middle');
      await interrupt();
      await eventually(
        async () => {
          await stack.runCron('backup-create').catch(() => undefined);
          return await jobOf(client, id);
        },
        (job) => job.status !== 'in_progress',
      );
      await completed(client, id);
      await everyApiSessionAnswers(stack);

      const keys = (await manifestOf(stack, tenant, id)).tables.flatMap(({ chunks }) =>
        chunks.map(({ object }) => object),
      );
      assert.deepEqual(
        await objectsOf(stack, tenant, id),
        [...keys, `${prefixOf(tenant, id)}manifest.json`].sort(),
        'no orphan',
      );
      await restored(stack, tenant, id);
      assert.deepEqual(await rowsOf(client, tenant), wanted);
    });
  }

  test('of which the database has lost a record is not completed without it', async () => {
    const tenant = await stocked(30);
    const wanted = await rowsOf(client, tenant);
    const id = await beginBackup(stack, tenant, { jobType: 'full', tables: TABLES });
    await damage(client, tenant);
    await eventually(
      () => jobOf(client, id),
      (job) => job.chunks > 3,
    );
    // What a crash does where commits are asynchronous, or a replica that was behind takes over.
    // All of them: one that was just being recorded as well, or the rest would have a gap, and the backup would fail.
    await client.query(
      `begin; lock table m23.backup_chunks in exclusive mode; delete from m23.backup_chunks where job_id = '${id}'; commit`,
    );
    assert.equal((await jobOf(client, id)).status, 'in_progress', 'it was in the middle');
    await eventually(
      async () => {
        await stack.runCron('backup-create').catch(() => undefined);
        return await jobOf(client, id);
      },
      (job) => job.status !== 'in_progress',
    );
    await completed(client, id);
    await restored(stack, tenant, id);
    assert.deepEqual(await rowsOf(client, tenant), wanted);
  });

  test('that was accepted while no Worker lived to drive it is driven by the clock', async () => {
    const tenant = await stocked();
    const wanted = await rowsOf(client, tenant);
    const id = await beginBackup(stack, tenant, { jobType: 'full', tables: TABLES });
    await stack.restartWorkers();
    await damage(client, tenant);
    await eventually(
      async () => {
        await stack.runCron('backup-create');
        return await jobOf(client, id);
      },
      (job) => job.status === 'completed',
    );
    await restored(stack, tenant, id);
    assert.deepEqual(await rowsOf(client, tenant), wanted);
  });

  test('that nobody has asked backup-create to run is left alone by the clock', async () => {
    const tenant = await stocked(1);
    const {
      rows: [job],
    } = await client.query<{ id: string }>(
      `insert into public.backup_jobs (tenant_id, backup_name, job_type, created_by) values ($1, 'later', 'full', $2) returning id`,
      [tenant.id, tenant.userId('owner')],
    );
    await stack.runCron('backup-create');
    assert.equal((await jobOf(client, job?.id ?? '')).status, 'pending');
  });
});

interface Staged {
  tenant: Tenant;
  token: string;
  backup: string;
  wanted: Rows;
  damaged: Rows;
}

async function damagedShop(): Promise<Staged> {
  const tenant = await stocked(30);
  const wanted = await rowsOf(client, tenant);
  const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: TABLES });
  await damage(client, tenant);
  return { tenant, backup, wanted, token: await tenant.token('owner'), damaged: await placesOf(client, tenant) };
}

/** Starts a restore whose answer may never come: its code or status, or why there was none. */
function begin({ token, backup }: Staged): Promise<string | number> {
  return call(stack, 'backup-restore', token, { backupJobId: backup, confirmRestore: true }).then(
    ({ status, body }) => body.code ?? status,
    (error: unknown) => `no answer: ${String(error)}`,
  );
}

/** After the upkeep, all is done or nothing, the log row says which, and nothing is left over. */
async function assertAllOrNothing({ tenant, wanted, damaged }: Staged): Promise<string> {
  const log = await eventually(
    async () => {
      await stack.runCron('backup-restore').catch(() => undefined);
      return await lastRestore(client, tenant);
    },
    (seen) => seen?.status !== 'in_progress',
  );
  if (log?.status === 'completed') {
    assert.deepEqual(await rowsOf(client, tenant), wanted);
    assert.ok(log.snapshot_id);
  } else {
    assert.equal(log?.status, 'failed');
    assert.ok(log.error_message);
    assert.deepEqual(await placesOf(client, tenant), damaged, 'not one row was written');
    assert.equal(log.snapshot_id, null);
    assert.equal(await count('public.pitr_snapshots where tenant_id = $1', tenant.id), 0);
  }
  await assertNothingLeft();
  return log.status;
}

async function assertNothingLeft(): Promise<void> {
  assert.equal(await count(`pg_class where relnamespace = 'm23_staging'::regnamespace`), 0, 'staging is empty');
  for (const table of ['restore_work', 'staged_tables', 'staged_chunks', 'leases'])
    assert.equal(await count(`m23.${table}`), 0, table);
}

async function assertRestoresNow(shop: Staged): Promise<void> {
  const { tenant, wanted } = shop;
  await eventually(
    () => begin(shop),
    (status) => status === 200,
  );
  assert.deepEqual(await rowsOf(client, tenant), wanted);
}

async function staging(chunks = 6): Promise<void> {
  await eventually(
    () => count('m23.staged_chunks'),
    (staged) => staged >= chunks,
  );
}

describe('a restore (M23_SEED tells its moments)', () => {
  test('in whose middle Postgres is restarted while it reads the archive has done all or nothing', async () => {
    const shop = await damagedShop();
    const answer = begin(shop);
    await staging();
    await restartPostgres();
    await answer;
    await assertAllOrNothing(shop);
    await assertRestoresNow(shop);
  });

  test('in whose middle Postgres crashes while it reads the archive never takes what it had read for the whole', async () => {
    const shop = await damagedShop();
    const answer = begin(shop);
    await staging();
    await crashPostgres();
    await answer;
    await assertAllOrNothing(shop);
    await assertRestoresNow(shop);
  });

  test('whose Worker is killed while it reads the archive has changed nothing', async () => {
    const shop = await damagedShop();
    const answer = begin(shop);
    await staging();
    await stack.restartWorkers();
    assert.match(String(await answer), /no answer/);
    assert.equal(await assertAllOrNothing(shop), 'failed');
    await assertRestoresNow(shop);
  });

  test('that its caller was told goes on, and whose Worker is killed while it reads the archive, is taken up', async () => {
    const shop = await damagedShop();
    const answer = begin(shop);
    await staging();
    const { rowCount } = await client.query(
      'select public.m23_detach_restore(work_id, token) from m23.leases join m23.restore_work using (work_id)',
    );
    assert.equal(rowCount, 1);
    await stack.restartWorkers();
    assert.match(String(await answer), /no answer/);
    assert.equal(await begin(shop), 'RESTORE_IN_PROGRESS');
    assert.equal(await assertAllOrNothing(shop), 'completed');
  });

  describe('that is only tried (a dry run)', () => {
    const dryRun = ({ token, backup }: Staged): Promise<Reply> =>
      call(stack, 'backup-restore', token, { backupJobId: backup, dryRun: true, confirmRestore: true });

    /** A dry run that stopped while it read the archive: its Worker is gone. Its caller may have got a 202 before. */
    async function stopped(shop: Staged, wasTold: boolean): Promise<void> {
      const answer = dryRun(shop).then(
        ({ status }) => status,
        () => 'no answer',
      );
      await staging();
      if (wasTold)
        await client.query(
          'select public.m23_detach_restore(work_id, token) from m23.leases join m23.restore_work using (work_id)',
        );
      await stack.restartWorkers();
      assert.equal(await answer, 'no answer');
    }

    interface Told {
      status: string;
      stats: { totalOperations: number };
      metadata: {
        dry_run: boolean;
        preview: { previewId: string; planHash: string; changeCounts: Record<string, number> };
      };
    }

    test('is taken up by the clock when its Worker is killed after its caller was told that it goes on, and tells the same', async () => {
      const shop = await damagedShop();
      const undisturbed = ok(await dryRun(shop));
      await stopped(shop, true);
      const begun = await lastRestore(client, shop.tenant);
      assert.equal(begun?.status, 'in_progress');
      assert.equal(await begin(shop), 'RESTORE_IN_PROGRESS');
      await eventually(
        async () => {
          await stack.runCron('backup-restore');
          return await lastRestore(client, shop.tenant);
        },
        (seen) => seen?.status !== 'in_progress',
      );

      const {
        rows: [told],
      } = await client.query<Told>('select status, stats, metadata from public.restore_logs where id = $1', [begun.id]);
      assert.deepEqual([told?.status, told?.metadata.dry_run], ['completed', true]);
      assert.deepEqual(
        [told?.stats, told?.metadata.preview.planHash, told?.metadata.preview.changeCounts],
        [undisturbed['stats'], undisturbed['planHash'], undisturbed['changeCounts']],
      );
      const { rows } = await client.query<{ table_name: string; n: number }>(
        'select table_name, jsonb_array_length(changes) as n from m23.preview_rows where preview_id = $1',
        [told?.metadata.preview.previewId],
      );
      assert.deepEqual(
        Object.fromEntries(rows.filter(({ n }) => n > 0).map(({ table_name, n }) => [table_name, n])),
        undisturbed['changeCounts'],
        'its pages are there',
      );
      assert.deepEqual(await placesOf(client, shop.tenant), shop.damaged, 'not one row was written');
      await assertNothingLeft();
      assert.equal(
        (
          await call(stack, 'backup-restore', shop.token, {
            backupJobId: shop.backup,
            confirmRestore: true,
            planHash: told?.metadata.preview.planHash,
          })
        ).status,
        200,
      );
      assert.deepEqual(await rowsOf(client, shop.tenant), shop.wanted);
    });

    test("is over when its Worker is killed and nobody was told that it goes on, and stands in nobody's way", async () => {
      const shop = await damagedShop();
      await stopped(shop, false);
      await eventually(
        async () => {
          await stack.runCron('backup-restore');
          return await count('m23.restore_work');
        },
        (left) => left === 0,
      );
      assert.equal(await lastRestore(client, shop.tenant), undefined, 'it was never in the log');
      await assertNothingLeft();
      await assertRestoresNow(shop);
    });
  });

  describe('that is writing', () => {
    before(async () => {
      await client.query(`
        create table shop.gate (open boolean not null);
        insert into shop.gate values (false);
        create function shop.pass_gate() returns trigger language plpgsql as $$
        begin
          while not (select open from shop.gate) loop perform pg_sleep(0.01); end loop;
          return null;
        end $$;
        create trigger gate after insert on shop.accounts for each row when (new.code like '%/1') execute function shop.pass_gate();
        alter table shop.accounts enable replica trigger gate`);
    });

    async function writing(): Promise<void> {
      await eventually(
        () => count(`pg_stat_activity where wait_event = 'PgSleep' and query ~ 'm23_execute_restore'`),
        (held) => held === 1,
      );
    }

    for (const [what, interrupt] of [
      ['is restarted', restartPostgres],
      ['crashes', crashPostgres],
    ] as const) {
      test(`when Postgres ${what} has done nothing, and says so`, async () => {
        const shop = await damagedShop();
        const answer = begin(shop);
        await writing();
        await interrupt();
        assert.equal(await answer, 'UNAVAILABLE');
        assert.equal(await assertAllOrNothing(shop), 'failed');
      });
    }

    test('when its Worker is killed ends by itself, and all is done', async () => {
      const shop = await damagedShop();
      const answer = begin(shop);
      await writing();
      await stack.restartWorkers();
      assert.match(String(await answer), /no answer/);
      await pause(1100);
      await stack.runCron('backup-restore');
      assert.equal(
        (await lastRestore(client, shop.tenant))?.status,
        'in_progress',
        'upkeep does not call dead what is writing',
      );
      await client.query('update shop.gate set open = true');
      assert.equal(await assertAllOrNothing(shop), 'completed');
    });

    test('when Postgres crashes at any moment has done all or nothing', async (t) => {
      t.diagnostic(`M23_SEED=${SEED}`);
      await client.query('update shop.gate set open = true');
      const outcomes: string[] = [];
      for (let n = 0; n < 4; n += 1) {
        const shop = await damagedShop();
        const answer = begin(shop);
        await eventually(
          () => count(`pg_stat_activity where query ~ 'm23_execute_restore' and pid <> pg_backend_pid()`),
          (active) => active > 0,
        );
        await pause(random() * 200);
        await crashPostgres();
        outcomes.push(`${await answer}: ${await assertAllOrNothing(shop)}`);
        await everyApiSessionAnswers(stack);
      }
      t.diagnostic(outcomes.join(', '));
    });
  });
});
