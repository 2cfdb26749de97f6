// A restore from an archive makes the tables what they were, writes only what differs, and touches nobody else.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';

import { rowTexts } from '../fixtures/database.ts';
import { backUp, call, lastRestore, type Reply, refusal, restore, restored } from '../fixtures/functions.ts';
import { AUDITED, damage, placesOf, placesOfOthers, type Rows, rowsOf, SHOP, stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { assertWarned, leftAlone, skipped } from '../fixtures/warnings.ts';

const { stack, client, now } = await openShopStack();

before(async () => {
  await client.query(readFileSync(new URL('../fixtures/samples.sql', import.meta.url), 'utf8'));
  await stock(client, await newTenant(stack, client));
});

interface BackedUp {
  tenant: Tenant;
  backup: string;
  /** Its rows at the backup. */
  wanted: Rows;
}

/** A tenant of the test's own with a stocked shop and a backup of it. */
async function backedUp(tables?: string[]): Promise<BackedUp> {
  const tenant = await newTenant(stack, client);
  await stock(client, tenant);
  const wanted = await rowsOf(client, tenant);
  return {
    tenant,
    wanted,
    backup: await backUp(stack, client, tenant, { jobType: 'full', ...(tables === undefined ? {} : { tables }) }),
  };
}

/** How many rows differ between two states: gone, new or changed, by their key (what stands first in a row). */
function difference(from: Rows, to: Rows, keyLength: Record<string, number>): number {
  let count = 0;
  for (const table of Object.keys(from)) {
    const byKey = (rows: string[]): Map<string, string> =>
      new Map(rows.map((row) => [row.split(',').slice(0, keyLength[table]).join(), row]));
    const [before, after] = [byKey(from[table] ?? []), byKey(to[table] ?? [])];
    for (const key of new Set([...before.keys(), ...after.keys()])) if (before.get(key) !== after.get(key)) count += 1;
  }
  return count;
}

const KEYS = { 'shop.accounts': 1, 'shop.orders': 1, 'shop."Line Items"': 2 };

/** Every foreign key of the shop is made anew, which checks every row. */
async function assertForeignKeysHold(): Promise<void> {
  await client.query('begin');
  const { rows } = await client.query<{ owner: string; name: string; definition: string }>(`
    select conrelid::regclass::text as owner, quote_ident(conname) as name, pg_get_constraintdef(oid) as definition
      from pg_constraint where contype = 'f' and connamespace = 'shop'::regnamespace`);
  assert.ok(rows.length >= 3);
  for (const { owner, name, definition } of rows) {
    await client.query(
      `alter table ${owner} drop constraint ${name}; alter table ${owner} add constraint ${name} ${definition}`,
    );
  }
  await client.query('rollback');
}

async function one<T>(sql: string, ...values: unknown[]): Promise<T> {
  const {
    rows: [row],
  } = await client.query<{ value: T }>(sql, values);
  assert.ok(row);
  return row.value;
}

describe('a restore', () => {
  test('makes all tables what they were, and touches nobody else', async () => {
    const { tenant, backup, wanted } = await backedUp();
    await damage(client, tenant);
    const damaged = await rowsOf(client, tenant);
    const others = await placesOfOthers(client, tenant);
    const answer = await restored(stack, tenant, backup);
    assert.deepEqual(await rowsOf(client, tenant), wanted);
    assert.deepEqual(await placesOfOthers(client, tenant), others);
    assert.equal(answer['rowsRestored'], difference(damaged, wanted, KEYS), 'net row changes');
    assert.deepEqual(answer['warnings'], AUDITED);
    assert.equal(typeof answer['duration'], 'number');
    assert.deepEqual(
      (answer['restoredTables'] as string[]).filter((name) => name.startsWith('shop.')),
      ['shop.Line Items', 'shop.accounts', 'shop.orders', 'shop.samples'],
    );
    await assertForeignKeysHold();
    assert.equal((await restored(stack, tenant, backup))['rowsRestored'], 0, 'the second finds nothing to do');
  });

  test('writes only the difference', async () => {
    const { tenant, backup } = await backedUp();
    await client.query('update shop.orders set note = $2 where tenant_id = $1 and place % 5 = 3', [
      tenant.id,
      'changed',
    ]);
    const before = await placesOf(client, tenant);
    const answer = await restored(stack, tenant, backup);
    assert.equal(answer['rowsRestored'], 4);
    const now = await placesOf(client, tenant);
    assert.deepEqual(now['shop.accounts'], before['shop.accounts']);
    assert.deepEqual(now['shop."Line Items"'], before['shop."Line Items"']);
    const kept = now['shop.orders']?.filter((row) => before['shop.orders']?.includes(row));
    assert.equal(kept?.length, 16, 'of twenty orders, sixteen lie where they lay');
  });

  test('that has nothing to do writes nothing', async () => {
    const { tenant, backup } = await backedUp();
    const before = await placesOf(client, tenant);
    assert.equal((await restored(stack, tenant, backup))['rowsRestored'], 0);
    assert.deepEqual(await placesOf(client, tenant), before);
  });

  test('brings every value of every type back exactly', async () => {
    const tenant = await newTenant(stack, client);
    const other = await newTenant(stack, client);
    await client.query('select shop.fill_samples($1), shop.fill_samples($2)', [tenant.id, other.id]);
    const images = (of: Tenant): Promise<string[]> =>
      one(
        `select array_agg(encode(record_send(t), 'hex') order by part) as value from shop.samples t where tenant_id = $1`,
        of.id,
      );
    const [wanted, theirs] = [await images(tenant), await images(other)];
    const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: ['shop.samples'] });
    const columns = await one<string[]>(`select array_agg(quote_ident(attname)) as value from pg_attribute
      where attrelid = 'shop.samples'::regclass and attnum > 3 and not attisdropped and attgenerated = ''`);

    for (const column of columns) {
      const { rowCount } = await client.query(
        `update shop.samples set ${column} = null where tenant_id = $1 and ${column} is not null`,
        [tenant.id],
      );
      assert.equal((await restored(stack, tenant, backup))['rowsRestored'], rowCount, column);
    }
    assert.deepEqual(await images(tenant), wanted, 'updated back');
    await client.query('delete from shop.samples where tenant_id = $1', [tenant.id]);
    await restored(stack, tenant, backup);
    assert.deepEqual(await images(tenant), wanted, 'inserted back');
    await restored(stack, tenant, backup, { targetSchema: 'sample_copy' });
    const copied = await one<string[]>(
      `select array_agg(encode(record_send(t), 'hex') order by part) as value from sample_copy.samples t`,
    );
    assert.deepEqual(copied, wanted, 'copied beside');
    assert.deepEqual(await images(other), theirs);
  });

  test('sees a difference that equality does not', async () => {
    const tenant = await newTenant(stack, client);
    await client.query('select shop.fill_samples($1)', [tenant.id]);
    const image = (): Promise<string> =>
      one(
        `select string_agg(encode(record_send(t), 'hex'), '' order by part) as value from shop.samples t where tenant_id = $1`,
        tenant.id,
      );
    const wanted = await image();
    const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: ['shop.samples'] });
    await client.query(
      `update shop.samples set a_numeric = 1.00, a_double = '0', a_json = '{"b":1, "a":3}', texts = array['a', null], percent = 0.5 where tenant_id = $1 and part = 1`,
      [tenant.id],
    );
    assert.notEqual(await image(), wanted);
    assert.equal((await restored(stack, tenant, backup))['rowsRestored'], 1);
    assert.equal(await image(), wanted);
  });

  test('of a tenant that had no rows takes the strays away', async () => {
    const tenant = await newTenant(stack, client);
    const backup = await backUp(stack, client, tenant);
    await stock(client, tenant);
    await restored(stack, tenant, backup);
    assert.deepEqual(Object.values(await rowsOf(client, tenant)).flat(), []);
  });

  test('brings back what a TRUNCATE has taken, for its own tenant only', async () => {
    await client.query(
      `create table shop.pages (id int primary key, tenant_id uuid not null); select m23.protect_table('shop.pages')`,
    );
    const [tenant, other] = [await newTenant(stack, client), await newTenant(stack, client)];
    await client.query(
      'insert into shop.pages select n, case n % 2 when 0 then $1::uuid else $2::uuid end from generate_series(1, 100) n',
      [tenant.id, other.id],
    );
    const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: ['shop.pages'] });
    await client.query('truncate shop.pages');
    assert.equal((await restored(stack, tenant, backup))['rowsRestored'], 50);
    assert.deepEqual(await one('select array_agg(distinct tenant_id) as value from shop.pages'), [tenant.id]);
  });

  test('with changed keys, swapped unique values and swapped keys', async () => {
    const { tenant, backup, wanted } = await backedUp();
    // One after the other, by way of a value that nobody has.
    await client.query(`update shop.orders set place = -1 where tenant_id = $1 and place = 101`, [tenant.id]);
    await client.query(`update shop.orders set place = 101 where tenant_id = $1 and place = 102`, [tenant.id]);
    await client.query(`update shop.orders set place = 102 where tenant_id = $1 and place = -1`, [tenant.id]);
    const code = (n: number): string => `${tenant.id}/${n}`;
    for (const [from, to] of [
      [code(1), 'free'],
      [code(2), code(1)],
      [code(3), code(2)],
      ['free', code(3)],
    ]) {
      await client.query('update shop.accounts set code = $2 where code = $1', [from, to]);
    }
    await client.query(
      `delete from shop."Line Items" where "orderId" in (select id from shop.orders where tenant_id = $1 and place = 405)`,
      [tenant.id],
    );
    await client.query(`update shop.orders set id = -id where tenant_id = $1 and place = 405`, [tenant.id]);
    await client.query(
      `update shop."Line Items" set line = case line when 1 then 3 else 4 end, amount = amount + 1 where tenant_id = $1`,
      [tenant.id],
    );
    assert.notDeepEqual((await rowsOf(client, tenant))['shop.accounts'], wanted['shop.accounts']);
    await restored(stack, tenant, backup);
    assert.deepEqual(await rowsOf(client, tenant), wanted);
    await assertForeignKeysHold();
  });

  test('leaves no sequence behind its rows, and moves none back', async () => {
    const { tenant, backup } = await backedUp();
    await client.query('delete from shop.orders where tenant_id = $1', [tenant.id]);
    const ahead = await one<string>(`select nextval('shop.accounts_id_seq') as value`);
    await client.query(`select setval('shop.orders_id_seq', 1)`);
    await restored(stack, tenant, backup);
    const top = await one<string>('select max(id) as value from shop.orders where tenant_id = $1', tenant.id);
    assert.ok(BigInt(await one<string>(`select nextval('shop.orders_id_seq') as value`)) > BigInt(top));
    assert.ok(BigInt(await one<string>(`select nextval('shop.accounts_id_seq') as value`)) > BigInt(ahead));
    await client.query(`select setval('shop.orders_id_seq', (select max(id) from shop.orders))`);
  });

  test('takes no value from the backup for a column that it does not have, nor for its sequence', async () => {
    await client.query(`create table shop.slips (id int primary key, tenant_id uuid not null);
      select m23.protect_table('shop.slips')`);
    const tenant = await newTenant(stack, client);
    await client.query('insert into shop.slips values (1, $1), (2, $1)', [tenant.id]);
    const backup = await backUp(stack, client, tenant);
    await client.query('alter table shop.slips add number int generated always as identity (start 7)');
    await client.query('delete from shop.slips where tenant_id = $1 and id = 2', [tenant.id]);
    await restored(stack, tenant, backup, { tables: ['shop.slips'] });
    assert.equal(await one('select number as value from shop.slips where id = 2'), 9);
  });

  test("keeps the application's triggers silent", async () => {
    const { tenant, backup } = await backedUp();
    await damage(client, tenant);
    const told = await one('select count(*) as value from shop.audit');
    await restored(stack, tenant, backup);
    assert.equal(await one('select count(*) as value from shop.audit'), told);
    await client.query('update shop.orders set note = note where tenant_id = $1 and place = 101', [tenant.id]);
    assert.notEqual(await one('select count(*) as value from shop.audit'), told, 'afterwards they fire as ever');
  });

  test('tells of triggers that fire all the same', async () => {
    await client.query(`create table shop.loud (id int primary key, tenant_id uuid not null);
      create trigger always_note after insert on shop.loud for each row execute function shop.note();
      alter table shop.loud enable always trigger always_note; select m23.protect_table('shop.loud')`);
    const tenant = await newTenant(stack, client);
    await client.query('insert into shop.loud values (1, $1)', [tenant.id]);
    const backup = await backUp(stack, client, tenant);
    await client.query('delete from shop.loud');
    const answer = await restored(stack, tenant, backup);
    assert.match((answer['warnings'] as string[]).join(), /^shop\.loud: .*always_note/);
    await client.query('drop table shop.loud');
  });

  test('names its snapshot, and its log row says what it did', async () => {
    const { tenant, backup } = await backedUp();
    await damage(client, tenant);
    const answer = await restored(stack, tenant, backup);
    const {
      rows: [snapshot],
    } = await client.query(
      'select snapshot_type, status, is_rolled_back, restore_log_id, created_by, affected_tables, expires_at > now() as open from public.pitr_snapshots where id = $1',
      [answer['snapshotId']],
    );
    assert.deepEqual(snapshot, {
      snapshot_type: 'pre_restore',
      status: 'active',
      is_rolled_back: false,
      restore_log_id: answer['restoreLogId'],
      created_by: tenant.userId('admin'),
      affected_tables: answer['restoredTables'],
      open: true,
    });
    const {
      rows: [log],
    } = await client.query(
      'select status, error_message, backup_job_id, snapshot_id, rows_restored::int, tables, created_by, tenant_id from public.restore_logs where id = $1',
      [answer['restoreLogId']],
    );
    assert.deepEqual(log, {
      status: 'completed',
      error_message: null,
      backup_job_id: backup,
      snapshot_id: answer['snapshotId'],
      rows_restored: answer['rowsRestored'],
      tables: answer['restoredTables'],
      created_by: tenant.userId('admin'),
      tenant_id: tenant.id,
    });
  });

  test("can itself be undone: the snapshot's position is just before it", async () => {
    const { tenant, backup } = await backedUp();
    await damage(client, tenant);
    const damaged = await rowsOf(client, tenant);
    const { snapshotId } = await restored(stack, tenant, backup);
    const position = await one<string>(
      `select snapshot_data ->> 'position' as value from public.pitr_snapshots where id = $1`,
      snapshotId,
    );
    for (const table of SHOP) {
      const { rows } = await client.query<{ row: string }>(
        `select t::text as row from m23.as_of(null::${table}, $1, $2::pg_snapshot) t order by 1`,
        [tenant.id, position],
      );
      assert.deepEqual(
        rows.map(({ row }) => row),
        damaged[table],
        table,
      );
    }
  });
});

describe('a trigger that fires always', () => {
  /** A restore of a changed row 1, a lost row 2 and a stray row 4, beside such a trigger; gives the rows after it. */
  async function restoredBeside(
    trigger: string,
    body: string,
  ): Promise<{ status: number; before: string[]; after: string[] }> {
    const tenant = await newTenant(stack, client);
    const rows = async (): Promise<string[]> =>
      (
        await client.query<{ row: string }>(
          "select concat_ws(':', id, note) as row from shop.meddled where tenant_id = $1 order by id",
          [tenant.id],
        )
      ).rows.map(({ row }) => row);
    await client.query(
      `create table shop.meddled (id int primary key, tenant_id uuid not null, note text); select m23.protect_table('shop.meddled')`,
    );
    await client.query(`insert into shop.meddled select n, $1, 'right' from generate_series(1, 3) n`, [tenant.id]);
    const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: ['shop.meddled'] });
    await client.query(
      `update shop.meddled set note = 'wrong' where id = 1; delete from shop.meddled where id = 2; insert into shop.meddled values (4, '${tenant.id}', 'stray')`,
    );
    await client.query(`create or replace function shop.meddle() returns trigger language plpgsql as $$ begin ${body} end $$;
      create trigger meddle ${trigger} on shop.meddled for each row when (pg_trigger_depth() = 0) execute function shop.meddle(); alter table shop.meddled enable always trigger meddle`);
    const before = await rows();
    const { status } = await restore(stack, tenant, backup);
    const ends = { status, before, after: await rows() };
    await client.query('drop table shop.meddled');
    return ends;
  }

  const wrong: [name: string, trigger: string, body: string][] = [
    ['changes the row that is updated', 'before update', `new.note := 'meddled'; return new;`],
    ['changes the row that is inserted', 'before insert', `new.note := 'meddled'; return new;`],
    ['keeps a row from being updated', 'before update', 'return null;'],
    ['keeps a row from being inserted', 'before insert', 'return null;'],
    ['keeps a row from being deleted', 'before delete', 'return null;'],
    [
      'changes a row that was right',
      'after update',
      `update shop.meddled set note = 'meddled' where id = 3; return null;`,
    ],
    [
      'changes a row that has been written',
      'after insert',
      `update shop.meddled set note = 'meddled' where id = 1; return null;`,
    ],
    ['inserts a row', 'after update', `insert into shop.meddled values (5, new.tenant_id, 'meddled'); return null;`],
    ['deletes a row', 'after delete', `delete from shop.meddled where id = 3; return null;`],
  ];
  for (const [name, trigger, body] of wrong) {
    test(`and ${name} makes the restore fail, with nothing changed`, async () => {
      const { status, before, after } = await restoredBeside(trigger, body);
      assert.deepEqual([status, after], [500, before]);
    });
  }

  test('and changes a row and changes it back is no reason to fail', async () => {
    const { status, after } = await restoredBeside(
      'after update',
      `update shop.meddled set note = 'meddled' where id = 3; update shop.meddled set note = 'right' where id = 3; return null;`,
    );
    assert.deepEqual([status, after], [200, ['1:right', '2:right', '3:right']]);
  });

  test('and moves a row that is about to be written does not hide it', async () => {
    const { status, after } = await restoredBeside(
      'after delete',
      `update shop.meddled set note = 'moved' where id = 1; return null;`,
    );
    assert.deepEqual([status, after], [200, ['1:right', '2:right', '3:right']]);
  });
});

describe('a choice of tables', () => {
  test('is restored, and no other table', async () => {
    const { tenant, backup, wanted } = await backedUp();
    await client.query(`update shop.orders set note = 'x' where tenant_id = $1`, [tenant.id]);
    await client.query(`update shop."Line Items" set amount = 99 where tenant_id = $1`, [tenant.id]);
    await client.query(`update shop.accounts set balance = 7 where tenant_id = $1`, [tenant.id]);
    const before = await placesOf(client, tenant);
    const answer = await restored(stack, tenant, backup, { tables: ['shop.Line Items', 'shop.orders'] });
    assert.deepEqual(answer['restoredTables'], ['shop.Line Items', 'shop.orders']);
    const now = await rowsOf(client, tenant);
    assert.deepEqual(
      [now['shop.orders'], now['shop."Line Items"']],
      [wanted['shop.orders'], wanted['shop."Line Items"']],
    );
    assert.deepEqual((await placesOf(client, tenant))['shop.accounts'], before['shop.accounts']);
  });

  async function refused(tenant: Tenant, backup: string, tables: string[], ...named: RegExp[]): Promise<void> {
    const before = [await placesOf(client, tenant), await placesOfOthers(client, tenant)];
    const reply = await restore(stack, tenant, backup, { tables });
    assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
    for (const name of named) assert.match(reply.body.details?.join('\n') ?? '', name);
    for (const fault of reply.body.details ?? []) assert.match(fault, /^tables: /);
    assert.deepEqual(
      [await placesOf(client, tenant), await placesOfOthers(client, tenant)],
      before,
      'nothing has changed',
    );
    const log = await lastRestore(client, tenant);
    assert.equal(log?.status, 'failed');
    assert.match(log?.error_message ?? '', named[0] ?? /./);
  }

  test('that lacks the parents of its rows is refused, with the tables to add', async () => {
    const { tenant, backup, wanted } = await backedUp();
    await client.query('delete from shop.accounts where tenant_id = $1', [tenant.id]);
    await refused(tenant, backup, ['shop.orders', 'shop.Line Items'], /add "shop\.accounts"/);
    await refused(tenant, backup, ['shop.Line Items'], /add "shop\.orders"/);
    await restored(stack, tenant, backup, { tables: ['shop.orders', 'shop.Line Items', 'shop.accounts'] });
    assert.deepEqual(await rowsOf(client, tenant), wanted);
  });

  test('that would take rows from under others is refused, with the tables to add', async () => {
    const { tenant, backup, wanted } = await backedUp();
    const {
      rows: [account],
    } = await client.query(
      `insert into shop.accounts (tenant_id, code) values ($1::uuid, $1::text || '/new') returning id`,
      [tenant.id],
    );
    await client.query('insert into shop.orders (tenant_id, account_id, place) values ($1, $2, 1)', [
      tenant.id,
      account.id,
    ]);
    await refused(tenant, backup, ['shop.accounts'], /add "shop\.orders"/);
    await restored(stack, tenant, backup);
    assert.deepEqual(await rowsOf(client, tenant), wanted);
  });

  test('that would take rows from under a table that is not protected is refused, with its name', async () => {
    await client.query('create table shop.reviews (id int primary key, order_id bigint references shop.orders (id))');
    const { tenant, backup } = await backedUp();
    const {
      rows: [order],
    } = await client.query(
      'insert into shop.orders (tenant_id, account_id, place) select $1, max(id), 1 from shop.accounts where tenant_id = $1 returning id',
      [tenant.id],
    );
    await client.query('insert into shop.reviews values (1, $1)', [order.id]);
    await refused(
      tenant,
      backup,
      ['shop.accounts', 'shop.orders', 'shop.Line Items'],
      /"shop\.reviews" is not protected/,
    );
    await client.query('drop table shop.reviews');
  });
});

describe('a restore into a schema of its own', () => {
  test("has exactly the tenant's rows, and leaves live data alone", async () => {
    const { tenant, backup } = await backedUp();
    const images = (schema: string, where: string): Promise<string[]> =>
      one(`select array_agg(row order by row) as value from (
      select 'a' || t::text from ${schema}.accounts t ${where} union all select 'o' || t::text from ${schema}.orders t ${where} union all select 'l' || t::text from ${schema}."Line Items" t ${where}) x (row)`);
    const wanted = await images('shop', `where tenant_id = '${tenant.id}'`);
    await damage(client, tenant);
    const live = [await placesOf(client, tenant), await placesOfOthers(client, tenant)];
    const answer = await restored(stack, tenant, backup, {
      targetSchema: 'copy_1',
      tables: ['shop.accounts', 'shop.orders', 'shop.Line Items'],
    });
    assert.deepEqual(await images('copy_1', ''), wanted);
    assert.equal(answer['rowsRestored'], wanted.length);
    assert.equal(answer['snapshotId'], undefined, 'there is nothing to undo');
    assert.deepEqual([await placesOf(client, tenant), await placesOfOthers(client, tenant)], live);
    const again = await restore(stack, tenant, backup, { targetSchema: 'copy_1' });
    assert.deepEqual(refusal(again), [400, 'VALIDATION_FAILED'], 'it has content now');
  });

  test("is out of the API's reach", async () => {
    const { tenant, backup } = await backedUp();
    await restored(stack, tenant, backup, { targetSchema: 'Copy-2' });
    for (const role of ['anon', 'authenticated']) {
      assert.equal(await one(`select has_schema_privilege($1, 'Copy-2', 'usage') as value`, role), false);
    }
  });

  test('goes on counting after the rows, and the live tables from where they were', async () => {
    const { tenant, backup } = await backedUp();
    const places = (schema: string): Promise<string> => one(`select nextval('${schema}.orders_id_seq') as value`);
    const live = await places('shop');
    await restored(stack, tenant, backup, { targetSchema: 'copy_4' });
    assert.equal(await places('shop'), String(BigInt(live) + 1n));
    const top = await one<string>('select max(id) as value from copy_4.orders');
    assert.equal(await places('copy_4'), String(BigInt(top) + 1n));
  });

  test('takes one that is there and empty', async () => {
    const { tenant, backup } = await backedUp(['shop.orders']);
    await client.query('create schema copy_3');
    await restored(stack, tenant, backup, { targetSchema: 'copy_3' });
    assert.equal(await one('select count(*)::int as value from copy_3.orders'), 20);
  });
});

describe('what belongs to another tenant', () => {
  function warned(answer: Record<string, unknown>, ...expected: RegExp[]): void {
    assertWarned(answer['warnings'] as string[], ...expected);
  }

  test('now, as a key, is left alone and told of', async () => {
    const { tenant, backup, wanted } = await backedUp();
    const other = await newTenant(stack, client);
    await client.query('update shop.orders set tenant_id = $2, place = 1 where tenant_id = $1 and place = 101', [
      tenant.id,
      other.id,
    ]);
    await client.query('update shop.orders set note = null where tenant_id = $1', [tenant.id]);
    const others = await placesOfOthers(client, tenant);
    warned(await restored(stack, tenant, backup), leftAlone('shop.orders', 1));
    assert.deepEqual(await placesOfOthers(client, tenant), others);
    const now = await rowsOf(client, tenant);
    assert.equal(now['shop.orders']?.length, 19);
    assert.deepEqual(
      now['shop.orders'],
      wanted['shop.orders']?.filter((row) => !row.includes(',101,')),
    );
  });

  test('now, as a unique value, is left alone and told of', async () => {
    const { tenant, backup, wanted } = await backedUp();
    const other = await newTenant(stack, client);
    await client.query(`update shop.accounts set code = code || ' (old)', balance = 0 where tenant_id = $1`, [
      tenant.id,
    ]);
    await client.query(`insert into shop.accounts (tenant_id, code) values ($2, $1::text || '/3')`, [
      tenant.id,
      other.id,
    ]);
    const others = await placesOfOthers(client, tenant);
    warned(await restored(stack, tenant, backup), leftAlone('shop.accounts', 1));
    assert.deepEqual(await placesOfOthers(client, tenant), others);
    const now = await rowsOf(client, tenant);
    assert.deepEqual(
      now['shop.accounts']?.filter((row) => !row.includes('/3')),
      wanted['shop.accounts']?.filter((row) => !row.includes('/3')),
    );
    assert.equal(now['shop.accounts']?.length, 4, 'the row in question is as it was');
    await assertForeignKeysHold();
  });

  test('now, as a unique value that may be broken until the end of a transaction, is left alone and told of', async () => {
    await client.query(`create table shop.slots (id int primary key, tenant_id uuid not null, slot int unique deferrable initially deferred,
      during int4range, exclude using gist (during with &&) deferrable initially deferred); select m23.protect_table('shop.slots')`);
    const [tenant, other] = [await newTenant(stack, client), await newTenant(stack, client)];
    await client.query(`insert into shop.slots values (1, $1, 1, '[1,2)'), (2, $1, 2, '[2,3)'), (3, $1, 3, '[3,4)')`, [
      tenant.id,
    ]);
    const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: ['shop.slots'] });
    await client.query(
      `update shop.slots set slot = 5 - slot, during = int4range(20 + id, 21 + id) where id in (2, 3)`,
    );
    await client.query(`update shop.slots set slot = 100, during = null where id = 1`);
    await client.query(`insert into shop.slots values (4, $1, 1, null)`, [other.id]);
    warned(await restored(stack, tenant, backup), leftAlone('shop.slots', 1));
    assert.deepEqual(
      await one('select array_agg(slot order by id) as value from shop.slots'),
      [100, 2, 3, 1],
      'no slot twice',
    );
    await client.query(`update shop.slots set during = null where id in (2, 3)`);
    await client.query(`update shop.slots set during = '[2,9)' where id = 4`);
    const before = await placesOf(client, tenant, ['shop.slots']);
    warned(await restored(stack, tenant, backup), leftAlone('shop.slots', 3));
    assert.deepEqual(await placesOf(client, tenant, ['shop.slots']), before);
    await client.query('drop table shop.slots');
  });

  test("or to nobody, comes back from an archive where it has the tenant's key, and is told of", async () => {
    await client.query(
      `create table shop.loose (id int primary key, tenant_id uuid, v text unique); select m23.protect_table('shop.loose')`,
    );
    const tenant = await newTenant(stack, client);
    await client.query(`insert into shop.loose values (1, $1, 'a'), (2, $1, 'b')`, [tenant.id]);
    const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: ['shop.loose'] });
    await client.query(`update shop.loose set tenant_id = null, v = 'x' where id = 1; delete from shop.loose where id = 2;
      insert into shop.loose values (3, null, 'b')`);
    warned(
      await restored(stack, tenant, backup),
      leftAlone('shop.loose', 1),
      /^shop\.loose: 1 row\(s\) that had become nobody's .* were taken back/,
    );
    assert.deepEqual(await rowTexts(client, 'table shop.loose'), [`(1,${tenant.id},a)`, '(3,,b)']);
    await client.query('drop table shop.loose');
  });

  test('as a unique value of a row that others need, is left alone with all that hangs on it, and told of', async () => {
    const { tenant, backup, wanted } = await backedUp();
    const other = await newTenant(stack, client);
    await client.query('update shop.orders set follows = null where tenant_id = $1', [tenant.id]);
    await client.query(`delete from shop.accounts where tenant_id = $1 and code like '%/3'`, [tenant.id]);
    await client.query(`insert into shop.accounts (tenant_id, code) values ($2, $1::text || '/3')`, [
      tenant.id,
      other.id,
    ]);
    const others = await placesOfOthers(client, tenant);
    const reply = await restored(stack, tenant, backup);
    for (const table of ['shop.accounts: 1 row', 'shop.orders: ', 'shop.Line Items: 10 row']) {
      assert.ok(
        (reply['warnings'] as string[]).some((warning) => warning.startsWith(table) && warning.includes('left alone')),
        JSON.stringify(reply['warnings']),
      );
    }
    assert.deepEqual(await placesOfOthers(client, tenant), others);
    const now = await rowsOf(client, tenant);
    assert.deepEqual(
      now['shop.accounts'],
      wanted['shop.accounts']?.filter((row) => !row.includes('/3')),
      'whatever else can come back is back',
    );
  });

  test('before, and came since, is not deleted', async () => {
    const { tenant, backup, wanted } = await backedUp();
    const other = await newTenant(stack, client);
    await stock(client, other, 1);
    await client.query(
      'update shop.orders set tenant_id = $1, place = place + 5000 where tenant_id = $2 and place = 101',
      [tenant.id, other.id],
    );
    await client.query('update shop.orders set note = note || $2 where tenant_id = $1', [tenant.id, '!']);
    warned(await restored(stack, tenant, backup), leftAlone('shop.orders', 1));
    const now = await rowsOf(client, tenant);
    const strays = now['shop.orders']?.filter((row) => !wanted['shop.orders']?.includes(row));
    assert.equal(strays?.length, 1);
    assert.match(strays?.[0] ?? '', /,5101,"order 1!"\)$/);
  });
});

describe('a table whose shape has changed since', () => {
  test('gets back what both shapes share, and the rest is told of', async () => {
    await client.query(
      `create table shop.shapes (id int primary key, tenant_id uuid not null, kept text, dropped text, renamed text); select m23.protect_table('shop.shapes')`,
    );
    const tenant = await newTenant(stack, client);
    await client.query(`insert into shop.shapes values (1, $1, 'a', 'b', 'c'), (2, $1, 'd', 'e', 'f')`, [tenant.id]);
    const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: ['shop.shapes'] });
    await client.query(
      `alter table shop.shapes drop column dropped; alter table shop.shapes add column newer text default 'new'`,
    );
    await client.query(
      `update shop.shapes set kept = 'mangled', newer = 'mine' where id = 1; delete from shop.shapes where id = 2`,
    );
    const told = [
      'shop.shapes.dropped no longer exists; its values were left out',
      'shop.shapes.newer is newer than the backup; rows that are there keep theirs, and those that come back get its default',
    ];
    const seen = await call(stack, 'backup-restore', await tenant.token('admin'), {
      backupJobId: backup,
      dryRun: true,
      confirmRestore: true,
    });
    assert.deepEqual((seen.body['warnings'] as string[]).sort(), told, 'a dry run says what a restore would');
    const answer = await restored(stack, tenant, backup);
    assert.deepEqual((answer['warnings'] as string[]).sort(), told);
    assert.deepEqual(await one('select array_agg(s::text order by id) as value from shop.shapes s'), [
      `(1,${tenant.id},a,c,mine)`,
      `(2,${tenant.id},d,f,new)`,
    ]);
    await client.query('drop table shop.shapes');
  });

  test('gets back the values of renamed columns, by whatever names they have now', async () => {
    await client.query(
      `create table shop.shapes (id int primary key, tenant_id uuid not null, a text, b text, c text, gone text); select m23.protect_table('shop.shapes')`,
    );
    const tenant = await newTenant(stack, client);
    await client.query(`insert into shop.shapes values (1, $1, 'a', 'b', 'c', 'd'), (2, $1, 'e', 'f', 'g', 'h')`, [
      tenant.id,
    ]);
    const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: ['shop.shapes'] });
    await client.query(
      `alter table shop.shapes rename a to aa; alter table shop.shapes rename b to a; alter table shop.shapes drop gone; alter table shop.shapes rename c to gone`,
    );
    await client.query(
      `update shop.shapes set aa = '?', a = '?', gone = '?' where id = 1; delete from shop.shapes where id = 2`,
    );
    const answer = await restored(stack, tenant, backup);
    assert.deepEqual(answer['warnings'], ['shop.shapes.gone (as it was) no longer exists; its values were left out']);
    assert.deepEqual(await one('select array_agg(s::text order by id) as value from shop.shapes s'), [
      `(1,${tenant.id},a,b,c)`,
      `(2,${tenant.id},e,f,g)`,
    ]);
    await client.query('drop table shop.shapes');
  });
});

describe('a row that needs a user who was deleted since', () => {
  before(async () => {
    await client.query(`create schema desk;
      create table desk.memos (id int primary key, tenant_id uuid not null, v text,
        author uuid references auth.users on delete set null);
      create table desk.seats (id int primary key, tenant_id uuid not null,
        holder uuid not null references auth.users on delete cascade);
      select m23.protect_table('desk.memos'), m23.protect_table('desk.seats')`);
  });

  const TABLES = ['desk.memos', 'desk.seats'];

  /** A tenant whose user is deleted after the backup, and then memos are lost. */
  async function deserted(): Promise<{ tenant: Tenant; full: string; snapshot: string; at: string }> {
    const tenant = await newTenant(stack, client);
    const gone = tenant.userId('viewer');
    await client.query('delete from desk.memos; delete from desk.seats');
    await client.query('insert into auth.users (id) values ($1)', [gone]);
    await client.query(
      `with memos as (insert into desk.memos values (1, $1, 'a', $2), (2, $1, 'b', null), (3, $1, 'c', $2))
       insert into desk.seats values (1, $1, $2)`,
      [tenant.id, gone],
    );
    const full = await backUp(stack, client, tenant, { jobType: 'full', tables: TABLES });
    const snapshot = await backUp(stack, client, tenant, { jobType: 'snapshot', tables: TABLES });
    const at = await now();
    await client.query('delete from auth.users where id = $1', [gone]);
    await client.query(`delete from desk.memos where id = 1; update desk.memos set v = 'x' where id = 2`);
    return { tenant, full, snapshot, at };
  }

  const memos = (): Promise<string[]> => rowTexts(client, 'select id, v, author from desk.memos');
  const ask = async (tenant: Tenant, name: string, body: object): Promise<Reply> =>
    await call(stack, name, await tenant.token('admin'), body);

  test('refuses the restore by 409, unless the caller says what becomes of it', async () => {
    const { tenant, full, snapshot } = await deserted();
    const live = await memos();
    const reply = await restore(stack, tenant, full);
    assert.deepEqual(refusal(reply), [409, 'CONFLICT']);
    assert.match(
      String(reply.body.details),
      /desk\.memos\.author \(memos_author_fkey\): 2 row\(s\) of "desk\.memos" need rows of "auth\.users".* "auth\.users" is not protected: put them back first, or set onBlocked: "skip" .*; "null" sets author null/,
    );
    const look = await ask(tenant, 'backup-restore', { backupJobId: full, dryRun: true });
    assert.equal(look.status, 200);
    const { success: _, ...told } = reply.body;
    assert.deepEqual(look.body['wouldFail'], told, 'a dry run says the same');
    assert.deepEqual(await memos(), live, 'nothing was changed');
    const wrong = await restore(stack, tenant, full, { onBlocked: 'leave' });
    assert.deepEqual(refusal(wrong), [400, 'VALIDATION_FAILED']);
    assert.deepEqual(wrong.body.details, ['onBlocked: must be one of refuse, skip, null']);

    const skipping = { mode: 'missing_only', onBlocked: 'skip' };
    const skippedRows = await restored(stack, tenant, snapshot, skipping);
    assertWarned(skippedRows['warnings'] as string[], skipped('desk.memos', 1), skipped('desk.seats', 1));
    assert.deepEqual(await memos(), live);
  });

  test('is restored without the user by null, as its dry run says', async () => {
    const { tenant, full } = await deserted();
    const look = await ask(tenant, 'backup-restore', { backupJobId: full, dryRun: true, onBlocked: 'null' });
    const done = await restored(stack, tenant, full, { onBlocked: 'null', planHash: look.body['planHash'] });
    assert.deepEqual(done['warnings'], look.body['warnings']);
    assertWarned(
      done['warnings'] as string[],
      /^desk\.memos: 2 row\(s\) have no author: they need rows of "auth\.users" that are not there/,
      skipped('desk.seats', 1),
    );
    assert.equal(done['rowsRestored'], 2);
    assert.deepEqual(await memos(), ['(1,a,)', '(2,b,)', '(3,c,)']);
    await restored(stack, tenant, full, { targetSchema: 'desk_then' });
    assert.equal((await rowTexts(client, 'select from desk_then.memos where author is not null')).length, 2);
  });

  test('is so in pitr-restore, from the log and from the archive, and in pitr-rollback', async () => {
    const { tenant, full, at } = await deserted();
    const moment = { targetTimestamp: at, tables: TABLES, confirmRestore: true };
    assert.deepEqual(refusal(await ask(tenant, 'pitr-restore', moment)), [409, 'CONFLICT']);
    const fromArchive = { ...moment, baseBackupId: full };
    assert.deepEqual(refusal(await ask(tenant, 'pitr-restore', fromArchive)), [409, 'CONFLICT']);
    const done = await ask(tenant, 'pitr-restore', { ...fromArchive, onBlocked: 'null' });
    assert.equal(done.status, 200, JSON.stringify(done.body));
    assert.deepEqual(await memos(), ['(1,a,)', '(2,b,)', '(3,c,)']);

    const user = tenant.userId('operator');
    await client.query('insert into auth.users (id) values ($1)', [user]);
    await client.query('update desk.memos set author = $1', [user]);
    const later = await ask(tenant, 'pitr-restore', { ...moment, onBlocked: 'null' });
    await client.query('delete from auth.users where id = $1', [user]);
    const back = { snapshotId: later.body['snapshotId'], confirmRollback: true };
    const barred = await ask(tenant, 'pitr-rollback', back);
    assert.deepEqual(refusal(barred), [409, 'CONFLICT']);
    const undone = await ask(tenant, 'pitr-rollback', { ...back, onBlocked: 'skip' });
    assertWarned(undone.body['warnings'] as string[], skipped('desk.memos', 3));
  });
});
