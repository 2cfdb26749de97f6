// Many tables with a long log: what a call opens grows with what its tenant has changed, and with nothing else.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { openDatabase } from '../fixtures/database.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OTHER = '22222222-2222-4222-8222-222222222222';
const USER = '33333333-3333-4333-8333-333333333333';

let at: string;

const { postgres, client } = await openDatabase();

before(async () => {
  await client.query(`insert into public.tenant_members values ('${TENANT}', '${USER}', 'owner');
    create schema wide; update m23.settings set value = '0' where name = 'log_part_hours'`);
});

/** Tables from one number to another; the other tenant changes a row of each in each part, then the tenant one of the first two. */
async function grow(from: number, to: number, parts: number): Promise<void> {
  for (let table = from; table <= to; table += 1) {
    const reference = table === 1 ? '' : `references wide.t${table - 1}`;
    await client.query(`create table wide.t${table} (id int primary key, tenant_id uuid not null, up int ${reference}, v int);
      select m23.protect_table('wide.t${table}');
      insert into wide.t${table} values (1, '${TENANT}', null, 0), (2, '${OTHER}', null, 0)`);
  }
  for (let part = 1; part <= parts; part += 1) {
    for (let table = 1; table <= to; table += 1) await client.query(`update wide.t${table} set v = v + 1 where id = 2`);
    await client.query('select m23.prune_logs()');
  }
  await client.query('select m23.prune_logs()');
  await client.query('select m23.note_tick()');
  at = (await client.query<{ at: string }>('select clock_timestamp()::text as at')).rows[0]!.at;
  await client.query('update wide.t1 set v = v + 1 where id = 1; update wide.t2 set v = v + 1 where id = 1');
}

interface Held {
  locks: number;
  logs: string[];
  tables: string[];
  answer: unknown;
}

/** What a call under an admitted request holds when it is done; nothing of it stays. */
async function held(edge: string, call: string): Promise<Held> {
  const client = await postgres.connect();
  try {
    const request = randomUUID();
    await client.query(`begin;
      insert into m23.requests (id, tenant_id, user_id, function) values ('${request}', '${TENANT}', '${USER}', '${edge}');
      set local request.jwt.claims = '{"sub": "${USER}", "role": "authenticated"}'`);
    const {
      rows: [row],
    } = await client.query<{ answer: unknown }>(
      `select to_jsonb(${call}) as answer`.replaceAll('REQUEST', `'${request}'`),
    );
    const { rows } = await client.query<{ schema: string; name: string; kind: string }>(
      `select c.relnamespace::regnamespace::text as schema, c.relname as name, c.relkind as kind
         from pg_locks l left join pg_class c on c.oid = l.relation where l.pid = pg_backend_pid() order by 2`,
    );
    const named = (schema: string): string[] => [
      ...new Set(rows.filter((lock) => lock.schema === schema && lock.kind === 'r').map(({ name }) => name)),
    ];
    return { locks: rows.length, logs: named('m23_log'), tables: named('wide'), answer: row?.answer };
  } finally {
    await client.end();
  }
}

const dryRun = (): Promise<Held> =>
  held('pitr-restore', `public.m23_preview_pitr(REQUEST, '{"targetTimestamp": "${at}", "dryRun": true}')`);
const CALLS: Record<string, () => Promise<Held>> = {
  'a dry run': dryRun,
  'a restore': () =>
    held(
      'pitr-restore',
      `(
    select public.m23_execute_restore((b.begun ->> 'work_id')::uuid, (b.begun ->> 'lease')::uuid)
    from (select public.m23_begin_pitr(REQUEST, '{"targetTimestamp": "${at}", "confirmRestore": true}') as begun offset 0) b)`,
    ),
  'the figures of a restore': () => held('pitr-restore', `public.calculate_pitr_stats('${TENANT}', '${at}')`),
  'what was changed between two times': () =>
    held(
      'pitr-restore',
      `public.calculate_pitr_stats('${TENANT}', clock_timestamp() - interval '1 microsecond', '${at}')`,
    ),
  'a page of the log': () =>
    held('pitr-restore', `(select json_agg(l) from public.get_transaction_logs('${TENANT}', p_since => '${at}') l)`),
};

describe('what is held at the end of', () => {
  const few = new Map<string, Held>();

  test('each call, with three tables of a part or two', async () => {
    await grow(1, 3, 1);
    for (const [name, call] of Object.entries(CALLS)) few.set(name, await call());
    const { tables, logs } = few.get('a dry run')!;
    assert.deepEqual(tables, ['t1', 't2', 't3'], 'what has changed, and what foreign keys tie to it');
    assert.ok(
      logs.every((log) => /^log_[12]_/.test(log)),
      String(logs),
    );
  });

  test('each call is the same with fifteen tables of six parts', async () => {
    await grow(4, 15, 6);
    for (const [name, call] of Object.entries(CALLS)) {
      const [before, now] = [few.get(name)!, await call()];
      assert.deepEqual(now.tables, before.tables, name);
      assert.equal(now.logs.length, before.logs.length, `${name}: ${now.logs}`);
      assert.ok(now.locks <= before.locks + 2, `${name}: ${before.locks} locks, and then ${now.locks}`);
    }
    const { answer } = await dryRun();
    assert.equal((answer as { stats: { totalOperations: number } }).stats.totalOperations, 2);
  });

  test('the beginning of a backup: each table, and neither its indexes nor its log', async () => {
    const { tables, logs, locks } = await held(
      'backup-create',
      `public.m23_begin_backup(REQUEST, '{"jobType": "full"}')`,
    );
    assert.deepEqual([tables.length, logs.length], [15, 0]);
    const { locks: ofFew } = await held(
      'backup-create',
      `public.m23_begin_backup(REQUEST, '{"jobType": "full", "tables": ["wide.t1"]}')`,
    );
    assert.equal(locks - ofFew, 14);
  });
});

test('the log of a forgotten tenant is gone from sealed and open parts alike, and that of others is not', async () => {
  const entries = async (tenant: string): Promise<number> => {
    const { rows } = await client.query<{ name: string }>(`select m23.log_name(id) as name from m23.protected_tables`);
    let count = 0;
    for (const { name } of rows) {
      count += (await client.query(`select from ${name} where tenant_id = '${tenant}'`)).rowCount ?? 0;
    }
    return count;
  };
  const [mine, others] = [await entries(TENANT), await entries(OTHER)];
  const {
    rows: [removed],
  } = await client.query<{ log: number }>(`select (m23.forget_tenant('${OTHER}') -> 'removed' ->> 'log')::int as log`);
  assert.deepEqual([removed?.log, await entries(OTHER), await entries(TENANT)], [others, 0, mine]);
});
