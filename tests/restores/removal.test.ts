// What is tidied up after a restore, and what is removed for good: hooks, copies, snapshots, tenants.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, describe, test } from 'node:test';

import { openDatabase } from '../fixtures/database.ts';

let schemas = 0;

const { postgres, client } = await openDatabase();

afterEach(async () => {
  await client.query('reset role; delete from m23.after_restore_hooks');
});

interface Failure {
  code: string;
  message: string;
  details?: string[];
}
interface Outcome {
  warnings: string[];
  snapshot_id: string;
  rows_restored: number;
  error?: Failure;
}
interface Begun {
  work_id: string;
  lease: string;
}

/** An application of one tenant in a schema of its own: two protected tables and what the hooks write. */
interface Shop {
  schema: string;
  tenant: string;
  owner: string;
  viewer: string;
}

async function one<T>(sql: string, values: unknown[] = []): Promise<T> {
  const {
    rows: [row],
  } = await client.query<{ value: T }>(sql, values);
  return row!.value;
}
const now = (): Promise<string> => one('select clock_timestamp()::text as value');

async function newShop(): Promise<Shop> {
  schemas += 1;
  const shop = { schema: `s${schemas}`, tenant: randomUUID(), owner: randomUUID(), viewer: randomUUID() };
  await client.query(`select set_config('request.jwt.claims', '', false); reset role; create schema ${shop.schema}; set search_path = ${shop.schema}, public;
    insert into public.tenant_members values ('${shop.tenant}', '${shop.owner}', 'owner'), ('${shop.tenant}', '${shop.viewer}', 'viewer');
    create table items (id int primary key, tenant_id uuid not null, name text); select m23.protect_table('items');
    create table parts (id int primary key, tenant_id uuid not null, item int references items); select m23.protect_table('parts');
    create table counters (tenant_id uuid primary key, items bigint not null); select m23.protect_table('counters');
    create table calls (id bigint generated always as identity, hook text, tenant text, changes jsonb, seen bigint);
    insert into items select n, '${shop.tenant}', 'item ' || n from generate_series(1, 10) n; insert into parts values (1, '${shop.tenant}', 1);
    create function note(tenant text, changes jsonb) returns void language sql set search_path = ${shop.schema} as
      $$ insert into calls (hook, tenant, changes, seen) select 'note', tenant, changes, count(*) from items where tenant_id::text = tenant $$`);
  await as(shop.owner);
  return shop;
}

async function as(user: string, role = 'authenticated'): Promise<void> {
  await client.query(`select set_config('request.jwt.claims', $1, false)`, [JSON.stringify({ sub: user, role })]);
}

async function request(shop: Shop, name: string): Promise<string> {
  const id = randomUUID();
  await client.query('insert into m23.requests (id, tenant_id, user_id, function) values ($1, $2, $3, $4)', [
    id,
    shop.tenant,
    shop.owner,
    name,
  ]);
  return id;
}

const target = (shop: Shop, targetTimestamp: string): object => ({
  targetTimestamp,
  confirmRestore: true,
  tables: ['items', 'parts', 'counters'].map((table) => `${shop.schema}.${table}`),
});

async function begin(shop: Shop, at: string): Promise<Begun> {
  return await one('select m23_begin_pitr($1, $2) as value', [await request(shop, 'pitr-restore'), target(shop, at)]);
}
async function preview(shop: Shop, at: string): Promise<void> {
  await client.query('select m23_preview_pitr($1, $2)', [
    await request(shop, 'pitr-restore'),
    { ...target(shop, at), dryRun: true },
  ]);
}
const execute = (work: Begun): Promise<Outcome> =>
  one('select m23_execute_restore($1, $2) as value', [work.work_id, work.lease]);
const restore = async (shop: Shop, at: string): Promise<Outcome> => await execute(await begin(shop, at));

async function rollBack(shop: Shop, snapshotId: string): Promise<Outcome> {
  return await execute(
    await one('select m23_begin_rollback($1, $2) as value', [
      await request(shop, 'pitr-rollback'),
      { snapshotId, confirmRollback: true },
    ]),
  );
}

async function calls(): Promise<unknown[]> {
  return (await client.query('select hook, tenant, changes, seen::int from calls order by id')).rows;
}

/** A backup of the items, read as the worker reads it; gives its id and its one chunk. */
async function backUp(shop: Shop): Promise<{ id: string; lines: string; rows: number }> {
  const { job_id: id } = await one<{ job_id: string }>('select m23_begin_backup($1, $2) as value', [
    await request(shop, 'backup-create'),
    { jobType: 'full', tables: [`${shop.schema}.items`] },
  ]);
  const { lease } = await one<{ lease: string }>('select m23_claim_backup($1) as value', [id]);
  const text = (await one<Buffer>('select m23_read_chunk($1, $2, 1, null)::bytea as value', [id, lease])).toString();
  const head = JSON.parse(text.slice(0, text.indexOf('\n'))) as { rows: number; last_key: string[] };
  await client.query('select m23_record_chunk($1)', [
    {
      job_id: id,
      lease,
      ordinal: 1,
      seq: 1,
      object: 'o',
      bytes: 1,
      stored_bytes: 1,
      sha256: '0'.repeat(64),
      done: true,
      ...head,
    },
  ]);
  await client.query(`select m23_finish_backup($1, $2, 'm', $3, 1)`, [id, lease, '0'.repeat(64)]);
  return { id, lines: text.slice(text.indexOf('\n') + 1), rows: head.rows };
}

/** A restore of a new backup beside the live data; gives the restore's id. */
async function copy(shop: Shop, targetSchema: string): Promise<string> {
  const backup = await backUp(shop);
  const work = await one<Begun>('select m23_begin_restore($1, $2) as value', [
    await request(shop, 'backup-restore'),
    { backupJobId: backup.id, targetSchema, confirmRestore: true },
  ]);
  const { work_id: id, lease } = work;
  await client.query('select m23_stage_table($1, $2, $3)', [
    id,
    lease,
    { ordinal: 1, schema: shop.schema, name: 'items', columns: ['id', 'tenant_id', 'name'], rows: backup.rows },
  ]);
  await client.query('select m23_stage_chunk($1)', [
    Buffer.from(`${JSON.stringify({ restore_id: id, lease, ordinal: 1, seq: 1, rows: backup.rows })}\n${backup.lines}`),
  ]);
  const done = await execute(work);
  assert.equal(done.error, undefined, JSON.stringify(done.error));
  return id;
}

interface Dropped {
  dropped: boolean;
  schema: string;
  kept_by: string[];
}
const drop = (restoreLog: string): Promise<Dropped> => one('select drop_restore_copy($1) as value', [restoreLog]);
const schemaExists = (name: string): Promise<boolean> =>
  one('select exists (select from pg_namespace where nspname = $1) as value', [name]);
const findings = async (topic: string): Promise<{ state: string; finding: string }[]> =>
  (
    await client.query<{ state: string; finding: string }>('select state, finding from m23.doctor() where topic = $1', [
      topic,
    ])
  ).rows;

describe('an after_restore hook', () => {
  test('is called once, when the rows are back, with the tables and counts that changed; on a rollback, too', async () => {
    const shop = await newShop();
    await client.query(
      `select m23.set_after_restore(null, 'note(text, jsonb)'), m23.set_after_restore(null, 'note(text, jsonb)')`,
    );
    const at = await now();
    await client.query(
      `delete from parts; delete from items where id <= 3; update items set name = 'x' where id > 8; insert into items values (11, '${shop.tenant}', 'stray')`,
    );
    const done = await restore(shop, at);
    const there = {
      [`${shop.schema}.items`]: { inserts: 3, updates: 2, deletes: 1 },
      [`${shop.schema}.parts`]: { inserts: 1, updates: 0, deletes: 0 },
    };
    assert.deepEqual(await calls(), [{ hook: 'note', tenant: shop.tenant, changes: there, seen: 10 }]);
    await rollBack(shop, done.snapshot_id);
    const back = {
      [`${shop.schema}.items`]: { inserts: 1, updates: 2, deletes: 3 },
      [`${shop.schema}.parts`]: { inserts: 0, updates: 0, deletes: 1 },
    };
    assert.deepEqual((await calls())[1], { hook: 'note', tenant: shop.tenant, changes: back, seen: 8 });
  });

  test('of a table has the counts of that table, and rests when it did not change', async () => {
    const shop = await newShop();
    await client.query(`select m23.set_after_restore('items', 'note(text, jsonb)')`);
    const at = await now();
    await client.query('delete from parts');
    await restore(shop, at);
    assert.deepEqual(await calls(), []);
    await client.query('delete from parts; delete from items where id = 1');
    await restore(shop, at);
    assert.deepEqual(await calls(), [
      {
        hook: 'note',
        tenant: shop.tenant,
        changes: { [`${shop.schema}.items`]: { inserts: 1, updates: 0, deletes: 0 } },
        seen: 10,
      },
    ]);
  });

  test('of one tenant rests for the others, and one that was dropped rests', async () => {
    const shop = await newShop();
    await client.query(
      `select m23.set_after_restore('items', 'note(text, jsonb)', $1), m23.set_after_restore(null, 'note(text, jsonb)')`,
      [randomUUID()],
    );
    await client.query(`select m23.drop_after_restore(null, 'note(text, jsonb)')`);
    const at = await now();
    await client.query(`update items set name = 'x'`);
    assert.equal((await restore(shop, at)).rows_restored, 10);
    assert.deepEqual(await calls(), []);
    await assert.rejects(
      client.query(`select m23.drop_after_restore(null, 'note(text, jsonb)')`),
      /is no such after_restore hook/,
    );
  });

  test('rests in a preview, when nothing changes, and for a copy', async () => {
    const shop = await newShop();
    await client.query(`select m23.set_after_restore(null, 'note(text, jsonb)')`);
    const at = await now();
    assert.equal((await restore(shop, at)).rows_restored, 0);
    await client.query(`update items set name = 'x'`);
    await preview(shop, at);
    await copy(shop, `${shop.schema}_copy`);
    assert.deepEqual(await calls(), []);
  });

  test('writes with triggers live, and what it writes is captured', async () => {
    const shop = await newShop();
    await client.query(`insert into counters values ('${shop.tenant}', 10);
      create function recount(tenant text, changes jsonb) returns void language sql set search_path = ${shop.schema} as
        $$ update counters set items = (select count(*) from items where tenant_id::text = tenant) where tenant_id::text = tenant $$;
      create function fired() returns trigger language plpgsql as $$ begin insert into ${shop.schema}.calls (hook) values ('trigger'); return null; end $$;
      create trigger fired after update on counters for each row execute function fired();
      select m23.set_after_restore('items', 'recount(text, jsonb)')`);
    const at = await now();
    await client.query('delete from items where id > 5');
    const done = await restore(shop, at);
    assert.equal(await one('select items::int as value from counters'), 10);
    assert.equal(await one(`select count(*)::int as value from calls where hook = 'trigger'`), 1);
    assert.equal(
      await one(`select count(*)::int as value from transaction_logs where table_name = $1 and operation = 'UPDATE'`, [
        `${shop.schema}.counters`,
      ]),
      1,
    );
    await rollBack(shop, done.snapshot_id);
    assert.equal(await one('select items::int as value from counters'), 5, 'the rollback calls it as well');
  });

  const FAILURES: Record<string, string> = {
    'that raises': `raise exception 'the secret %', tenant`,
    'whose assertion fails': `assert false, 'the secret'`,
    'that refuses in words of its own': `perform m23.refuse('VALIDATION_FAILED', 'the secret')`,
    'that leaves a deferred constraint broken': `insert into waits values (1, 7)`,
  };
  for (const [rule, body] of Object.entries(FAILURES)) {
    test(`${rule} takes the whole restore back and is named, and its message is not told`, async () => {
      const shop = await newShop();
      await client.query(`create table waits (id int primary key, up int references waits deferrable initially deferred);
        create function broken(tenant text, changes jsonb) returns void language plpgsql set search_path = ${shop.schema} as $$ begin ${body}; end $$;
        select m23.set_after_restore(null, 'note(text, jsonb)'), m23.set_after_restore(null, 'broken(text, jsonb)')`);
      const at = await now();
      await client.query(`update items set name = 'x'`);
      const work = await begin(shop, at);
      const { error } = await execute(work);
      assert.equal(error?.code, 'UNAVAILABLE');
      assert.match(error?.message ?? '', new RegExp(`${shop.schema}\\.broken`));
      assert.doesNotMatch(JSON.stringify(error), /secret|waits/);
      assert.equal(await one(`select count(*)::int as value from items where name = 'x'`), 10);
      assert.deepEqual(await calls(), []);
      assert.equal(
        await one('select status as value from public.restore_logs where id = $1', [work.work_id]),
        'failed',
      );
    });
  }

  test('whose function is gone refuses the restore until it is there again, and the doctor says so', async () => {
    const shop = await newShop();
    await client.query(`select m23.set_after_restore(null, 'note(text, jsonb)'); drop function note(text, jsonb)`);
    const at = await now();
    await client.query('delete from parts');
    assert.match((await restore(shop, at)).error?.message ?? '', /note failed/);
    assert.equal((await findings(`hook ${shop.schema}.note`))[0]?.state, 'problem');
    await client.query('create function note(tenant text, changes jsonb) returns int language sql as $$ select 1 $$');
    assert.equal((await restore(shop, at)).error, undefined);
    assert.equal((await findings(`hook ${shop.schema}.note`))[0]?.state, 'ok');
    await client.query(`select m23.drop_after_restore(null, 'note(text, jsonb)')`);
  });

  test('that meets a row somebody holds tries again', async () => {
    const shop = await newShop();
    await client.query(`create table totals (id int primary key, n int); insert into totals values (1, 0);
      create function total(tenant text, changes jsonb) returns void language sql set search_path = ${shop.schema} as 'update totals set n = n + 1';
      select m23.set_after_restore(null, 'total(text, jsonb)')`);
    const at = await now();
    await client.query('delete from parts');
    const other = await postgres.connect();
    await other.query(`begin; update ${shop.schema}.totals set n = 10`);
    const work = await begin(shop, at);
    const restoring = execute(work);
    await other.query('select pg_sleep(0.2)');
    await other.query('commit');
    await other.end();
    assert.equal((await restoring).error, undefined);
    assert.equal(await one('select n as value from totals'), 11);
  });

  test('is set by an administrator, with the right arguments, for a protected table, and nobody below M23 can exchange it', async () => {
    const shop = await newShop();
    await client.query(`create function wrong(changes jsonb) returns void language sql as ''; create procedure proc(tenant text, changes jsonb) language sql as '';
      create role lesser_${shop.schema}; create function theirs(tenant text, changes jsonb) returns void language sql as ''; alter function theirs owner to lesser_${shop.schema}`);
    const refused = async (sql: string, expected: RegExp): Promise<void> =>
      await assert.rejects(client.query(sql), expected);
    await refused(`select m23.set_after_restore(null, 'wrong(jsonb)')`, /arguments \(tenant text, changes jsonb\)/);
    await refused(`select m23.set_after_restore(null, 'proc(text, jsonb)')`, /is not a plain function/);
    await refused(`select m23.set_after_restore('calls', 'note(text, jsonb)')`, /is not protected/);
    await refused(`select m23.set_after_restore(null, 'theirs(text, jsonb)')`, /make it SECURITY DEFINER/);
    await client.query(
      `alter function theirs security definer; select m23.set_after_restore(null, 'theirs(text, jsonb)'), m23.drop_after_restore(null, 'theirs(text, jsonb)')`,
    );
    for (const role of ['authenticated', 'service_role']) {
      await client.query(`set role ${role}`);
      await refused(`select m23.set_after_restore(null, '${shop.schema}.note(text, jsonb)')`, /permission denied/);
      await client.query('reset role');
    }
  });
});

describe('a copy', () => {
  test('is noted with its expiry, listed by the doctor, and dropped by one call of an owner', async () => {
    const shop = await newShop();
    const name = `${shop.schema}_copy`;
    const id = await copy(shop, name);
    assert.equal(
      await one(
        `select expires_at between clock_timestamp() + interval '6 days 23 hours' and clock_timestamp() + interval '7 days' as value from m23.copies where restore_log_id = $1`,
        [id],
      ),
      true,
    );
    assert.equal(
      await one(`select metadata -> 'copy' ? 'expires_at' as value from restore_logs where id = $1`, [id]),
      true,
    );
    const [finding] = await findings(`copy ${name}`);
    assert.equal(finding?.state, 'ok');
    assert.match(finding?.finding ?? '', new RegExp(`${shop.tenant}, expires 20`));
    await client.query(`delete from ${name}.items where id < 5; update ${name}.items set name = repeat('long', 10000); insert into ${name}.items values (99, '${shop.tenant}', 'new');
      truncate ${name}.items; analyze ${name}.items`);
    assert.deepEqual(await drop(id), { dropped: true, schema: name, kept_by: [] });
    assert.equal(await schemaExists(name), false);
    assert.equal(
      await one(`select metadata -> 'copy' ? 'dropped_at' as value from restore_logs where id = $1`, [id]),
      true,
    );
    assert.deepEqual(await findings(`copy ${name}`), []);
    await assert.rejects(drop(id), /no such copy/);
  });

  test('is not dropped by a viewer, and looks like no copy to a stranger', async () => {
    const shop = await newShop();
    const id = await copy(shop, `${shop.schema}_copy`);
    await as(shop.viewer);
    await assert.rejects(drop(id), /INSUFFICIENT_PERMISSIONS/);
    await as((await newShop()).owner);
    const refusals = await Promise.all([id, randomUUID()].map((log) => drop(log).then(() => '', String)));
    assert.equal(refusals[0], refusals[1]);
    assert.match(refusals[0] ?? '', /no such copy in this tenant/);
  });

  test('goes when it has expired, and not before', async () => {
    const shop = await newShop();
    const [early, late] = [`${shop.schema}_early`, `${shop.schema}_late`];
    await client.query(`update m23.settings set value = '0' where name = 'copy_days'`);
    await copy(shop, early);
    await client.query(`update m23.settings set value = '7' where name = 'copy_days'`);
    await copy(shop, late);
    assert.equal((await one<{ copies: number }>('select m23_sweep() as value')).copies, 1);
    assert.deepEqual([await schemaExists(early), await schemaExists(late)], [false, true]);
  });

  const ADDITIONS: Record<string, [string, RegExp]> = {
    'a table in it': ['create table COPY.mine (id int)', /table .*\.mine/],
    'a function in it': ['create function COPY.f() returns int language sql as $$ select 1 $$', /function .*\.f\(\)/],
    'a view elsewhere': ['create view from_copy as select * from COPY.items', /view .*\.from_copy/],
    'a column': ['alter table COPY.items add column note text', /column note of table/],
    'an index': ['create index mine on COPY.items (name)', /index .*\.mine/],
    'a policy': ['create policy mine on COPY.items using (true)', /policy mine/],
    'a foreign key from elsewhere': [
      'create table refers (item int references COPY.items)',
      /constraint refers_item_fkey/,
    ],
  };
  test('is kept by what somebody has added, which is named', async () => {
    const shop = await newShop();
    for (const [what, [sql, named]] of Object.entries(ADDITIONS)) {
      const name = `${shop.schema}_${randomUUID().slice(0, 8)}`;
      const id = await copy(shop, name);
      await client.query(`set search_path = ${shop.schema}`);
      await client.query(sql.replace('COPY', name));
      await client.query(`update m23.copies set expires_at = clock_timestamp() where restore_log_id = $1`, [id]);
      await client.query('select public.m23_sweep()');
      await client.query(`set search_path = ${shop.schema}, public`);
      const kept = await drop(id);
      assert.equal(kept.dropped, false, what);
      assert.match(kept.kept_by.join(), named, what);
      assert.equal(await one(`select count(*)::int as value from ${name}.items`), 10, what);
      const [finding] = await findings(`copy ${name}`);
      assert.equal(finding?.state, 'warning');
      assert.match(finding?.finding ?? '', named);
      await client.query(`drop schema ${name} cascade`);
      await client.query('drop table if exists refers');
      assert.equal((await drop(id)).dropped, true, 'a copy that is gone is forgotten');
    }
  });

  test('in a schema that was there takes its tables with it, and leaves the schema', async () => {
    const shop = await newShop();
    await client.query('create schema was_there');
    const id = await copy(shop, 'was_there');
    assert.equal((await drop(id)).dropped, true);
    assert.equal(await schemaExists('was_there'), true);
    assert.equal(await one(`select to_regclass('was_there.items') is null as value`), true);
  });

  test('that somebody is reading is dropped later', async () => {
    const shop = await newShop();
    const name = `${shop.schema}_copy`;
    const id = await copy(shop, name);
    const reader = await postgres.connect();
    await reader.query(`begin; select * from ${name}.items`);
    assert.deepEqual(await drop(id), { dropped: false, schema: name, kept_by: ['somebody is using it'] });
    await reader.end();
    assert.equal((await drop(id)).dropped, true);
  });
});

describe('a snapshot', () => {
  test('lasts as many days as the setting says', async () => {
    const shop = await newShop();
    await client.query(`update m23.settings set value = '3' where name = 'snapshot_days'`);
    const id = await one('select create_pitr_snapshot($1, $2, null, $3) as value', [
      shop.tenant,
      'three days',
      shop.owner,
    ]);
    await client.query(`update m23.settings set value = '30' where name = 'snapshot_days'`);
    assert.equal(
      await one(
        'select round(extract(epoch from expires_at - created_at) / 86400)::int as value from pitr_snapshots where id = $1',
        [id],
      ),
      3,
    );
  });

  test('that has expired cannot be rolled back to, before it is swept and after', async () => {
    const shop = await newShop();
    const snapshot = (name: string): Promise<string> =>
      one('select create_pitr_snapshot($1, $2, $3, $4) as value', [
        shop.tenant,
        name,
        [`${shop.schema}.items`],
        shop.owner,
      ]);
    const [id, kept] = [await snapshot('old'), await snapshot('new')];
    await client.query(`update pitr_snapshots set expires_at = clock_timestamp() where id = $1`, [id]);
    const active = async (): Promise<string[]> =>
      (
        await client.query<{ snapshot_id: string }>('select snapshot_id from get_active_pitr_snapshots($1)', [
          shop.tenant,
        ])
      ).rows.map((row) => row.snapshot_id);
    for (const status of ['active', 'expired']) {
      assert.equal(await one('select status as value from pitr_snapshots where id = $1', [id]), status);
      assert.deepEqual(await active(), [kept]);
      await assert.rejects(rollBack(shop, id), /SNAPSHOT_NOT_FOUND/);
      await assert.rejects(
        client.query('select execute_pitr_rollback($1, $2)', [id, shop.owner]),
        /SNAPSHOT_NOT_FOUND/,
      );
      await client.query('select m23_sweep()');
    }
    assert.equal((await rollBack(shop, kept)).error, undefined);
  });
});

describe('a tenant that is forgotten', () => {
  interface Forgotten {
    removed: Record<string, number>;
    archives: { prefix: string; note: string };
  }
  const forget = (tenant: string): Promise<Forgotten> => one('select m23.forget_tenant($1) as value', [tenant]);

  test('is forgotten by the service key alone, where it is asked for by RPC', async () => {
    const shop = await newShop();
    for (const [role, claims] of [
      ['authenticated', { sub: shop.owner, role: 'authenticated' }],
      ['anon', { role: 'anon' }],
    ] as const) {
      await client.query(`select set_config('request.jwt.claims', $1, false)`, [JSON.stringify(claims)]);
      await client.query(`set role ${role}`);
      await assert.rejects(
        one('select public.forget_tenant($1) as value', [shop.tenant]),
        /permission denied for function forget_tenant/,
      );
    }
    await client.query(`select set_config('request.jwt.claims', '{"role": "service_role"}', false)`);
    await client.query('reset role; set role service_role');
    await assert.rejects(
      one('select public.forget_tenant(null) as value'),
      /VALIDATION_FAILED.*p_tenant_id: is required/s,
    );
    assert.equal(
      (await one<Forgotten>('select public.forget_tenant($1) as value', [shop.tenant])).archives.prefix,
      `tenants/${shop.tenant}/`,
    );
    await client.query('reset role');
    await client.query(
      `insert into m23.restore_work (work_id, tenant_id, kind) values (gen_random_uuid(), $1, 'rollback')`,
      [shop.tenant],
    );
    await client.query(
      `insert into m23.leases (work_id, token, until) select work_id, gen_random_uuid(), clock_timestamp() + interval '1 hour' from m23.restore_work where tenant_id = $1`,
      [shop.tenant],
    );
    await assert.rejects(
      one('select public.forget_tenant($1) as value', [shop.tenant]),
      /UNAVAILABLE.*a restore or rollback of this tenant is running; nothing was removed/s,
    );
    await client.query('delete from m23.restore_work where tenant_id = $1', [shop.tenant]);
  });

  /** How many rows each table of M23 has of a tenant. */
  async function kept(tenant: string): Promise<Record<string, number>> {
    const { rows } = await client.query<{
      name: string;
    }>(`select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
      where c.relkind in ('r', 'p') and not exists (select from pg_inherits i where i.inhrelid = c.oid) and n.nspname in ('m23', 'm23_log', 'public') order by 1`);
    const found: Record<string, number> = {};
    for (const { name } of rows) {
      const count = await one<number>(`select count(*)::int as value from ${name} where tenant_id = $1`, [tenant]);
      if (count > 0) found[name] = count;
    }
    return found;
  }

  /** A tenant with something of every kind. */
  async function used(): Promise<Shop> {
    const shop = await newShop();
    const at = await now();
    await client.query('delete from parts');
    await preview(shop, at);
    await rollBack(shop, (await restore(shop, at)).snapshot_id);
    await copy(shop, `${shop.schema}_copy`);
    await client.query(
      `select create_pitr_snapshot($1, 'manual', array[$3], $2, (select max(id::text)::uuid from restore_logs where tenant_id = $1))`,
      [shop.tenant, shop.owner, `${shop.schema}.items`],
    );
    await client.query(`insert into dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency) values ('${shop.tenant}', 'p', 1, 1, 'daily', 'daily');
      insert into recovery_tests (tenant_id, dr_plan_id, backup_job_id, test_name, test_type, validation_level)
        select '${shop.tenant}', p.id, b.id, 't', 'manual', 'basic' from dr_plans p, backup_jobs b where p.tenant_id = '${shop.tenant}' and b.tenant_id = p.tenant_id;
      insert into health_snapshots (tenant_id, score, parts) values ('${shop.tenant}', 1, '{}');
      select m23.set_after_restore(null, 'note(text, jsonb)', '${shop.tenant}')`);
    return shop;
  }

  test('leaves nothing but memberships and live rows; others keep everything; the counts are given', async () => {
    const other = await used();
    const shop = await used();
    await client.query(
      `insert into backup_jobs (tenant_id, backup_name, job_type, base_backup_id) select '${other.tenant}', 'x', 'incremental', id from backup_jobs where tenant_id = '${shop.tenant}'`,
    );
    const others = await kept(other.tenant);
    const had = await kept(shop.tenant);
    const kinds = [
      'm23.after_restore_hooks',
      'm23.backup_work',
      'm23.copies',
      'm23.previews',
      'm23.requests',
      'public.backup_jobs',
      'public.dr_plans',
      'public.health_snapshots',
      'public.pitr_rollbacks',
      'public.pitr_snapshots',
      'public.recovery_tests',
      'public.restore_logs',
    ];
    assert.deepEqual(
      kinds.filter((kind) => had[kind] === undefined),
      [],
      'there is something of every kind',
    );
    const { removed, archives } = await forget(shop.tenant);
    assert.deepEqual(await kept(shop.tenant), { 'm23.forgotten': 1, 'public.tenant_members': 2 });
    assert.deepEqual(await kept(other.tenant), others);
    for (const kind of kinds) assert.equal(removed[kind.split('.')[1]!], had[kind], kind);
    assert.equal(
      removed['log'],
      Object.entries(had).reduce((sum, [name, count]) => (name.startsWith('m23_log.') ? sum + count : sum), 0),
    );
    assert.equal(await schemaExists(`${shop.schema}_copy`), false);
    assert.equal(await one('select count(*)::int as value from items'), 10);
    assert.equal(archives.prefix, `tenants/${shop.tenant}/`);
    assert.match(archives.note, /not removed by the database/);
    assert.equal(
      await one(
        `select count(*)::int as value from m23.backup_tables t where not exists (select from backup_jobs j where j.id = t.job_id)`,
      ),
      0,
    );
    const again = await forget(shop.tenant);
    assert.deepEqual(
      Object.values(again.removed).filter((count) => count > 0),
      [],
      'twice is as once',
    );
  });

  test('has no earlier moment to go back to, rather than a wrong one, and a new history', async () => {
    const shop = await newShop();
    await client.query(`update items set name = 'first'`);
    const early = await now();
    const {
      rows: [at],
    } = await client.query<{ p: string }>('select m23.current_position()::text as p');
    await client.query(`update items set name = 'second'`);
    await forget(shop.tenant);
    const late = await now();
    await client.query(`update items set name = 'third'`);
    await assert.rejects(
      begin(shop, early),
      /VALIDATION_FAILED.*targetTimestamp: is before the history begins .*the tenant was forgotten.*it can be from/s,
    );
    await assert.rejects(preview(shop, early), /the tenant was forgotten/);
    for (const [sql, value] of [
      ['calculate_pitr_stats($1, $2)', [shop.tenant, early]],
      ['calculate_pitr_stats($1, clock_timestamp(), $2)', [shop.tenant, early]],
      ['get_rows_as_of($1, $2)', [`${shop.schema}.items`, early]],
      ['m23.as_of(null::items, $1, $2::timestamptz)', [shop.tenant, early]],
      ['m23.as_of(null::items, $1, $2::pg_snapshot)', [shop.tenant, at!.p]],
    ] as const) {
      await assert.rejects(
        client.query(`select ${sql}`, [...value]),
        /the tenant was forgotten|the history of this tenant begins at/,
        sql,
      );
    }
    assert.equal(
      await one(
        `select bool_and(earliest > $2::timestamptz and earliest <= $3::timestamptz) as value from get_recovery_window($1)`,
        [shop.tenant, early, late],
      ),
      true,
    );
    assert.equal((await restore(shop, late)).rows_restored, 10);
    assert.equal(await one(`select count(*)::int as value from items where name = 'second'`), 10);
    const neighbour = await newShop();
    const theirs = await now();
    await client.query(`update items set name = 'x'`);
    await forget(shop.tenant);
    await as(neighbour.owner);
    assert.equal((await restore(neighbour, theirs)).rows_restored, 10, 'others go back as far as ever');
  });

  test('cannot be one whose restore or backup is running', async () => {
    const shop = await newShop();
    const work = await begin(shop, await now());
    await assert.rejects(forget(shop.tenant), /a restore or rollback of this tenant is running/);
    await execute(work);
    await client.query('select m23_begin_backup($1, $2)', [await request(shop, 'backup-create'), { jobType: 'full' }]);
    await assert.rejects(forget(shop.tenant), /a backup of this tenant is running/);
    assert.notDeepEqual(await kept(shop.tenant), {});
    await client.query(`select m23.fail_backup(id, 'stopped') from backup_jobs where tenant_id = $1`, [shop.tenant]);
    assert.equal((await forget(shop.tenant)).removed['backup_jobs'], 1);
  });

  test('waits for those who write, so that nothing is logged behind its back', async () => {
    const shop = await newShop();
    const writer = await postgres.connect();
    await writer.query(`begin; update ${shop.schema}.items set name = 'late'`);
    const forgetting = forget(shop.tenant);
    await writer.query('select pg_sleep(0.2)');
    await writer.query('commit');
    await writer.end();
    assert.ok(((await forgetting).removed['log'] ?? 0) >= 21);
    assert.deepEqual(await kept(shop.tenant), { 'm23.forgotten': 1, 'public.tenant_members': 2 });
  });

  test('keeps everything when a copy of it cannot be dropped, and says which', async () => {
    const shop = await newShop();
    const name = `${shop.schema}_copy`;
    await copy(shop, name);
    await client.query(`create table ${name}.mine (id int)`);
    const had = await kept(shop.tenant);
    await assert.rejects(
      forget(shop.tenant),
      new RegExp(`the copy "${name}" of this tenant cannot be dropped: .*mine`),
    );
    assert.deepEqual(await kept(shop.tenant), had);
  });

  test('is forgotten by the service key, and not by its members', async () => {
    const shop = await newShop();
    await client.query('set role authenticated');
    await assert.rejects(forget(shop.tenant), /permission denied/);
    await client.query('reset role');
    await client.query('set role service_role');
    assert.ok((await forget(shop.tenant)).archives);
    await client.query('reset role');
  });
});
