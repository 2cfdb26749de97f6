// How far back one can go, and why no further: a change that was missed makes every earlier moment
// unreachable, and whoever asks for one is told so.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { actAsOwner, type Outcome, openDatabase, recover } from '../fixtures/database.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

interface Gap {
  from: string | null;
  until: string;
  reason: string;
  partial?: boolean;
}
interface Window {
  table_name: string;
  earliest: string | null;
  latest: string | null;
  gaps: Gap[];
}

let schemas = 0;

const { postgres, client, now } = await openDatabase();

before(async () => {
  await actAsOwner(client, TENANT, OWNER);
});

async function one<T>(sql: string, values: unknown[] = []): Promise<T> {
  return (await client.query<{ value: T }>(`select (${sql}) as value`, values)).rows[0]!.value;
}

/** A protected table `t` with three rows in a schema of its own, and no other; gives its name for `tables`. */
async function table(): Promise<string> {
  schemas += 1;
  await client.query(`delete from m23.protected_tables; delete from m23.clock_steps; create schema s${schemas}; set search_path = s${schemas}, public;
    create table t (id int primary key, tenant_id uuid not null, v text); select m23.protect_table('t'); insert into t select n, '${TENANT}', 'v' from generate_series(1, 3) n`);
  return `s${schemas}.t`;
}

async function windows(): Promise<Window[]> {
  return (
    await client.query<Window>(
      `select table_name, m23.iso(earliest) as earliest, m23.iso(latest) as latest, gaps from get_recovery_window('${TENANT}')`,
    )
  ).rows;
}
async function reasons(): Promise<string[]> {
  return (await windows()).flatMap(({ gaps }) => gaps.map(({ reason }) => reason));
}

/** Restores to a time; gives why not. */
async function restore(targetTimestamp: string): Promise<Outcome['error']> {
  try {
    return (await recover(client, TENANT, OWNER, { targetTimestamp })).error;
  } catch (error) {
    return JSON.parse((error as Error).message) as NonNullable<Outcome['error']>;
  }
}

async function refuses(targetTimestamp: string, why: RegExp): Promise<void> {
  const refused = await restore(targetTimestamp);
  assert.equal(refused?.code, 'VALIDATION_FAILED');
  assert.match(String(refused?.details), why);
  const early = await one<{ faults: string[] }>(`m23_authorize('pitr-restore', false, null, null, $1::timestamptz)`, [
    targetTimestamp,
  ]);
  assert.equal(early.faults.length, 1, 'the request is refused before it is counted');
}

/** The range is named, and what lies before it. */
const range = (reason: string): RegExp =>
  new RegExp(
    `targetTimestamp: is before the history begins \\([^)]*${reason}\\); it can be from \\d{4}-.*Z to \\d{4}-.*Z`,
  );
const touch = (): Promise<unknown> => client.query(`update t set v = v || '+'`);
const values = (): Promise<string> => one(`select string_agg(v, ',' order by id) from t`);
/** Without the event triggers, as on a server that does not allow them. */
async function unseen(change: string): Promise<void> {
  await unfollowed(async () => {
    await client.query(change);
  });
}

/** While no event trigger tells of anything, as on a server that does not allow them. */
async function unfollowed(act: () => Promise<void>): Promise<void> {
  const set = async (state: string): Promise<void> => {
    for (const name of ['foresee_drop', 'follow_ddl', 'follow_drop']) {
      await client.query(`alter event trigger m23_${name} ${state}`);
    }
  };
  await set('disable');
  await act().finally(() => set('enable always'));
}

interface Finding {
  state: string;
  finding: string;
  advice: string | null;
}
const doctor = async (topic: string): Promise<Finding> =>
  (await client.query<Finding>('select * from m23.doctor() where topic = $1', [topic])).rows[0]!;

/** Begins work under an admitted request. */
async function begin(name: string, rpc: string, body: Record<string, unknown>): Promise<unknown> {
  const request = await client.query<{ id: string }>(
    `insert into m23.requests (id, tenant_id, user_id, function)
    values (gen_random_uuid(), '${TENANT}', '${OWNER}', $1) returning id`,
    [name],
  );
  return (await client.query(`select public.${rpc}($1, $2)`, [request.rows[0]!.id, body])).rows;
}

/** The same as `table`, in two partitions `low` and `high` by id. */
async function partitioned(): Promise<string> {
  const name = await table();
  await client.query(`drop table t; delete from m23.protected_tables;
    create table t (id int primary key, tenant_id uuid not null, v text) partition by range (id);
    create table low partition of t for values from (0) to (10);
    create table high partition of t for values from (10) to (20); select m23.protect_table('t');
    insert into t select n, '${TENANT}', 'v' || n from unnest('{1,2,3,11,12,13}'::int[]) n`);
  return name;
}

test('before a table was protected there is no moment, and the range is told', async () => {
  const early = await now();
  const name = await table();
  const [window] = await windows();
  assert.equal(window?.table_name, name);
  assert.ok(early < window.earliest! && window.earliest! < window.latest!);
  assert.deepEqual(window.gaps, [
    { from: null, until: window.gaps[0]!.until, reason: 'the table was not protected yet' },
  ]);
  await refuses(early, range('the table was not protected yet'));
  assert.equal(await restore(window.earliest!), undefined);
  assert.equal(await values(), 'v,v,v', 'the first moment is the commit of the transaction that protected it');
});

describe('capture that is switched off', () => {
  for (const [how, change] of Object.entries({
    'by DISABLE TRIGGER': 'alter table t disable trigger aaa_m23_log_update',
    'by DISABLE TRIGGER ALL': 'alter table t disable trigger all',
    'with session_replication_role = replica':
      'set session_replication_role = replica; alter table t disable trigger user; set session_replication_role = origin',
    'in a savepoint that is rolled back':
      'begin; savepoint s; alter table t disable trigger all; rollback to s; commit',
  })) {
    test(`${how} is on again at once, and nothing is missed`, async () => {
      await table();
      const [at, before] = [await now(), await values()];
      await client.query(change);
      await touch();
      assert.equal(await restore(at), undefined);
      assert.equal(await values(), before);
      assert.deepEqual(await reasons(), ['the table was not protected yet']);
    });
  }

  for (const [how, change] of Object.entries({
    'by DISABLE TRIGGER': 'alter table t disable trigger all',
    'by DROP TRIGGER': 'drop trigger aaa_m23_log_update on t',
    'by ENABLE TRIGGER, which is silent in replication': 'alter table t enable trigger all',
  })) {
    test(`${how} and is not seen at once closes the whole past, until it is renewed`, async () => {
      await table();
      const at = await now();
      await unseen(change);
      await touch();
      const [window] = await windows();
      assert.deepEqual([window?.earliest, window?.latest], [null, null]);
      assert.match(
        window!.gaps.at(-1)!.reason,
        /capture is switched off: its triggers are missing or not always enabled/,
      );
      await refuses(at, /cannot be gone back to \(s\d+\.t: capture is switched off/);
      await refuses(await now(), /cannot be gone back to/);
      await client.query('select m23_sweep()');
      const [renewed] = await windows();
      assert.deepEqual(
        renewed?.gaps.map(({ reason }) => reason),
        ['the table was not protected yet', 'capture was switched off'],
      );
      await refuses(at, range('capture was switched off'));
      const [later, then] = [await now(), await values()];
      assert.ok(renewed!.earliest! < later);
      await touch();
      assert.equal(await restore(later), undefined);
      assert.equal(await values(), then);
    });
  }

  test('and on again, as if nothing had been, is noticed all the same', async () => {
    await table();
    const at = await now();
    await unseen(`alter table t disable trigger all; update t set v = 'unseen'; do $$ declare g name; begin
      for g in select tgname from pg_trigger where tgrelid = 't'::regclass loop execute format('alter table t enable always trigger %I', g); end loop; end $$`);
    assert.deepEqual(await one('select m23.missing_triggers(t) from m23.protected_tables t'), null);
    await refuses(at, /capture was switched off for a while/);
    const doctor = await one<string>(`select string_agg(finding, '; ') from m23.doctor() where state = 'problem'`);
    assert.match(doctor, /gap: capture was switched off for a while/);
    await client.query(`alter table t add column more int`);
    assert.deepEqual(await reasons(), ['the table was not protected yet', 'capture was switched off']);
    await refuses(at, range('capture was switched off'));
  });

  test('stands between a snapshot and whoever would roll back to it', async () => {
    const name = await table();
    const snapshot = await one<string>(`create_pitr_snapshot('${TENANT}', 'before', array['${name}'], '${OWNER}')`);
    await unseen(`alter table t disable trigger all; update t set v = 'unseen'`);
    const rollBack = (): Promise<unknown> => one(`execute_pitr_rollback('${snapshot}', '${OWNER}')`);
    await assert.rejects(rollBack, /VALIDATION_FAILED.*snapshotId: changes of s\d+\.t may have gone unseen/s);
    await client.query(`select m23.protect_table('t')`);
    await assert.rejects(
      rollBack,
      /VALIDATION_FAILED.*snapshotId: the history of s\d+\.t begins at .*: capture was switched off/s,
    );
    assert.equal(
      await one(`select count(*)::int from get_active_pitr_snapshots('${TENANT}') where snapshot_id = '${snapshot}'`),
      0,
    );
    assert.equal(await values(), 'unseen,unseen,unseen');
  });

  test('that somebody holds a lock on is renewed the next time', async () => {
    await table();
    await unseen('alter table t disable trigger all');
    const reader = await postgres.connect();
    await reader.query(`begin; select * from s${schemas}.t`);
    assert.deepEqual(await one('m23_sweep()'), {}, 'nothing is said of what was not done');
    await reader.query('rollback');
    await reader.end();
    assert.deepEqual(await one('m23_sweep()'), { captures: 1 });
  });
});

describe('capture that cannot go on', () => {
  /** A change that M23 does not refuse, what takes it back, and how a gap calls it. */
  const obstacles: [what: string, change: string, back: string, kind: string, said: RegExp][] = [
    [
      'without a primary key',
      'alter table t drop constraint t_pkey',
      'alter table t add primary key (id)',
      'no primary key',
      /the table has no primary key/,
    ],
    [
      'with a tenant column of another type',
      'alter table t alter tenant_id type text',
      'alter table t alter tenant_id type uuid using tenant_id::uuid',
      'a tenant column of another type',
      /whose type is text now: its log keeps tenants as uuid/,
    ],
    [
      'of an unlogged table',
      'alter table t set unlogged',
      'alter table t set logged',
      'unlogged',
      /the table is unlogged: a crash of the server empties it/,
    ],
    [
      'of a table that others inherit from',
      'create table child () inherits (t)',
      'drop table child',
      'inheritance',
      /shows the rows of s\d+\.child, which inherits from it/,
    ],
    [
      'of a table that a table is made a child of',
      'create table child (like t); alter table child inherit t',
      'alter table child no inherit t',
      'inheritance',
      /shows the rows of s\d+\.child/,
    ],
    [
      'of a table that inherits',
      'create table parent (tenant_id uuid not null); alter table t inherit parent',
      'alter table t no inherit parent',
      'inheritance',
      /inherits from s\d+\.parent/,
    ],
    [
      'with a column that M23 keeps for itself',
      'alter table t add m23_op int',
      'alter table t drop m23_op',
      'a reserved column name',
      /begins with "m23_"/,
    ],
  ];

  for (const [what, change, back, kind, said] of obstacles) {
    test(`${what} is suspended, and begins another history when it can`, async () => {
      const name = await table();
      const at = await now();
      await client.query(change);
      await client.query(`insert into t (id, tenant_id, v) values (9, '${TENANT}', 'unseen');
        update t set v = v || '+' where id < 3; delete from t where id = 3`);
      const [window] = await windows();
      assert.deepEqual([window?.earliest, window?.latest], [null, null]);
      assert.match(window!.gaps.at(-1)!.reason, new RegExp(`^capture is suspended: .*${said.source}`));
      await refuses(at, /cannot be gone back to \(s\d+\.t: capture is suspended/);
      await assert.rejects(client.query(`select m23.protect_table('t')`), /cannot be protected: it .*/);
      const { finding, advice } = await doctor(name);
      assert.match(finding, new RegExp(`^gap: capture is suspended: .*${said.source}`));
      assert.match(advice!, /; capture goes on by itself then, and its history begins anew$/);
      await client.query('select m23_sweep()');
      await refuses(at, /capture is suspended/);

      await client.query(back);
      await client.query('select m23_sweep()');
      assert.deepEqual(await reasons(), ['the table was not protected yet', `capture was suspended: ${kind}`]);
      await refuses(at, range(`capture was suspended: ${kind}`));
      assert.equal((await doctor(name)).state, 'ok');
      const [later, then] = [await now(), await values()];
      await client.query(`delete from t where id = 1; update t set v = 'lost'; update t set id = id + 100`);
      assert.equal(await restore(later), undefined);
      assert.equal(await values(), then);
    });

    test(`${what} is suspended where no event trigger tells of it, too`, async () => {
      await unfollowed(async () => {
        await table();
        const at = await now();
        await client.query(change);
        await client.query(`insert into t (id, tenant_id, v) values (9, '${TENANT}', 'unseen');
          update t set v = v || '+' where id < 3; delete from t where id = 3`);
        await refuses(at, /capture is suspended/);
        await client.query('select m23_sweep()');
        await client.query(`update t set v = v || '+'`);
        await client.query(back);
        await refuses(at, new RegExp(`capture was suspended: ${kind}`));
        await client.query('select m23_sweep()');
        await refuses(at, range(`capture was suspended: ${kind}`));
        const [later, then] = [await now(), await values()];
        await client.query(`delete from t where id = 1; update t set v = 'lost'; update t set id = id + 100`);
        assert.equal(await restore(later), undefined);
        assert.equal(await values(), then);
      });
    });
  }

  test('for the length of one transaction has missed nothing if that wrote nothing', async () => {
    for (const migration of [
      'alter table t drop constraint t_pkey; alter table t add primary key (id)',
      `alter table t rename id to key; alter table t drop constraint t_pkey; alter table t add primary key (key);
         alter table t rename key to id`,
      `savepoint s; alter table t drop constraint t_pkey; alter table t add primary key (id, v);
         rollback to s; alter table t drop constraint t_pkey; alter table t add primary key (id)`,
      'alter table t add m23_op int; alter table t drop m23_op',
    ]) {
      await table();
      const [at, then] = [await now(), await values()];
      await client.query(`delete from t where id = 1; begin; ${migration}; commit; delete from t where id = 2`);
      assert.deepEqual(await reasons(), ['the table was not protected yet'], migration);
      assert.equal(await restore(at), undefined);
      assert.equal(await values(), then);
    }
  });

  test('for the length of one transaction begins another history if that wrote', async () => {
    for (const [change, reason] of [
      [
        `insert into t values (9, '${TENANT}', 'x'); delete from t where id = 9`,
        'capture was suspended: no primary key',
      ],
      ['truncate t', 'capture was suspended: no primary key'],
      [`set local track_counts = off; update t set v = 'x'`, 'capture was suspended: no primary key'],
    ] as const) {
      await table();
      const at = await now();
      await client.query(
        `begin; alter table t drop constraint t_pkey; ${change}; alter table t add primary key (id); commit`,
      );
      assert.deepEqual(await reasons(), ['the table was not protected yet', reason], change);
      await refuses(at, range(reason));
    }
  });

  test('for the length of one transaction begins another history if the key is another by then', async () => {
    await table();
    const at = await now();
    await client.query(
      'begin; alter table t drop constraint t_pkey; alter table t add primary key (tenant_id, id); commit',
    );
    await refuses(at, range('the primary key was another'));
  });

  test('without a tenant column goes on when the table is protected by another', async () => {
    const name = await table();
    const at = await now();
    await client.query('alter table t drop column tenant_id');
    await client.query(`insert into t values (9, 'unseen'); update t set v = 'changed'; delete from t where id = 2;
      truncate t`);
    assert.match((await doctor(name)).finding, /^gap: capture is suspended: the table has no tenant column any more/);
    await refuses(at, /has no tenant column any more/);
    await client.query(`alter table t add org_id uuid not null; insert into t (id, v, org_id) values (1, 'a',
      '${TENANT}'); select m23.protect_table('t', 'org_id')`);
    await refuses(at, range('capture was suspended: no tenant column'));
    const later = await now();
    await client.query('delete from t');
    assert.equal(await restore(later), undefined);
    assert.equal(await values(), 'a');
  });

  test('of a table with more columns than a log can have is suspended, until it has fewer', async () => {
    const name = await table();
    const at = await now();
    const columns = (verb: string): string => Array.from({ length: 1592 }, (_, n) => `${verb} c${n}`).join(', ');
    await client.query(`alter table t ${columns('add').replaceAll(',', ' int,')} int`);
    await client.query(`update t set v = v || '+'`);
    assert.match((await doctor(name)).finding, /^gap: capture was suspended: it could not be followed/);
    await client.query('select m23_sweep()');
    await refuses(at, /capture was suspended: it could not be followed/);
    await client.query(`alter table t ${columns('drop')}`);
    await refuses(at, range('capture was suspended: it could not be followed'));
    const [later, then] = [await now(), await values()];
    await client.query('delete from t');
    assert.equal(await restore(later), undefined);
    assert.equal(await values(), then);
  });

  test('of a partitioned table is suspended by one partition', async () => {
    const name = await partitioned();
    await client.query('alter table low set unlogged');
    assert.match((await doctor(name)).finding, /is unlogged in its partition s\d+\.low:/);
    await client.query('alter table low set logged');
    assert.deepEqual(await reasons(), ['the table was not protected yet', 'capture was suspended: unlogged']);
  });

  test('keeps its table out of backups, and says why', async () => {
    const name = await table();
    await client.query('alter table t drop constraint t_pkey');
    await assert.rejects(
      begin('backup-create', 'm23_begin_backup', { jobType: 'full', tables: [name] }),
      /VALIDATION_FAILED.*tables: s\d+\.t cannot be backed up or restored: capture is suspended: .* no primary key/s,
    );
    await assert.rejects(
      begin('backup-create', 'm23_begin_backup', { jobType: 'full' }),
      /VALIDATION_FAILED.*tables: s\d+\.t cannot be backed up/s,
    );
    assert.equal(
      await one(`select count(*)::int from get_transaction_logs('${TENANT}')`),
      3,
      'what was logged is listed',
    );
  });

  test('is never begun: such a table is not protected at all', async () => {
    schemas += 1;
    await client.query(`create schema s${schemas}; set search_path = s${schemas}, public;
      create unlogged table u (id int primary key, tenant_id uuid not null);
      create table p (id int primary key, tenant_id uuid not null); create table c () inherits (p);
        alter table c add primary key (id)`);
    await assert.rejects(
      client.query(`select m23.protect_table('u')`),
      /cannot be protected: it is unlogged: a crash of the server empties it/,
    );
    await assert.rejects(
      client.query(`select m23.protect_table('p')`),
      /cannot be protected: it shows the rows of s\d+\.c, which inherits from it/,
    );
    await assert.rejects(
      client.query(`select m23.protect_table('c')`),
      /cannot be protected: it inherits from s\d+\.p, which shows its rows/,
    );
  });
});

describe('partitions that are removed', () => {
  const OTHER = '22222222-2222-4222-8222-222222222222';
  const homeless = (rows: number): string =>
    `s${schemas}.t: ${rows} row(s) were left alone: no partition takes them any more`;
  const restored = async (targetTimestamp: string): Promise<string[]> =>
    (await recover(client, TENANT, OWNER, { targetTimestamp })).warnings;
  const seen = (): Promise<string> =>
    one(`select string_agg(concat(id, v), ',' order by id) from t where tenant_id = '${TENANT}'`);

  for (const [how, drop] of Object.entries({
    'by DROP TABLE': 'drop table low',
    'by DROP TABLE in a block': `do $$ begin execute format('drop table %I', 'low'); end $$`,
    'with its schema': 'create schema attic; alter table low set schema attic; drop schema attic cascade',
  })) {
    test(`${how} with their rows: those alone are out of reach, and it is said`, async () => {
      const name = await partitioned();
      const at = await now();
      await client.query(`update t set v = 'new' where id in (2, 12); delete from t where id in (3, 13); ${drop}`);
      await client.query(`create table again partition of t for values from (0) to (10);
        insert into t values (1, '${TENANT}', 'of now')`);
      const [window] = await windows();
      assert.ok(window!.earliest! < at);
      const gone = drop.includes('attic') ? 'attic.low' : name.replace('.t', '.low');
      assert.deepEqual(
        window!.gaps.map(({ reason, partial }) => [reason, partial]),
        [
          ['the table was not protected yet', undefined],
          [`the partition ${gone} was dropped with its rows: they alone cannot come back`, true],
        ],
      );
      const { state, finding } = await doctor(name);
      assert.equal(state, 'ok');
      assert.match(finding, /; partitions were dropped, whose rows of before cannot come back: .*low \(\d{4}-.*Z\)$/);
      const [warning, ...others] = await restored(at);
      assert.match(warning!, /^s\d+\.t: rows of partitions that were dropped after that moment cannot come back: /);
      assert.match(warning!, /low \(.*Z\); 2 row\(s\) that belong there were left alone$/);
      assert.deepEqual(others, []);
      assert.equal(await seen(), '1of now,11v11,12v12,13v13', 'what has an unknown past is left; the rest is exact');
      assert.deepEqual(await restored(await now()), [], 'a moment after the drop lacks nothing');
    });
  }

  test("by DROP TABLE when they are empty take nobody's past", async () => {
    for (const drop of [
      'drop table low',
      'drop table if exists nothing, s0.low, "low" cascade',
      `do $$ begin execute 'drop table low'; end $$`,
    ]) {
      await partitioned();
      await client.query('delete from t where id < 10');
      const at = await now();
      await client.query(`update t set v = 'new'; ${drop}`);
      assert.deepEqual(await reasons(), ['the table was not protected yet']);
      assert.deepEqual(await restored(at), []);
      assert.equal(await seen(), '11v11,12v12,13v13');
    }
  });

  test('that were emptied and dropped give back what a partition takes', async () => {
    await partitioned();
    const at = await now();
    await client.query(`truncate low; drop table low; create table again partition of t for values from (0) to (3)`);
    assert.deepEqual(await restored(at), [homeless(1)]);
    assert.equal(await seen(), '1v1,2v2,11v11,12v12,13v13');
  });

  test("of another tenant: the others' past goes on, and nothing is said to them", async () => {
    for (const by of ['list (tenant_id)', 'list (tenant_id), by month']) {
      await table();
      const months = by.includes('month');
      await client.query(`drop table t; delete from m23.protected_tables;
        create table t (id int, tenant_id uuid not null, v text, primary key (id, tenant_id))
          partition by list (tenant_id);
        create table mine partition of t for values in ('${TENANT}');
        create table theirs partition of t for values in ('${OTHER}') ${months ? 'partition by range (id)' : ''};
        ${months ? 'create table theirs_1 partition of theirs for values from (0) to (100);' : ''}
        select m23.protect_table('t');
        insert into t select n, o, 'v' from generate_series(1, 3) n, unnest('{${TENANT},${OTHER}}'::uuid[]) o`);
      const name = `s${schemas}.t`;
      const at = await now();
      const snapshot = await one<string>(`create_pitr_snapshot('${TENANT}', 'before', array['${name}'], '${OWNER}')`);
      await client.query(`delete from t where id < 3; drop table ${months ? 'theirs_1' : 'theirs'}`);
      assert.deepEqual(await reasons(), ['the table was not protected yet']);
      assert.deepEqual(await restored(at), []);
      assert.equal(await seen(), '1v,2v,3v');
      await client.query('delete from t');
      await recover(client, TENANT, OWNER, { snapshotId: snapshot });
      assert.equal(await seen(), '1v,2v,3v');
      assert.equal(await one(`select jsonb_array_length(gaps) from get_recovery_window('${TENANT}')`), 1);
      assert.equal(
        await one(`select count(*)::int
        from m23.protected_tables t, m23.removed_since(t, '${OTHER}', m23.moment_at('${at}'))`),
        1,
      );
    }
  });

  for (const how of ['detach partition low', 'detach partition low concurrently']) {
    test(`by ${how.toUpperCase()}: rows come back where another takes them, else they are left alone`, async () => {
      await partitioned();
      const at = await now();
      await client.query(`delete from t where id = 11`);
      await client.query(`alter table t ${how}`);
      await client.query(`update low set v = 'outside'; delete from low where id = 2`);
      assert.deepEqual(await reasons(), ['the table was not protected yet']);
      assert.deepEqual(await restored(at), [homeless(3)]);
      assert.equal(await seen(), '11v11,12v12,13v13');
      await client.query('create table again partition of t for values from (2) to (10)');
      assert.deepEqual(await restored(at), [homeless(1)]);
      assert.equal(await seen(), '2v2,3v3,11v11,12v12,13v13');
      await client.query('create table rest partition of t default');
      assert.deepEqual(await restored(at), []);
      assert.equal(await seen(), '1v1,2v2,3v3,11v11,12v12,13v13');
    });
  }

  test('and attached again with their rows are as they were', async () => {
    await partitioned();
    const at = await now();
    await client.query(`alter table t detach partition low; update low set v = 'outside';
      alter table t attach partition low for values from (0) to (10)`);
    assert.deepEqual(await restored(at), []);
    assert.equal(await seen(), '1v1,2v2,3v3,11v11,12v12,13v13');
  });

  test('are told by the bounds of their time, whatever the columns are called now', async () => {
    await partitioned();
    const at = await now();
    await client.query(`drop table low; alter table t rename id to number; create table again partition of t default;
      insert into t values (1, '${TENANT}', 'of now'); alter table t rename number to id`);
    const [warning] = await restored(at);
    assert.match(warning!, /1 row\(s\) that belong there were left alone/);
    assert.equal(await seen(), '1of now,11v11,12v12,13v13');
  });

  test('are noticed by the upkeep where no event trigger tells of it, and close the past till then', async () => {
    await unfollowed(async () => {
      for (const [change, said] of [
        ['drop table low', /rows of partitions that were dropped after that moment cannot come back/],
        ['alter table t detach partition low', /3 row\(s\) were left alone: no partition takes them any more/],
      ] as const) {
        await partitioned();
        const at = await now();
        await client.query(`delete from t where id > 11; ${change}`);
        await refuses(at, /a partition was dropped or detached, and no event trigger told of it/);
        await client.query('select m23_sweep()');
        assert.match((await restored(at)).join(), said);
        assert.equal(await seen(), '11v11,12v12,13v13');
      }
    });
  });

  test('with their rows are named by m23.as_of', async () => {
    await partitioned();
    const at = await now();
    const notices: string[] = [];
    const hear = ({ message }: { message?: string }): number => notices.push(message ?? '');
    await client.query('drop table low; set client_min_messages = warning');
    client.on('notice', hear);
    const { rowCount } = await client.query(`select * from m23.as_of(null::t, '${TENANT}', timestamptz '${at}')`);
    assert.equal(rowCount, 3);
    client.off('notice', hear);
    await client.query('set client_min_messages = error');
    assert.match(notices.join(), /rows of partitions that were dropped after that moment cannot come back/);
  });
});

describe('another history begins', () => {
  for (const [how, change, reason] of [
    [
      'with another primary key',
      'alter table t drop constraint t_pkey, add primary key (tenant_id, id)',
      'the primary key was another',
    ],
    [
      'in another life of the database',
      `insert into m23.incarnations (fingerprint, since) values (m23.fingerprint(), clock_timestamp()); select m23.protect_table('t')`,
      'the database was restored or copied',
    ],
  ] as const) {
    test(how, async () => {
      await table();
      const at = await now();
      await client.query(change);
      assert.deepEqual(await reasons(), ['the table was not protected yet', reason]);
      await refuses(at, range(reason));
    });
  }

  test('after a restore or copy of the database, once the table is protected anew', async () => {
    await table();
    const at = await now();
    await client.query(
      `insert into m23.incarnations (fingerprint, since) values (m23.fingerprint(), clock_timestamp())`,
    );
    assert.equal((await windows())[0]?.earliest, null);
    await refuses(at, /the database was restored or copied since the table was protected/);
  });

  test('where a table was dropped, and where it was made again', async () => {
    const name = await table();
    await client.query('drop table t');
    assert.deepEqual(
      (await windows()).map(({ table_name, earliest }) => [table_name, earliest]),
      [[name, null]],
    );
    assert.match((await reasons()).at(-1)!, /the table was dropped while it was protected/);
    const at = await now();
    await client.query(
      `create table t (id int primary key, tenant_id uuid not null, v text); select m23.protect_table('t')`,
    );
    assert.equal((await windows()).length, 1);
    assert.ok((await reasons()).includes('the table was dropped and made again'));
    await refuses(at, range('the table was dropped and made again'));
  });

  test('for a tenant that was forgotten, and for no other', async () => {
    await table();
    const at = await now();
    await client.query(`select m23.forget_tenant('${TENANT}')`);
    assert.deepEqual((await reasons()).sort(), ['the table was not protected yet', 'the tenant was forgotten']);
    await refuses(at, range('the tenant was forgotten'));
    assert.deepEqual(await one(`m23.target_faults(gen_random_uuid()::text, '${at}', null)`), []);
    await client.query('delete from m23.forgotten');
  });

  test('where the log was dropped for its age', async () => {
    await table();
    const at = await now();
    await touch();
    await client.query(`update m23.settings set value = '0' where name in ('log_days', 'log_part_hours'); select m23.note_tick(); select m23.prune_logs(); select m23.note_tick(); select m23.prune_logs();
      update m23.settings set value = case name when 'log_days' then '30' else '24' end where name in ('log_days', 'log_part_hours')`);
    assert.deepEqual(await reasons(), ['the table was not protected yet', 'the log is kept for 30 days']);
    await refuses(at, range('the log is kept for 30 days'));
  });
});

describe('a clock that is set back', () => {
  test('is noticed at the next tick', async () => {
    await table();
    await client.query(
      `insert into m23.ticks (at, position, incarnation, native) select clock_timestamp() + interval '1 hour', position, incarnation, native from m23.ticks order by at desc limit 1; select m23.note_tick()`,
    );
    assert.equal(await one('select count(*)::int from m23.ticks where at > clock_timestamp()'), 0);
    assert.ok((await reasons()).includes('the clock was set back: these times came twice'));
    await client.query('select m23.note_tick()');
    assert.equal(await one('select count(*)::int from m23.clock_steps'), 1);
  });

  test('has times that are no moments, and others that are', async () => {
    await table();
    const [first, before] = [await now(), await values()];
    await touch();
    const [second, third] = [await now(), await now()];
    await client.query(`insert into m23.clock_steps (since, until, incarnation) select $1, $2, m23.incarnation()`, [
      second,
      third,
    ]);
    await refuses(second, /came twice; it can be from .* to .*, but for these/);
    await assert.rejects(
      client.query(`select * from m23.as_of(null::t, '${TENANT}', timestamptz '${second}')`),
      /the clock was set back/,
    );
    assert.equal(await restore(third), undefined);
    assert.equal(await restore(first), undefined);
    assert.equal(await values(), before);
  });
});

test('an ALTER TABLE that commits after a reader has looked at the table is no gap', async () => {
  await table();
  const before = await one<string>('select t::text from m23.protected_tables t');
  await client.query('alter table t add column more int');
  assert.notEqual(await one('select t::text from m23.protected_tables t'), before);
  assert.equal(await one('m23.was_off($1::m23.protected_tables, false)', [before]), false);
});

describe('the doctor', () => {
  const problems = async (): Promise<string> =>
    await one(
      `select string_agg(concat_ws(' ', topic, state, finding), chr(10)) from m23.doctor() where topic in ('log', 'locks')`,
    );

  test("tells a log that lies beyond the end of the server's own", async () => {
    await table();
    assert.equal(await problems(), null);
    await client.query(
      `update m23.ticks set wal = 'FFFFFFFF/0' where id = (select id from m23.ticks where incarnation = m23.incarnation() limit 1)`,
    );
    assert.match(
      await problems(),
      /^log problem gap: what was noted until .* lies beyond the present end of the server's log/,
    );
    await client.query(`update m23.ticks set wal = '0/1' where wal > pg_current_wal_insert_lsn()`);
  });

  test('tells that locks are not bounded where nothing is counted', async () => {
    await client.query('set track_counts = off');
    assert.match(await problems(), /^locks warning track_counts is off/);
    await client.query('reset track_counts');
  });
});

test('a trigger before the row that changes keys is followed, though nobody has seen it come', async () => {
  const name = await table();
  const [at, before] = [await now(), await values()];
  await unseen(
    `create function move() returns trigger language plpgsql as 'begin new.id := new.id + 100; return new; end'; create trigger move before update on ${name} for each row execute function move()`,
  );
  await client.query(`update ${name} set v = 'moved'`);
  assert.equal(await restore(at), undefined);
  assert.equal(await values(), before);
});
