// A backup that is made while others write holds the rows of its position, and no others.
// A backup that is made while others write holds the rows of its position, and no others.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { archivedRows, manifestOf, objectsOf, prefixOf } from '../fixtures/archive.ts';
import { beginBackup, completed, jobOf, restored } from '../fixtures/functions.ts';
import { fillShelves, Load, ofTenant, openStockroom, type StockRows, stockAt, stockOf } from '../fixtures/load.ts';
import { openShop } from '../fixtures/shop.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';

/** `M23_SEED=…` runs a failing history again. */
const SEED = Number(process.env['M23_SEED'] ?? Math.floor(Math.random() * 1_000_000));

let tenants: [Tenant, Tenant];

const { stack, client } = await openStack();

before(async () => {
  await client.query("set timezone = 'UTC'; set datestyle = 'ISO, YMD'");
  await openShop(client);
  await openStockroom(client);
  tenants = [await newTenant(stack, client), await newTenant(stack, client)];
  await fillShelves(client, tenants[0], 1);
  await fillShelves(client, tenants[1], 41);
  // Many small chunks: many moments at which a chunk could be of another state.
  await client.query("update m23.settings set value = '40' where name = 'chunk_rows'");
});

/** Rebuilds the state at a backup's position from the journal and compares the archive with it. */
async function assertExact(id: string, beginning: StockRows): Promise<void> {
  const [tenant] = tenants;
  const { position } = await jobOf(client, id);
  const manifest = await manifestOf(stack, tenant, id);
  assert.equal(manifest.position, position);
  const archived = (await archivedRows(stack, manifest, 'shop', 'stock')).map((row) => JSON.stringify(row)).sort();
  const expected = ofTenant(await stockAt(client, beginning, position), tenant);
  assert.deepEqual(archived, expected);
  assert.notDeepEqual(archived, ofTenant(await stockOf(client), tenant), 'the state has moved on since');
  const keys = manifest.tables.flatMap(({ chunks }) => chunks.map(({ object }) => object));
  assert.equal(new Set(keys).size, keys.length, 'no chunk twice');
  assert.deepEqual(
    await objectsOf(stack, tenant, id),
    [...keys, `${prefixOf(tenant, id)}manifest.json`].sort(),
    'and no orphan',
  );
}

describe(`a backup under a writing load (M23_SEED=${SEED})`, () => {
  test('is the state at its position, in the archive and when it is restored beside', async (t) => {
    t.diagnostic(`M23_SEED=${SEED}`);
    const beginning = await stockOf(client);
    const load = await Load.start(stack, tenants, SEED);
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      const id = await beginBackup(stack, tenants[0], { jobType: 'full', tables: ['shop.stock'] });
      const atBegin = await transactions();
      await completed(client, id);
      assert.ok((await transactions()) - atBegin > 20, 'the load went on meanwhile');
      ids.push(id);
    }
    const committed = await load.stop();
    t.diagnostic(`${committed} transactions`);
    for (const id of ids) await assertExact(id, beginning);

    const [id] = ids;
    assert.ok(id);
    const now = await stockOf(client);
    await restored(stack, tenants[0], id, { targetSchema: 'beside' });
    const { rows } = await client.query<{ image: (string | null)[] }>(
      'select array[tenant_id::text, shelf::text, item, amount::text, remark, seen::text] as image from beside.stock',
    );
    const { position } = await jobOf(client, id);
    const expected = ofTenant(await stockAt(client, beginning, position), tenants[0]);
    assert.deepEqual(rows.map(({ image }) => JSON.stringify(image)).sort(), expected);
    assert.deepEqual(await stockOf(client), now, 'live data is as it was');
  });

  test('whose Worker is killed in the middle is completed by the clock, exactly, with no chunk twice and no orphan', async (t) => {
    t.diagnostic(`M23_SEED=${SEED}`);
    await client.query("update m23.settings set value = '1' where name = 'lease_seconds'");
    const beginning = await stockOf(client);
    await client.query('truncate shop.journal');
    const load = await Load.start(stack, tenants, SEED + 100);
    const id = await beginBackup(stack, tenants[0], { jobType: 'full', tables: ['shop.stock'] });
    for (let killed = 0; killed < 2; killed += 1) {
      const { chunks } = await jobOf(client, id);
      const resumed = killed === 0 ? undefined : stack.runCron('backup-create').catch(() => undefined);
      const seen = await eventually(
        () => jobOf(client, id),
        (job) => job.chunks > chunks + 2,
      );
      assert.equal(seen.status, 'in_progress', 'it is killed before its end');
      await stack.restartWorkers();
      await resumed;
      await leaseLapsed(id);
    }
    await stack.runCron('backup-create');
    const job = await completed(client, id);
    await load.stop();
    assert.ok(job.chunks > 10);
    await assertExact(id, beginning);
    await client.query("update m23.settings set value = '60' where name = 'lease_seconds'");
  });
});

async function transactions(): Promise<number> {
  const {
    rows: [row],
  } = await client.query<{ n: number }>('select count(distinct xid)::int as n from shop.journal');
  return row?.n ?? 0;
}

async function leaseLapsed(id: string): Promise<void> {
  await eventually(
    async () =>
      (await client.query('select from m23.leases where work_id = $1 and until > clock_timestamp()', [id])).rowCount,
    (held) => held === 0,
  );
}

test('a backup whose table is altered while a chunk waits for it holds no line of another shape', async (t) => {
  const [tenant] = tenants;
  await client.query(
    `create table shop.altered (id int primary key, tenant_id uuid not null); select m23.protect_table('shop.altered')`,
  );
  await client.query('insert into shop.altered select n, $1 from generate_series(1, 9) n', [tenant.id]);
  const [gate, owner] = [await stack.postgres.connect(), await stack.postgres.connect()];
  t.after(() => Promise.all([gate.end(), owner.end()]));
  await gate.query('begin; lock table m23.leases in exclusive mode');
  const id = await beginBackup(stack, tenant, { jobType: 'full', tables: ['shop.altered'] });
  await owner.query('begin; alter table shop.altered add column more int');
  await gate.query('rollback');
  await eventually(
    async () =>
      (await client.query(`select from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'm23_read_chunk'`))
        .rowCount,
    (waiting) => waiting === 1,
  );
  await owner.query('commit');
  const job = await eventually(
    () => jobOf(client, id),
    ({ status }) => status === 'failed' || status === 'completed',
  );
  assert.match(String(job.error_message), /^the columns of shop\.altered changed/i);
});

describe('a chunk whose table has not changed when it is begun', () => {
  const GATE = 4_242;
  const TYPES = 'm23.backup_tables, boolean, m23.protected_tables, int, boolean, text';

  /** Lets every chunk wait at the gate between its look at the log and its read of the live rows. */
  async function withGate(work: (open: () => Promise<void>) => Promise<void>): Promise<void> {
    const keeper = await stack.postgres.connect();
    await client.query(`alter function m23.part_query(${TYPES}) rename to part_query_itself;
      create function m23.part_query(${TYPES}) returns text language plpgsql set search_path = '' as $$
      begin perform pg_advisory_xact_lock_shared(${GATE}); return m23.part_query_itself($1, $2, $3, $4, $5, $6); end $$`);
    try {
      await keeper.query('select pg_advisory_lock($1)', [GATE]);
      await work(async () => void (await keeper.query('select pg_advisory_unlock($1)', [GATE])));
    } finally {
      await keeper.end();
      await client.query(
        `drop function m23.part_query(${TYPES}); alter function m23.part_query_itself(${TYPES}) rename to part_query`,
      );
    }
  }

  test('is of its position also when a change is committed before the rows are read', async () => {
    const [tenant] = tenants;
    const beginning = await stockOf(client);
    await withGate(async (open) => {
      const id = await beginBackup(stack, tenant, { jobType: 'full', tables: ['shop.stock'] });
      await eventually(
        async () =>
          (
            await client.query(`select from pg_locks where locktype = 'advisory' and objid = $1 and not granted`, [
              GATE,
            ])
          ).rowCount,
        (n) => n === 1,
      );
      await client.query('update shop.stock set amount = amount + 1000 where tenant_id = $1', [tenant.id]);
      await open();
      await completed(client, id);
      await assertExact(id, beginning);
    });
  });
});
