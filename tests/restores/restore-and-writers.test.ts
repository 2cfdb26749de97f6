// Restores beside writers: nobody is a deadlock's victim, other tenants do not wait, the rows are exact.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import type pg from 'pg';

import { backUp, call, lastRestore, type Reply, refusal, restore, restored } from '../fixtures/functions.ts';
import { damage, placesOf, type Rows, rowsOf } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import type { Tenant } from '../fixtures/tenants.ts';
import { databaseTime, eventually, pause, randomNumbers } from '../fixtures/time.ts';

/** A restore that writes this balance stops there until the gate is open. */
const GATED = 4242;

const { stack, client, stocked } = await openShopStack();

before(async () => {
  await client.query(`
    create table shop.gate (open boolean not null);
    insert into shop.gate values (true);
    create function shop.pass_gate() returns trigger language plpgsql as $$
    begin
      while not (select open from shop.gate) loop perform pg_sleep(0.01); end loop;
      return null;
    end $$;
    create trigger gate after update on shop.accounts for each row when (new.balance = ${GATED}) execute function shop.pass_gate();
    alter table shop.accounts enable always trigger gate`);
});

/** A connection of the application's, which ends with the test. */
async function application(t: { after(end: () => Promise<void>): void }): Promise<pg.Client> {
  const connection = await stack.postgres.connect();
  t.after(() => connection.end());
  return connection;
}

async function setting(name: string, value: number): Promise<void> {
  await client.query('update m23.settings set value = $2 where name = $1', [name, value]);
}

/** Whether something is still going on after a while. */
async function waits(work: Promise<unknown>, milliseconds = 250): Promise<boolean> {
  return await Promise.race([
    work.then(
      () => false,
      () => false,
    ),
    pause(milliseconds).then(() => true),
  ]);
}

async function working(function_: string): Promise<void> {
  await eventually(
    async () =>
      (
        await client.query(
          `select from pg_stat_activity where query ~ $1 and state = 'active' and pid <> pg_backend_pid()`,
          [function_],
        )
      ).rowCount ?? 0,
    (count) => count > 0,
  );
}

/** Until a restore waits for the fence: whoever writes from then on waits behind it. */
async function atTheFence(): Promise<void> {
  await eventually(
    async () =>
      (
        await client.query(`select from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and not l.granted and a.query ~ 'm23_execute_restore'`)
      ).rowCount ?? 0,
    (count) => count > 0,
  );
}

async function addCustomer(tenant: Tenant, name: string): Promise<Response> {
  return await fetch(`${stack.url}/rest/v1/customers`, {
    method: 'POST',
    headers: {
      apikey: stack.anonKey,
      authorization: `Bearer ${await tenant.token('operator')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ tenant_id: tenant.id, name }),
  });
}

describe('while a restore holds the fence', () => {
  test('another tenant reads and writes on, its own writers wait, and go on afterwards', async (t) => {
    const [tenant, other] = [await stocked(), await stocked()];
    await client.query(`update shop.accounts set balance = ${GATED} where tenant_id = $1 and code like '%/1'`, [
      tenant.id,
    ]);
    const wanted = await rowsOf(client, tenant);
    const backup = await backUp(stack, client, tenant);
    await damage(client, tenant);
    await client.query(`insert into shop.accounts (tenant_id, code) values ($1::uuid, $1::text || '/5')`, [other.id]);
    await client.query(`update shop.accounts set balance = 1 where tenant_id = $1`, [tenant.id]);
    // Its account 1 was deleted by the damage: an update is what passes the gate.
    await client.query(
      `insert into shop.accounts (id, tenant_id, code) overriding system value values ($1, $2::uuid, $2::text || '/1')`,
      [/^\((\d+)/.exec(wanted['shop.accounts']?.[0] ?? '')?.[1], tenant.id],
    );

    await client.query('update shop.gate set open = false');
    const running = restore(stack, tenant, backup);
    await eventually(
      async () =>
        (
          await client.query(
            `select from pg_stat_activity where wait_event = 'PgSleep' and query ~ 'm23_execute_restore'`,
          )
        ).rowCount,
      (count) => count === 1,
    );

    const theirs = await application(t);
    await theirs.query(`set statement_timeout = '500ms'`);
    await theirs.query('update shop.accounts set balance = balance + 1 where tenant_id = $1', [other.id]);
    await theirs.query(
      `insert into shop.orders (tenant_id, account_id, place) select $1, max(id), 77 from shop.accounts where tenant_id = $1`,
      [other.id],
    );
    await theirs.query('delete from shop.orders where tenant_id = $1 and place = 77', [other.id]);
    assert.equal((await addCustomer(other, 'through the API')).status, 201);
    await theirs.query('select count(*) from shop.orders where tenant_id = $1', [tenant.id]);

    const mine = await application(t);
    const written = mine.query(`update shop.orders set note = 'late' where tenant_id = $1 and place = 401`, [
      tenant.id,
    ]);
    const posted = addCustomer(tenant, 'late');
    assert.deepEqual([await waits(written), await waits(posted, 50)], [true, true]);
    assert.deepEqual(refusal(await restore(stack, tenant, backup)), [409, 'RESTORE_IN_PROGRESS']);
    assert.ok(await waits(running, 50));

    await client.query('update shop.gate set open = true');
    const reply = await running;
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    await written;
    assert.equal((await posted).status, 201);
    const expected = wanted['shop.orders']?.map((row) =>
      row.includes(',401,') ? row.replace(/,[^,]*\)$/, ',late)') : row,
    );
    assert.deepEqual((await rowsOf(client, tenant))['shop.orders'], expected, 'the restore, and then the writer');
    assert.equal((await client.query('select from public.customers where tenant_id = $1', [tenant.id])).rowCount, 1);
  });
});

describe('an application transaction that is open when a restore comes', () => {
  test('is waited for, and the restore is exact', async (t) => {
    const tenant = await stocked();
    const wanted = await rowsOf(client, tenant);
    const backup = await backUp(stack, client, tenant);
    const app = await application(t);
    await app.query('begin');
    await app.query('delete from shop."Line Items" where tenant_id = $1', [tenant.id]);
    const running = restore(stack, tenant, backup);
    await working('m23_execute_restore');
    assert.ok(await waits(running));
    await app.query('update shop.orders set note = null where tenant_id = $1', [tenant.id]);
    await app.query('commit');
    assert.equal((await running).status, 200);
    assert.deepEqual(await rowsOf(client, tenant), wanted);
  });

  test('and holds rows that it has only locked, goes on without a deadlock, and then the restore does', async (t) => {
    const tenant = await stocked();
    const wanted = await rowsOf(client, tenant);
    const backup = await backUp(stack, client, tenant);
    await client.query('update shop.orders set note = null where tenant_id = $1', [tenant.id]);
    const app = await application(t);
    await app.query('begin');
    await app.query('select from shop.orders where tenant_id = $1 for update', [tenant.id]);
    const running = restore(stack, tenant, backup);
    await working('m23_execute_restore');
    assert.ok(await waits(running), 'it tries again');
    // Now this transaction wants the fence that the restore takes and gives back.
    await app.query(`update shop.orders set note = 'mine' where tenant_id = $1`, [tenant.id]);
    assert.ok(await waits(running));
    await app.query('commit');
    assert.equal((await running).status, 200);
    assert.deepEqual(await rowsOf(client, tenant), wanted);
  });

  for (const [how, sql] of [
    ['rows', 'select from shop.orders where tenant_id = $1 for update'],
    ['the fence', 'update shop.orders set note = note where tenant_id = $1'],
  ] as const) {
    test(`and keeps ${how} ends the restore with UNAVAILABLE in bounded time, and nothing is changed`, async (t) => {
      const tenant = await stocked();
      const backup = await backUp(stack, client, tenant);
      await damage(client, tenant);
      const app = await application(t);
      await app.query('begin');
      await app.query(sql, [tenant.id]);
      const before = await placesOf(app, tenant);
      await setting('restore_wait_seconds', 1);
      const started = Date.now();
      const reply = await restore(stack, tenant, backup);
      await setting('restore_wait_seconds', 10);
      assert.deepEqual(refusal(reply), [503, 'UNAVAILABLE'], JSON.stringify(reply.body));
      assert.ok(Number(reply.headers.get('retry-after')) > 0);
      assert.ok(Date.now() - started < 4000, `${Date.now() - started} ms`);
      assert.deepEqual(await placesOf(app, tenant), before);
      const log = await lastRestore(client, tenant);
      assert.deepEqual([log?.status, log?.snapshot_id], ['failed', null]);
      assert.equal(
        (await client.query('select from public.pitr_snapshots where tenant_id = $1', [tenant.id])).rowCount,
        0,
      );
      await app.query('commit');
      assert.equal((await restore(stack, tenant, backup)).status, 200, 'once it is gone, all is well');
    });
  }

  for (const [from, undo] of [
    ['an archive', async (tenant: Tenant, backup: string) => await restore(stack, tenant, backup)],
    [
      'the log',
      async (tenant: Tenant, _: string, targetTimestamp: string) =>
        await call(stack, 'pitr-restore', await tenant.token('owner'), {
          targetTimestamp,
          tables: ['shop.orders', 'shop.Line Items'],
          confirmRestore: true,
        }),
    ],
  ] as const) {
    test(`and refers to rows that a restore from ${from} changes, holds it up only where they are to be deleted`, async (t) => {
      const tenant = await stocked();
      const wanted = await rowsOf(client, tenant);
      const backup = await backUp(stack, client, tenant);
      const at = await databaseTime(client);
      const app = await application(t);
      // What a foreign key takes of the row that an insert refers to.
      const refer = async (): Promise<void> => {
        await app.query('begin');
        await app.query('select from shop.orders where tenant_id = $1 for key share', [tenant.id]);
      };
      await client.query('update shop.orders set note = null where tenant_id = $1', [tenant.id]);
      await refer();
      assert.equal((await undo(tenant, backup, at)).status, 200);
      assert.deepEqual(await rowsOf(client, tenant), wanted);
      await app.query('commit');
      await client.query(
        'insert into shop.orders (tenant_id, account_id, place) select tenant_id, id, 9999 from shop.accounts where tenant_id = $1 limit 1',
        [tenant.id],
      );
      await refer();
      const running = undo(tenant, backup, at);
      await working('m23_execute_restore');
      assert.ok(await waits(running));
      await app.query('commit');
      assert.equal((await running).status, 200);
      assert.deepEqual(await rowsOf(client, tenant), wanted);
    });
  }

  test("and waits for another that waits behind the restore is not a deadlock's victim, nor is the other", async (t) => {
    const tenant = await stocked();
    const wanted = await rowsOf(client, tenant);
    const backup = await backUp(stack, client, tenant);
    const [first, second] = [await application(t), await application(t)];
    await first.query('begin');
    await first.query(`update shop.orders set note = 'first' where tenant_id = $1 and place = 101`, [tenant.id]);
    await second.query('begin');
    await second.query('select from shop.orders where tenant_id = $1 and place = 102 for update', [tenant.id]);
    const running = restore(stack, tenant, backup);
    await atTheFence();
    const behind = second.query(`update shop.orders set note = 'second' where tenant_id = $1 and place = 102`, [
      tenant.id,
    ]);
    assert.ok(await waits(behind, 100));
    // Now the first waits for the second, the second for the restore, the restore for the first.
    const waiting = first.query(`update shop.orders set note = 'first' where tenant_id = $1 and place = 102`, [
      tenant.id,
    ]);
    await behind;
    await second.query('commit');
    await waiting;
    await first.query('commit');
    assert.equal((await running).status, 200);
    assert.deepEqual(await rowsOf(client, tenant), wanted);
  });

  test('of another tenant, and holds a unique value that is to come back, is waited for without a deadlock', async (t) => {
    const [tenant, other] = [await stocked(), await stocked()];
    const wanted = await rowsOf(client, tenant);
    const backup = await backUp(stack, client, tenant);
    await client.query('delete from shop.orders where tenant_id = $1', [tenant.id]);
    await client.query('delete from shop.accounts where tenant_id = $1', [tenant.id]);
    const app = await application(t);
    await app.query('begin');
    await app.query(`insert into shop.accounts (tenant_id, code) values ($2, $1::text || '/3')`, [tenant.id, other.id]);
    const running = restore(stack, tenant, backup);
    await working('m23_execute_restore');
    assert.ok(await waits(running));
    await app.query('rollback');
    assert.equal((await running).status, 200);
    assert.deepEqual(await rowsOf(client, tenant), wanted);
  });
});

test("under a load of row locks, writes and references no application transaction is ever a deadlock's victim", async (t) => {
  const seed = Number(process.env['M23_SEED'] ?? Math.floor(Math.random() * 1_000_000));
  t.diagnostic(`M23_SEED=${seed}`);
  const tenant = await stocked();
  const wanted = await rowsOf(client, tenant);
  const backup = await backUp(stack, client, tenant);
  let stopped = false;
  let committed = 0;
  const load = async (random: () => number): Promise<void> => {
    const app = await application(t);
    while (!stopped) {
      // In one order, as an application without deadlocks of its own does.
      const places = [101, 203, 304].map((place) => place + Math.floor(random() * 2));
      await app.query('begin');
      await app.query('select from shop.orders where tenant_id = $1 and place = any ($2) order by place for update', [
        tenant.id,
        places,
      ]);
      await pause(random() * 4);
      for (const place of places)
        await app.query('update shop.orders set note = $3 where tenant_id = $1 and place = $2', [
          tenant.id,
          place,
          `note ${random()}`,
        ]);
      await app.query(random() < 0.5 ? 'commit' : 'rollback');
      committed += 1;
      await pause(random() * 60);
    }
  };
  // Users whose rows refer to those that are restored.
  const insert = async (first: number): Promise<void> => {
    const app = await application(t);
    await app.query(`select set_config('request.jwt.claims', $1, false)`, [
      JSON.stringify({ sub: tenant.userId('operator'), role: 'authenticated' }),
    ]);
    for (let line = first; !stopped; line += 1) {
      await app.query(
        'insert into shop."Line Items" ("orderId", line, tenant_id, "Price", amount) select id, $2, tenant_id, 1, 1 from shop.orders where tenant_id = $1 and place % 5 = $2 % 5 order by place',
        [tenant.id, line],
      );
      committed += 1;
      await pause(5);
    }
  };
  const writers = [...[1, 2, 3].map((n) => load(randomNumbers(seed + n))), insert(1000), insert(20000)];
  const replies: Reply[] = [];
  await setting('restore_wait_seconds', 1);
  const until = Date.now() + 2500;
  while (Date.now() < until) replies.push(await restore(stack, tenant, backup, { tables: ['shop.orders'] }));
  stopped = true;
  await Promise.all(writers);
  await setting('restore_wait_seconds', 10);
  t.diagnostic(`${replies.length} restores against ${committed} transactions`);
  // A restore may give up in a crowd; a writer never has to.
  for (const reply of replies)
    assert.ok(reply.status === 200 || reply.body.code === 'UNAVAILABLE', JSON.stringify(reply.body));
  assert.ok(replies.some(({ status }) => status === 200));
  await restored(stack, tenant, backup);
  assert.deepEqual(await rowsOf(client, tenant), wanted);
});

describe('a restore that outlasts its lease while it writes', () => {
  /** Holds what the restore needs, lets its lease lapse, and runs the upkeep meanwhile. */
  async function heldUp(
    t: { after(end: () => Promise<void>): void },
    tenant: Tenant,
    backup: string,
    more: Record<string, unknown>,
  ): Promise<Reply> {
    await setting('lease_seconds', 1);
    const app = await application(t);
    await app.query('begin');
    await app.query('lock table shop.orders in access exclusive mode');
    const running = restore(stack, tenant, backup, more);
    await working('m23_execute_restore');
    await pause(1200);
    const swept = stack.runCron('backup-restore');
    await waits(swept, 1500);
    await app.query('rollback');
    await swept;
    await setting('lease_seconds', 60);
    return await running;
  }

  test('beside the live data is left to its work', async (t) => {
    const tenant = await stocked();
    const reply = await heldUp(t, tenant, await backUp(stack, client, tenant), { targetSchema: 'long' });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    assert.equal((await lastRestore(client, tenant))?.status, 'completed');
    assert.equal((await client.query('select from long.orders')).rowCount, 20);
  });

  test('into the live data is left to its work', async (t) => {
    const tenant = await stocked();
    const wanted = await rowsOf(client, tenant);
    const backup = await backUp(stack, client, tenant);
    await damage(client, tenant);
    const reply = await heldUp(t, tenant, backup, {});
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    assert.equal((await lastRestore(client, tenant))?.status, 'completed');
    assert.deepEqual(await rowsOf(client, tenant), wanted);
  });
});

test('two restores of two tenants at once do not wait for each other', async () => {
  const tenants = [await stocked(), await stocked(), await stocked()];
  const wanted: Rows[] = [];
  const backups: string[] = [];
  for (const tenant of tenants) {
    wanted.push(await rowsOf(client, tenant));
    backups.push(await backUp(stack, client, tenant));
    await damage(client, tenant);
  }
  const replies = await Promise.all(tenants.map((tenant, n) => restore(stack, tenant, backups[n] ?? '')));
  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200],
    JSON.stringify(replies.map(({ body }) => body)),
  );
  for (const [n, tenant] of tenants.entries()) assert.deepEqual(await rowsOf(client, tenant), wanted[n]);
});

test('of restores of one tenant that come at once exactly one runs', async () => {
  const tenant = await stocked();
  const backup = await backUp(stack, client, tenant);
  await damage(client, tenant);
  const token = await tenant.token('owner');
  const replies = await Promise.all(
    Array.from({ length: 6 }, () =>
      call(stack, 'backup-restore', token, { backupJobId: backup, confirmRestore: true }),
    ),
  );
  const codes = replies.map((reply) => reply.body.code ?? reply.status).sort();
  assert.ok(codes.includes(200));
  assert.deepEqual(
    [...new Set(codes)].filter((code) => code !== 200),
    ['RESTORE_IN_PROGRESS'],
    JSON.stringify(codes),
  );
  const {
    rows: [count],
  } = await client.query<{ n: number }>('select count(*)::int as n from public.restore_logs where tenant_id = $1', [
    tenant.id,
  ]);
  assert.equal(count?.n, codes.filter((code) => code === 200).length);
});
