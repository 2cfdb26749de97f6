// Restores from chains: every member, and every moment between the full backup and the last one.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { bytesOf } from '../fixtures/archive.ts';
import { chainManifest, increment } from '../fixtures/chain.ts';
import { type Body, backUp, call, ok, type Reply, refusal, restore, restored } from '../fixtures/functions.ts';
import { AUDITED, damage, placesOf, placesOfOthers, type Rows, rowsOf } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import type { Tenant } from '../fixtures/tenants.ts';

const { stack, client, now, stocked, api } = await openShopStack();

before(async () => {
  await client.query(`update m23.settings set value = '15' where name = 'chunk_rows'`);
});

async function pitr(tenant: Tenant, targetTimestamp: string, more: Record<string, unknown>): Promise<Reply> {
  return await call(stack, 'pitr-restore', await tenant.token('admin'), {
    targetTimestamp,
    confirmRestore: true,
    ...more,
  });
}

/** Changes of every kind, different ones each time. */
async function change(tenant: Tenant, n: number): Promise<void> {
  await client.query(
    `update shop.accounts set balance = balance + 1.10 where tenant_id = $1 and id % 3 = $2::int % 3`,
    [tenant.id, n],
  );
  await client.query(
    `insert into shop.accounts (tenant_id, code) values ($1::uuid, concat($1::text, '/new ', $2::int))`,
    [tenant.id, n],
  );
  await client.query(
    `update shop.orders set note = concat('change ', $2::int) where tenant_id = $1 and place % 5 = $2::int % 5`,
    [tenant.id, n],
  );
  await client.query(`delete from shop."Line Items" where tenant_id = $1 and "orderId" % 7 = $2::int % 7`, [
    tenant.id,
    n,
  ]);
  await client.query(
    `update shop."Line Items" set line = line + 10 where tenant_id = $1 and "orderId" % 5 = $2::int % 5 and line < 10`,
    [tenant.id, n],
  );
}

interface State {
  at: string;
  rows: Rows;
}
interface Chain {
  tenant: Tenant;
  members: string[];
  atMembers: Rows[];
  between: State[];
}

/** A full backup and two incrementals, with states before, between and after. */
async function chain(): Promise<Chain> {
  const tenant = await stocked();
  const made: Chain = { tenant, members: [], atMembers: [], between: [] };
  for (let n = 0; n < 3; n += 1) {
    const base = made.members.at(-1);
    made.members.push(
      base === undefined ? await backUp(stack, client, tenant) : await increment(stack, client, tenant, base),
    );
    made.atMembers.push(await rowsOf(client, tenant));
    for (let i = 0; i < 2; i += 1) {
      await change(tenant, n * 2 + i);
      made.between.push({ at: await now(), rows: await rowsOf(client, tenant) });
    }
  }
  return made;
}

/** As if the database had been rebuilt around its tables: the log is of another life. */
async function loseLog(tenant: Tenant): Promise<void> {
  await client.query(
    `insert into m23.incarnations (id, fingerprint, since) values ('00000000-0000-4000-8000-000000000001', 'another', '-infinity') on conflict do nothing`,
  );
  await client.query(
    `update m23.backup_work set incarnation = '00000000-0000-4000-8000-000000000001' where tenant_id = $1`,
    [tenant.id],
  );
}

describe('a restore of a member of a chain', () => {
  test("gives the rows of that member's moment, and touches nobody else", async () => {
    const { tenant, members, atMembers } = await chain();
    await stocked();
    await damage(client, tenant);
    const others = await placesOfOthers(client, tenant);
    for (const n of [2, 0, 1, 2]) {
      await restored(stack, tenant, members[n] ?? '');
      assert.deepEqual(await rowsOf(client, tenant), atMembers[n], `member ${n}`);
    }
    assert.deepEqual(await placesOfOthers(client, tenant), others);
  });

  test('beside the live data gives the same rows', async () => {
    const { tenant, members, atMembers } = await chain();
    const places = await placesOf(client, tenant);
    await restored(stack, tenant, members[2] ?? '', { targetSchema: 'chain_copy' });
    for (const [table, rows] of Object.entries(atMembers[2] ?? {})) {
      const { rows: copied } = await client.query<{ row: string }>(
        `select t::text as row from ${table.replace('shop.', 'chain_copy.')} t order by 1`,
      );
      assert.deepEqual(
        copied.map(({ row }) => row),
        rows,
      );
    }
    assert.deepEqual(await placesOf(client, tenant), places);
  });

  test('needs no log of the database', async () => {
    const { tenant, members, atMembers } = await chain();
    await loseLog(tenant);
    await restored(stack, tenant, members[1] ?? '');
    assert.deepEqual(await rowsOf(client, tenant), atMembers[1]);
  });

  test('of a table that was reshaped on the way begins where it is whole', async () => {
    const tenant = await stocked();
    await client.query(
      `create table shop.shapes (id int primary key, tenant_id uuid not null, a text); select m23.protect_table('shop.shapes')`,
    );
    await client.query(`insert into shop.shapes values (1, $1, 'one'), (2, $1, 'two')`, [tenant.id]);
    const full = await backUp(stack, client, tenant, { jobType: 'full', tables: ['shop.shapes'] });
    await client.query(`alter table shop.shapes add column b int default 7; delete from shop.shapes where id = 1`);
    const whole = await increment(stack, client, tenant, full);
    await client.query(`update shop.shapes set b = 8`);
    const last = await increment(stack, client, tenant, whole);
    const rows = await rowsOf(client, tenant, ['shop.shapes']);
    await client.query('delete from shop.shapes');
    await restored(stack, tenant, last);
    assert.deepEqual(await rowsOf(client, tenant, ['shop.shapes']), rows);
    await client.query('drop table shop.shapes');
  });

  test('is refused when a member that it builds on is deleted, and by the engine when one is altered, missing or of another chain', async () => {
    const {
      tenant,
      members: [full = '', one = '', two = ''],
    } = await chain();
    await client.query('update public.backup_jobs set deleted_at = now() where id = $1', [one]);
    const reply = await restore(stack, tenant, two);
    assert.deepEqual(refusal(reply), [409, 'BACKUP_UNUSABLE']);
    assert.match(String(reply.body.error), /the chain is broken/i);
    await client.query('update public.backup_jobs set deleted_at = null where id = $1', [one]);

    const places = await placesOf(client, tenant);
    const manifests = await Promise.all([full, one].map((id) => chainManifest(stack, tenant, id)));
    const history = manifests[1]?.tables.find(({ history: chunks }) => chunks.length > 0)?.history[0]?.object ?? '';
    const chunk = manifests[0]?.tables.find(({ chunks }) => chunks.length > 0)?.chunks[0]?.object ?? '';
    for (const object of [
      `tenants/${tenant.id}/backups/${full}/manifest.json`,
      `tenants/${tenant.id}/backups/${one}/manifest.json`,
      history,
      chunk,
    ]) {
      const bytes = await bytesOf(stack, object);
      const altered = Buffer.from(bytes);
      altered[altered.length >> 1]! ^= 1;
      for (const break_ of [() => stack.archives.put(object, altered), () => stack.archives.delete(object)]) {
        await break_();
        const broken = await restore(stack, tenant, two);
        assert.deepEqual(refusal(broken), [409, 'BACKUP_UNUSABLE'], JSON.stringify(broken.body));
        assert.ok(String(broken.body.details).includes(object), `${String(broken.body.details)} names ${object}`);
      }
      await stack.archives.put(object, bytes);
    }
    assert.deepEqual(await placesOf(client, tenant), places, 'not one row was written');
    assert.deepEqual(
      (await client.query(`select relname from pg_class where relnamespace = 'm23_staging'::regnamespace`)).rows,
      [],
      'nothing stays in staging',
    );
    await restored(stack, tenant, two);
  });
});

describe('a moment inside a chain', () => {
  test('is reached without the log, to the rows of exactly that moment', async () => {
    const { tenant, members, between } = await chain();
    await damage(client, tenant);
    await loseLog(tenant);
    const others = await placesOfOthers(client, tenant);
    for (const n of [3, 0, 2, 1]) {
      ok(await pitr(tenant, between[n]?.at ?? '', { baseBackupId: members[n < 2 ? 0 : 2] }));
      assert.deepEqual(await rowsOf(client, tenant), between[n]?.rows, `moment ${n}`);
    }
    assert.deepEqual(await placesOfOthers(client, tenant), others);
  });

  test('gives what the log gives, whichever member is named', async () => {
    const { tenant, members, between } = await chain();
    for (const { at, rows } of between.slice(0, 4)) {
      for (const baseBackupId of members) {
        ok(await pitr(tenant, at, { baseBackupId }));
        assert.deepEqual(await rowsOf(client, tenant), rows);
      }
    }
    ok(await pitr(tenant, between[4]?.at ?? '', { baseBackupId: members[2] }));
    assert.deepEqual(await rowsOf(client, tenant), between[4]?.rows, 'after the last member, with the log');
  });

  test("that is a member's own is its rows", async () => {
    const { tenant, members, atMembers } = await chain();
    await loseLog(tenant);
    for (const n of [0, 1, 2]) {
      const {
        rows: [work],
      } = await client.query<{ at: string }>(
        'select m23.iso(position_at) as at from m23.backup_work where job_id = $1',
        [members[n]],
      );
      ok(await pitr(tenant, work?.at ?? '', { baseBackupId: members[2] }));
      assert.deepEqual(await rowsOf(client, tenant), atMembers[n]);
    }
  });

  test('is shown by a dry run as it is restored, with the log and without', async () => {
    const { tenant, members, between } = await chain();
    await damage(client, tenant);
    const at = between[1]?.at ?? '';
    const look = async (): Promise<Body> => ok(await pitr(tenant, at, { baseBackupId: members[0], dryRun: true }));
    const places = await placesOf(client, tenant);
    const fromLog = await look();
    await loseLog(tenant);
    const fromArchive = await look();
    assert.deepEqual(await placesOf(client, tenant), places, 'a dry run writes nothing');
    // Who wrote what would be lost, only the log knows.
    const told = { previewId: '', rowsLost: [] };
    assert.deepEqual({ ...fromArchive, ...told, warnings: AUDITED }, { ...fromLog, ...told });
    const rowsLost = ({ rowsLost }: Body): number[] => (rowsLost as { rows: number }[]).map(({ rows }) => rows);
    assert.deepEqual(rowsLost(fromArchive), rowsLost(fromLog));
    for (const warning of (fromArchive['warnings'] as string[]).filter((said) => !AUDITED.includes(said)))
      assert.match(warning, /the history before .* is missing/);
    assert.equal((await client.query('select from public.restore_logs where tenant_id = $1', [tenant.id])).rowCount, 0);
    assert.deepEqual(
      (await client.query(`select relname from pg_class where relnamespace = 'm23_staging'::regnamespace`)).rows,
      [],
    );
    const admin = api(tenant, 'admin');
    for (const table of ['shop.accounts', 'shop.orders']) {
      const page = async ({ previewId }: Body): Promise<unknown> =>
        (await admin.rpc('get_pitr_preview_page', { p_preview_id: previewId, p_table: table, p_offset: 1, p_limit: 2 }))
          .data;
      const rows = await page(fromArchive);
      assert.deepEqual(rows, await page(fromLog));
      assert.equal((rows as unknown[]).length, 2);
    }
    const done = ok(await pitr(tenant, at, { baseBackupId: members[0], planHash: fromArchive['planHash'] }));
    assert.deepEqual(done['stats'], fromArchive['stats']);
    assert.deepEqual(await rowsOf(client, tenant), between[1]?.rows);
  });

  test('is that of the last tick where the server records no commit times, and the answer names it', async () => {
    const tenant = await stocked();
    const full = await backUp(stack, client, tenant);
    await change(tenant, 0);
    const atTick = await rowsOf(client, tenant);
    const {
      rows: [tick],
    } = await client.query<{ at: string; position: string }>(
      'select m23.iso(clock_timestamp()) as at, pg_current_snapshot()::text as position',
    );
    await change(tenant, 1);
    const late = await now();
    const tip = await increment(stack, client, tenant, full);
    await client.query(`update m23.backup_work set commit_times = 'ticks', ticks = $2 where job_id = $1`, [
      tip,
      JSON.stringify([tick]),
    ]);
    await loseLog(tenant);
    const seen = ok(await pitr(tenant, late, { baseBackupId: tip, dryRun: true }));
    const done = ok(await pitr(tenant, late, { baseBackupId: tip }));
    for (const { warnings } of [seen, done])
      assert.ok(String(warnings).includes(`the moment taken is ${tick?.at}`), String(warnings));
    assert.deepEqual(await rowsOf(client, tenant), atTick);
  });

  test('before the full backup, in the future, or in a table that begins anew is refused with the reason', async () => {
    const before = await now();
    const { tenant, members, between } = await chain();
    await loseLog(tenant);
    await client.query('update m23.protected_tables set pruned_at = now()');
    const early = await pitr(tenant, before, { baseBackupId: members[1] });
    await client.query('update m23.protected_tables set pruned_at = null');
    assert.deepEqual(refusal(early), [400, 'VALIDATION_FAILED']);
    assert.match(
      String(early.body.details),
      /targetTimestamp: is before the full backup of that chain; it can be from \d{4}-.*Z to/,
    );
    assert.deepEqual(refusal(await pitr(tenant, '2199-01-01T00:00:00Z', { baseBackupId: members[1] })), [
      400,
      'VALIDATION_FAILED',
    ]);
    await client.query(`update m23.backup_tables set whole = true where job_id = $1 and table_name = 'orders'`, [
      members[1],
    ]);
    const anew = await pitr(tenant, between[0]?.at ?? '', { baseBackupId: members[1] });
    assert.deepEqual(refusal(anew), [400, 'VALIDATION_FAILED']);
    assert.match(String(anew.body.details), /shop\.orders begins anew/);
  });

  test("of rows that came from another tenant, or went there, is each tenant's own", async () => {
    const [tenant, other] = [await stocked(), await stocked()];
    await client.query(`update shop.orders set follows = null where tenant_id in ($1, $2)`, [tenant.id, other.id]);
    const base = await backUp(stack, client, tenant);
    await client.query(`update shop.accounts set tenant_id = $2 where tenant_id = $1 and code like '%/1'`, [
      tenant.id,
      other.id,
    ]);
    const at = await now();
    const moved = await rowsOf(client, tenant);
    await client.query(
      `update shop.accounts set tenant_id = $1::uuid where tenant_id = $2::uuid and code like concat($1::text, '%/1')`,
      [tenant.id, other.id],
    );
    const tip = await increment(stack, client, tenant, base);
    const atTip = await rowsOf(client, tenant);
    await client.query(`update shop.accounts set balance = 0 where tenant_id = $1`, [tenant.id]);
    await restored(stack, tenant, tip);
    assert.deepEqual(await rowsOf(client, tenant), atTip);
    const reply = ok(await pitr(tenant, at, { baseBackupId: tip }));
    assert.match(String(reply['warnings']), /left alone/, 'the row came back from another tenant after that moment');
    assert.deepEqual((await rowsOf(client, tenant))['shop.orders'], moved['shop.orders']);
  });

  test("leaves a row that came from another tenant since alone, if the archive or this life's log tells of it; else it says what is not known", async () => {
    const [tenant, other] = [await stocked(), await stocked()];
    const codes = async (): Promise<string[]> =>
      (
        await client.query<{ code: string }>(
          `select code from shop.accounts where tenant_id = $1 and code like 'row %' order by 1`,
          [tenant.id],
        )
      ).rows.map(({ code }) => code);
    const arrives = (code: string): Promise<unknown> =>
      client.query('update shop.accounts set tenant_id = $1 where code = $2', [tenant.id, code]);
    const forget = (condition: string): Promise<unknown> =>
      client.query(`do $$ begin execute format('delete from %s l where op = ''a'' and ${condition}',
      (select m23.log_name(id) from m23.protected_tables where relid = 'shop.accounts'::regclass)); end $$`);
    await client.query(`insert into shop.accounts (tenant_id, code) values ($1, 'row a'), ($1, 'row b')`, [other.id]);
    const full = await backUp(stack, client, tenant);
    const at = await now();
    await arrives('row a');
    const tip = await increment(stack, client, tenant, full);
    await forget('true');
    await arrives('row b');
    await client.query(`insert into shop.accounts (tenant_id, code) values ($1, 'row c')`, [tenant.id]);
    await loseLog(tenant);
    const done = ok(await pitr(tenant, at, { baseBackupId: tip }));
    assert.deepEqual(await codes(), ['row a', 'row b'], "the tenant's own went");
    assert.match(String(done['warnings']), /shop\.accounts: 2 row\(s\) were left alone/);
    assert.match(
      String(done['warnings']),
      /shop\.accounts: the history before \S+Z is missing; whether rows that are deleted had come from another tenant before is not known/,
    );
    await forget('true');
    ok(await pitr(tenant, at, { baseBackupId: full }));
    assert.deepEqual(await codes(), ['row a'], 'nobody knows of the other');
    const { warnings } = ok(await pitr(tenant, at, { baseBackupId: full }));
    assert.doesNotMatch(String(warnings), /is missing/, 'nothing is deleted any more');
  });
});

describe('a snapshot as a backup', () => {
  test('is complete at once, listed, and restored like the others', async () => {
    const tenant = await stocked();
    const wanted = await rowsOf(client, tenant);
    const snapshot = await backUp(stack, client, tenant, { jobType: 'snapshot', backupName: 'before the import' });
    const {
      rows: [job],
    } = await client.query(
      `select status, backup_name, backup_size_bytes::int as size, metadata ->> 'note' as note, (metadata ->> 'expires_at')::timestamptz > now() as open
      from public.backup_jobs where id = $1`,
      [snapshot],
    );
    assert.deepEqual(job, {
      status: 'completed',
      backup_name: 'before the import',
      size: 0,
      note: 'lives inside the database: it is gone when the database is, and when it expires',
      open: true,
    });
    assert.equal(
      (await client.query(`select from public.pitr_snapshots where tenant_id = $1 and status = 'active'`, [tenant.id]))
        .rowCount,
      1,
      'one snapshot, which keeps the log',
    );
    await damage(client, tenant);
    await restored(stack, tenant, snapshot, { targetSchema: 'snapshot_copy' });
    const { rows: copied } = await client.query<{ row: string }>(
      'select t::text as row from snapshot_copy.orders t order by 1',
    );
    assert.deepEqual(
      copied.map(({ row }) => row),
      wanted['shop.orders'],
    );
    const seen = ok(await restore(stack, tenant, snapshot, { dryRun: true }));
    const answer = await restored(stack, tenant, snapshot, { planHash: seen['planHash'] });
    assert.deepEqual(await rowsOf(client, tenant), wanted);
    const {
      rows: [log],
    } = await client.query('select backup_job_id, status from public.restore_logs where id = $1', [
      answer['restoreLogId'],
    ]);
    assert.deepEqual(log, { backup_job_id: snapshot, status: 'completed' });
  });

  test('whose log is gone cannot be restored, and is no base of a restore', async () => {
    const tenant = await stocked();
    const snapshot = await backUp(stack, client, tenant, { jobType: 'snapshot' });
    assert.deepEqual(refusal(await pitr(tenant, await now(), { baseBackupId: snapshot })), [409, 'BACKUP_UNUSABLE']);
    await client.query(
      `update m23.protected_tables set pruned_below = pg_snapshot_xmax(pg_current_snapshot()), pruned_at = now() where relid = 'shop.orders'::regclass`,
    );
    const reply = await restore(stack, tenant, snapshot);
    await client.query(`update m23.protected_tables set pruned_below = '0', pruned_at = null`);
    assert.deepEqual(refusal(reply), [409, 'BACKUP_UNUSABLE']);
    assert.match(String(reply.body.error), /can no longer be restored: the history of shop\.orders goes back to/);
  });
});

describe('a restore with a choice of what becomes of live rows', () => {
  async function changed(): Promise<{ tenant: Tenant; backup: string; wanted: Rows }> {
    const tenant = await stocked();
    const wanted = await rowsOf(client, tenant, ['shop.accounts']);
    const full = await backUp(stack, client, tenant);
    const backup = await increment(stack, client, tenant, full);
    await unbind(tenant);
    await client.query(`delete from shop.accounts where tenant_id = $1 and code like '%/1'`, [tenant.id]);
    await client.query(`update shop.accounts set balance = 99 where tenant_id = $1 and code like '%/2'`, [tenant.id]);
    await client.query(
      `insert into shop.accounts (tenant_id, code, balance) values ($1::uuid, concat($1::text, '/5'), 5)`,
      [tenant.id],
    );
    return { tenant, backup, wanted };
  }
  /** Without orders, accounts can come and go alone. */
  async function unbind(tenant: Tenant): Promise<void> {
    await client.query('update shop.orders set follows = null where tenant_id = $1', [tenant.id]);
    await client.query('delete from shop.orders where tenant_id = $1', [tenant.id]);
  }
  const balances = async (tenant: Tenant): Promise<string[]> =>
    (
      await client.query<{ line: string }>(
        `select concat(right(code, 2), ' ', balance) as line from shop.accounts where tenant_id = $1 order by 1`,
        [tenant.id],
      )
    ).rows.map(({ line }) => line);

  const LEFT: Record<string, string[]> = {
    missing_only: ['/1 1.50', '/2 99', '/3 4.50', '/4 6.00', '/5 5'],
    overwrite_existing: ['/1 1.50', '/2 3.00', '/3 4.50', '/4 6.00', '/5 5'],
    exact: ['/1 1.50', '/2 3.00', '/3 4.50', '/4 6.00'],
  };
  for (const [mode, left] of Object.entries(LEFT)) {
    test(`${mode}: does what its dry run said`, async () => {
      const { tenant, backup } = await changed();
      const places = await placesOf(client, tenant);
      const seen = ok(await restore(stack, tenant, backup, { mode, dryRun: true, tables: ['shop.accounts'] }));
      assert.deepEqual(await placesOf(client, tenant), places);
      const done = await restored(stack, tenant, backup, {
        mode,
        tables: ['shop.accounts'],
        planHash: seen['planHash'],
      });
      assert.deepEqual(await balances(tenant), left);
      assert.equal(done['rowsRestored'], (seen['stats'] as { totalOperations: number }).totalOperations);
      assert.equal(
        (seen['previewChanges'] as Record<string, unknown[]>)['shop.accounts']?.length,
        done['rowsRestored'],
      );
      await client.query('update shop.accounts set balance = 1 where tenant_id = $1', [tenant.id]);
      assert.deepEqual(refusal(await restore(stack, tenant, backup, { planHash: seen['planHash'] })), [
        409,
        'PLAN_CHANGED',
      ]);
    });
  }

  test('of a snapshot works as well', async () => {
    const tenant = await stocked();
    await unbind(tenant);
    const snapshot = await backUp(stack, client, tenant, { jobType: 'snapshot' });
    await client.query(`delete from shop.accounts where tenant_id = $1 and code like '%/1'`, [tenant.id]);
    await client.query(`update shop.accounts set balance = 99 where tenant_id = $1 and code like '%/2'`, [tenant.id]);
    await restored(stack, tenant, snapshot, { mode: 'missing_only' });
    assert.deepEqual(await balances(tenant), ['/1 1.50', '/2 99', '/3 4.50', '/4 6.00']);
  });

  test('is for live tables only', async () => {
    const { tenant, backup } = await changed();
    const reply = await restore(stack, tenant, backup, { mode: 'missing_only', dryRun: true, targetSchema: 'copy' });
    assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
    assert.deepEqual(
      reply.body.details?.map((detail) => detail.split(':')[0]),
      ['mode', 'dryRun'],
    );
  });
});
