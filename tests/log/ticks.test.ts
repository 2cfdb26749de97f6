// Where the server records no commit times: which ticks an incremental's manifest lists.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import type pg from 'pg';

import { openDatabase } from '../fixtures/database.ts';
import { randomNumbers } from '../fixtures/time.ts';

const SEED = Number(process.env['M23_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const [TENANT, OTHER] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];

interface Tick {
  at: string;
  position: string;
}
interface Member {
  position: string;
  position_at: string;
}

const { postgres, client } = await openDatabase({ track_commit_timestamp: 'off' });

before(async () => {
  await client.query(`create schema s; create table s.t (id int primary key, tenant_id uuid not null, v int); create table s.u (like s.t including all);
    select m23.protect_table('s.t'), m23.protect_table('s.u')`);
});

async function rows<T extends object>(sql: string, ...values: unknown[]): Promise<T[]> {
  return (await client.query<T>(sql, values)).rows;
}

/** Empties the tables; gives the position from which all is counted. */
async function parent(): Promise<Member> {
  await client.query('delete from s.t; delete from s.u');
  return await member();
}

async function member(): Promise<Member> {
  const [taken] = await rows<Member>(
    'select here::text as position, m23.iso(at) as position_at from m23.take_position()',
  );
  assert.ok(taken);
  return taken;
}

const note = (by = client): Promise<unknown> => by.query('select m23.note_tick()');

/** What a manifest lists, and all that there are. */
async function listed(from: Member, to: Member): Promise<{ thinned: Tick[]; all: Tick[] }> {
  const [row] = await rows<{ ticks: Tick[] }>(
    `select m23.ticks_between(jsonb_populate_record(null::m23.backup_work, jsonb_build_object('job_id', gen_random_uuid(), 'tenant_id', $1::text) || $2), $3, $4) as ticks`,
    TENANT,
    from,
    to.position,
    to.position_at,
  );
  const all = await rows<Tick>(
    `select m23.iso(at) as at, position::text from m23.ticks t where at > $1 and at < $2
    and m23.sees_all_of(t.position, $3) and m23.sees_all_of($4, t.position) order by t.at, t.id`,
    from.position_at,
    to.position_at,
    from.position,
    to.position,
  );
  assert.ok(row);
  return { thinned: row.ticks, all };
}

/** The tenant's rows as a reader of a list finds them at a time: those of the last tick at or before it. */
async function rowsAt(ticks: Tick[], from: Member, at: string): Promise<unknown> {
  const [reached] = await rows<{ position: string }>(
    `select position from jsonb_to_recordset($1::jsonb) x (at timestamptz, position text) where at <= $2 order by at desc limit 1`,
    JSON.stringify([{ at: from.position_at, position: from.position }, ...ticks]),
    at,
  );
  return await rows(
    `select 't' as name, t::text as line from m23.as_of(null::s.t, $1, $2::pg_snapshot) t
    union all select 'u', u::text from m23.as_of(null::s.u, $1, $2::pg_snapshot) u order by 1, 2`,
    TENANT,
    reached?.position,
  );
}

async function assertSameEverywhere(thinned: Tick[], all: Tick[], from: Member): Promise<void> {
  for (const { at } of all)
    assert.deepEqual(await rowsAt(thinned, from, at), await rowsAt(all, from, at), `at ${at} (M23_SEED=${SEED})`);
}

describe('the ticks of a manifest', () => {
  test("are at most two for each change of the tenant's: the last one before it, and the first after it", async () => {
    const from = await parent();
    for (const change of [
      `insert into s.t values (1, '${TENANT}', 0)`,
      `update s.t set v = 1`,
      `insert into s.u values (1, '${TENANT}', 0)`,
    ]) {
      for (let n = 0; n < 5; n += 1) await note();
      await client.query(change);
    }
    for (let n = 0; n < 5; n += 1) await note();
    const { thinned, all } = await listed(from, await member());
    assert.ok(all.length >= 20);
    assert.equal(thinned.length, 6);
    await assertSameEverywhere(thinned, all, from);
  });

  test('are none where nothing of the tenant has changed, whatever others did', async () => {
    const from = await parent();
    for (let n = 0; n < 5; n += 1) {
      await client.query(`insert into s.t values (${n}, '${OTHER}', 0)`);
      await note();
    }
    const { thinned, all } = await listed(from, await member());
    assert.ok(all.length >= 5);
    assert.deepEqual(thinned, []);
  });

  test(`lead to the same rows at every moment as all of them, whatever ran at once (M23_SEED=${SEED})`, async (t) => {
    const random = randomNumbers(SEED);
    const below = (n: number): number => Math.floor(random() * n);
    const writers: { writer: pg.Client; isOpen: boolean }[] = [];
    for (let n = 0; n < 4; n += 1) writers.push({ writer: await postgres.connect(), isOpen: false });
    t.after(() => Promise.all(writers.map(({ writer }) => writer.end())));
    const from = await parent();
    for (let step = 0; step < 150; step += 1) {
      const one = writers[below(4)];
      assert.ok(one);
      const { writer } = one;
      if (below(3) === 0) {
        await note(below(4) === 0 ? writer : client);
      } else if (one.isOpen && below(2) === 0) {
        await writer.query(below(5) === 0 ? 'rollback' : 'commit');
        one.isOpen = false;
      } else {
        // A tick of a transaction whose snapshot is old sees less than one that was noted before it.
        if (!one.isOpen) await writer.query(below(2) === 0 ? 'begin' : 'begin isolation level repeatable read; select');
        one.isOpen = true;
        await writer.query(
          `insert into s.${below(2) === 0 ? 't' : 'u'} values (${step}, '${below(2) === 0 ? TENANT : OTHER}', ${step})`,
        );
      }
    }
    for (const { writer } of writers) await writer.query('rollback');
    const { thinned, all } = await listed(from, await member());
    assert.ok(thinned.length < all.length);
    await assertSameEverywhere(thinned, all, from);
  });
});
