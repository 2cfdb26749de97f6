// How long the log is kept: old parts go whole, and never one that somebody needs.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { openDatabase } from '../fixtures/database.ts';
import { eventually } from '../fixtures/time.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';

let schemas = 0;

const { postgres, client } = await openDatabase();

before(async () => {
  // Everything is old at once, so that a test need not wait for a month.
  await client.query(`update m23.settings set value = '0' where name in ('log_days', 'log_part_hours')`);
});

/** A protected table `t` with one row, in a schema of its own, alone in the database. */
async function table(): Promise<void> {
  for (const { relid } of (await client.query<{ relid: string }>('select relid::regclass from m23.protected_tables'))
    .rows) {
    await client.query('select m23.unprotect_table($1::regclass)', [relid]);
  }
  schemas += 1;
  await client.query(`delete from public.pitr_snapshots; create schema s${schemas}; set search_path = s${schemas}, public;
    create table t (id int primary key, tenant_id uuid not null, v int); select m23.protect_table('t'); insert into t values (1, '${TENANT}', 0)`);
}

async function position(): Promise<string> {
  return (await client.query<{ at: string }>('select m23.current_position()::text as at')).rows[0]!.at;
}
const change = (): Promise<unknown> => client.query('update t set v = v + 1');
const tick = (): Promise<unknown> => client.query('select m23.note_tick()');
async function prune(): Promise<number> {
  return Number((await client.query<{ n: number }>('select m23.prune_logs() as n')).rows[0]!.n);
}
async function value(at: string): Promise<number | undefined> {
  const { rows } = await client.query<{ v: number }>('select v from m23.as_of(null::t, $1, $2::pg_snapshot)', [
    TENANT,
    at,
  ]);
  return rows[0]?.v;
}
async function parts(): Promise<number> {
  return Number((await client.query<{ n: string }>('select count(*) as n from m23.log_parts')).rows[0]!.n);
}

describe('a part of the log', () => {
  test('is dropped whole when nothing in it is needed, and the history begins later then', async () => {
    await table();
    const early = await position();
    await change();
    assert.equal(await prune(), 0, 'it is still written');
    await tick();
    const late = await position();
    await change();
    assert.equal(await value(early), 0);
    assert.equal(await prune(), 1);
    await assert.rejects(value(early), /the history of s1\.t goes back to /);
    assert.equal(await value(late), 1);
    assert.equal(await value(await position()), 2);
    const {
      rows: [window],
    } = await client.query(
      `select earliest > (select protected_at from m23.protected_tables) as later from m23.recovery_window($1)`,
      [TENANT],
    );
    assert.deepEqual(window, { later: true });
  });

  test('stays while a snapshot can be rolled back to that needs it', async () => {
    await table();
    await client.query(`select m23.new_snapshot($1, 'pin', 'manual', array['s2.t'], null, null)`, [TENANT]);
    const pinned = await position();
    await change();
    await prune();
    await tick();
    assert.equal(await prune(), 0);
    assert.equal(await value(pinned), 0);
    await client.query(`update public.pitr_snapshots set status = 'rolled_back'`);
    await tick();
    assert.ok((await prune()) > 0);
  });

  test('stays while its rows belong to a transaction that began before the time that is kept', async () => {
    await table();
    const writer = await postgres.connect();
    await writer.query(`begin; update s3.t set v = 10`);
    const before = await position();
    await prune();
    await tick();
    assert.equal(await prune(), 0);
    await writer.query(`update s3.t set v = 11; commit`);
    await writer.end();
    assert.equal(await value(before), 0);
  });

  test('that somebody reads is left for the next time, and nobody waits long', async () => {
    await table();
    await change();
    await prune();
    await tick();
    const reader = await postgres.connect();
    await reader.query(`begin; select * from m23.as_of(null::s4.t, '${TENANT}', pg_current_snapshot())`);
    assert.equal(await prune(), 0);
    await reader.query('rollback');
    await reader.end();
    assert.ok((await prune()) > 0);
    assert.equal(await parts(), 1, 'only the one that is written');
  });
});

test('two upkeeps at once do it one after the other', async () => {
  await table();
  await change();
  const other = await postgres.connect();
  await client.query('begin; select m23.prune_logs()');
  const second = other.query('select m23.prune_logs()');
  await eventually(
    async () => (await client.query(`select from pg_locks where not granted`)).rowCount ?? 0,
    (count) => count > 0,
  );
  await client.query('commit');
  await second;
  await other.end();
  assert.equal(await parts(), 2, 'the second had nothing to do');
});

test('that a row came from another tenant is remembered for as long as a backup of its tenant is older', async () => {
  await table();
  const pruneAll = async (): Promise<void> => {
    await change();
    await prune();
    await tick();
    assert.ok((await prune()) > 0);
  };
  const log = (
    await client.query<{ name: string }>(
      `select m23.log_name(id) as name from m23.protected_tables where relid = 't'::regclass`,
    )
  ).rows[0]!.name;
  const kept = async (): Promise<unknown[]> =>
    (await client.query(`select l.op, l.c1 as id from ${log} l where l.op = 'a' order by l.c1`)).rows as unknown[];
  const moves = async (id: number): Promise<void> => {
    await client.query(`insert into t values (${id}, gen_random_uuid(), 0)`);
    await client.query(`update t set tenant_id = '${TENANT}' where id = ${id}`);
  };
  await moves(2);
  const {
    rows: [job],
  } = await client.query<{ id: string }>(
    `insert into public.backup_jobs (tenant_id, backup_name, job_type, status) values ($1, 'old', 'full', 'completed') returning id`,
    [TENANT],
  );
  await client.query(`select m23.note_backup_work(j, null) from public.backup_jobs j where id = $1`, [job?.id]);
  await moves(3);
  await pruneAll();
  await pruneAll();
  assert.deepEqual(await kept(), [{ op: 'a', id: 3 }]);
  await client.query('delete from public.backup_jobs where id = $1', [job?.id]);
  await pruneAll();
  assert.deepEqual(await kept(), []);
});

test('a capture that was written for a server with commit times looks at the clock at each statement once there are none', async () => {
  await table();
  const ticks = async (): Promise<number> => {
    await client.query(`select set_config('m23.ticked', '', false)`);
    await change();
    return Number((await client.query<{ n: string }>('select count(*) as n from m23.ticks')).rows[0]!.n);
  };
  await client.query(`begin; update m23.settings set value = '24' where name = 'log_part_hours';
    create or replace function m23.commit_times_are_native() returns boolean language sql stable set search_path = '' as 'select false'`);
  try {
    const before = await ticks();
    await prune();
    const after = await ticks();
    assert.equal(await ticks(), after + 1);
    assert.ok(after <= before + 1);
  } finally {
    await client.query('rollback');
  }
});
