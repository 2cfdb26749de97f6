// What a restore does when a table has another shape now than at the moment it goes back to.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { actAsOwner, type Outcome, openDatabase, recover } from '../fixtures/database.ts';
import { eventually } from '../fixtures/time.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

let schemas = 0;

const { postgres, client, now } = await openDatabase();

before(async () => {
  await actAsOwner(client, TENANT, OWNER);
});

/** A table `t` of ten rows in a schema of its own, protected; gives its name for `tables`. */
async function table(): Promise<string> {
  schemas += 1;
  await client.query(`create schema s${schemas}; set search_path = s${schemas}, public;
    create table t (id int primary key, tenant_id uuid not null, a text, n int); select m23.protect_table('t');
    insert into t select n, '${TENANT}', 'a' || n, n from generate_series(1, 10) n`);
  return `s${schemas}.t`;
}

async function restore(name: string | null, targetTimestamp: string): Promise<Outcome> {
  return await recover(client, TENANT, OWNER, { targetTimestamp, ...(name === null ? {} : { tables: [name] }) });
}

async function rows(columns: string): Promise<unknown[][]> {
  return (await client.query({ text: `select ${columns} from t order by id`, rowMode: 'array' })).rows as unknown[][];
}

/** Who tells the capture of an ALTER TABLE: the event trigger, or nobody, as where none may be made. */
async function follow(followed: boolean): Promise<void> {
  await client.query(`alter event trigger m23_follow_ddl ${followed ? 'enable always' : 'disable'}`);
}

for (const followed of [true, false]) {
  describe(`a restore to before${followed ? '' : ', where no event trigger tells of it,'}`, () => {
    before(() => follow(followed));
    after(() => follow(true));

    test('a column was added gives rows that are there their present value, and rows that come back its default', async () => {
      const name = await table();
      const at = await now();
      await client.query(
        `delete from t where id = 1; alter table t add column extra text default 'unset'; update t set extra = 'kept', a = 'new' where id = 2; delete from t where id = 3; delete from t where id = 4`,
      );
      const done = await restore(name, at);
      assert.deepEqual(done.warnings, [
        `${name}.extra was added since; rows that are there keep theirs, and those that come back get its default`,
      ]);
      assert.deepEqual((await rows('id, a, n, extra')).slice(0, 5), [
        [1, 'a1', 1, 'unset'],
        [2, 'a2', 2, 'kept'],
        [3, 'a3', 3, 'unset'],
        [4, 'a4', 4, 'unset'],
        [5, 'a5', 5, 'unset'],
      ]);
    });

    test('a column was just added gives rows that are there their present value', async () => {
      const name = await table();
      const at = await now();
      await client.query(`update t set a = 'new' where id = 2; delete from t where id = 3`);
      await client.query(`alter table t add column extra int default 7`);
      const done = await restore(name, at);
      assert.deepEqual(done.warnings, [
        `${name}.extra was added since; rows that are there keep theirs, and those that come back get its default`,
      ]);
      assert.deepEqual((await rows('id, a, n, extra')).slice(1, 3), [
        [2, 'a2', 2, 7],
        [3, 'a3', 3, 7],
      ]);
    });

    test('a column was dropped gives back the others, and says so', async () => {
      const name = await table();
      const at = await now();
      await client.query(`update t set a = 'new', n = 0; alter table t drop column a; delete from t where id > 5`);
      const done = await restore(name, at);
      assert.deepEqual(done.warnings, [`${name}.a was dropped since; its values cannot come back`]);
      assert.deepEqual(
        await rows('id, n'),
        Array.from({ length: 10 }, (_, n) => [n + 1, n + 1]),
      );
    });

    test('a column was renamed gives everything back, and has nothing to say', async () => {
      const name = await table();
      const at = await now();
      await client.query(
        `update t set a = 'new'; alter table t rename column a to title; update t set title = 'newer' where id < 5; delete from t where id = 5`,
      );
      assert.deepEqual((await restore(name, at)).warnings, []);
      assert.deepEqual(
        await rows('title'),
        Array.from({ length: 10 }, (_, n) => [`a${n + 1}`]),
      );
    });

    test('a column had another type converts its values, and says so', async () => {
      const name = await table();
      const at = await now();
      await client.query(
        `update t set n = 0 where id = 1; alter table t alter column n type text using 'n' || n; update t set n = 'x' where id in (1, 2); delete from t where id = 3`,
      );
      assert.deepEqual((await restore(name, at)).warnings, [
        `${name}.n has had another type then; its values were converted`,
      ]);
      assert.deepEqual(
        (await rows('n')).slice(0, 3),
        [['1'], ['n2'], ['n3']],
        'logged before the change: as it was; after it: as the change made it',
      );
    });

    test('a type that the old values do not fit is refused, and nothing is changed', async () => {
      const name = await table();
      const at = await now();
      await client.query(`update t set a = '7'; alter table t alter column a type int using a::int`);
      const before = await rows('id, a, n');
      const done = await restore(name, at);
      assert.equal(done.error?.code, 'CONFLICT');
      assert.deepEqual(done.error?.details, [
        `${name}.a: values of then do not fit the type integer, as it is now (it was text then); they can come back once it takes them`,
      ]);
      assert.deepEqual(await rows('id, a, n'), before);
    });

    test('several changes at once', async () => {
      const name = await table();
      const at = await now();
      const before = await rows('id, a');
      await client.query(`alter table t add column x int; update t set x = id, a = a || '!'; alter table t rename column a to b; alter table t alter column b type varchar(20);
        update t set b = 'gone' where id < 4; alter table t drop column x; alter table t add column x text default 'again'; delete from t where id = 9`);
      const done = await restore(name, at);
      assert.deepEqual(await rows('id, b'), before);
      assert.deepEqual((await rows('x'))[8], ['again']);
      assert.ok(
        done.warnings.some((warning) => warning.includes('x was added since')),
        JSON.stringify(done.warnings),
      );
    });
  });
}

describe('a restore to before', () => {
  test('the primary key was another is refused: another history has begun', async () => {
    const name = await table();
    const at = await now();
    await client.query('alter table t drop constraint t_pkey, add primary key (tenant_id, id)');
    await assert.rejects(restore(name, at), /VALIDATION_FAILED.*it can be from/s);
    const later = await now();
    await client.query('delete from t');
    await restore(name, later);
    assert.equal((await rows('id')).length, 10);
  });

  test('a key column had another type is refused as well, though the application may alter it', async () => {
    const name = await table();
    const at = await now();
    await client.query('alter table t alter column id type bigint');
    await assert.rejects(restore(name, at), /VALIDATION_FAILED.*the primary key was another.*it can be from/s);
    const later = await now();
    await client.query('delete from t where id < 3; update t set id = id + 100');
    await restore(name, later);
    assert.deepEqual(
      await rows('id'),
      Array.from({ length: 10 }, (_, n) => [String(n + 1)]),
    );
  });

  test('a table was dropped restores the others, and says what cannot come back', async () => {
    const gone = await table();
    const at = await table().then(now);
    await client.query(`drop table ${gone}; update t set a = 'new'`);
    assert.ok(
      (await restore(null, at)).warnings.includes(
        `${gone} was dropped while it was protected; its rows cannot come back`,
      ),
    );
    assert.deepEqual((await rows('a'))[0], ['a1']);
  });

  test('a table was exchanged for a copy says that the copy is not protected, once it is called so', async () => {
    const name = await table();
    const at = await now();
    await client.query(`create table copy (like t including all); insert into copy select * from t;
      begin; alter table t rename to old; alter table copy rename to t; commit; delete from t where id < 5`);
    const said = (await restore(null, at)).warnings.filter((warning) => warning.startsWith(name));
    const renamed = `s${schemas}.old`;
    assert.deepEqual(said, [
      `${name} was another table then, which is called ${renamed} now; ` +
        `the present ${name} is not protected, and is left as it is`,
    ]);
    assert.deepEqual(
      (await restore(null, await now())).warnings.filter((warning) => warning.startsWith(name)),
      [],
    );
  });

  test('rows of a partitioned table moved, and a partition was added, gives all of them back', async () => {
    const name = await table();
    await client.query(`drop table t; create table t (id int, tenant_id uuid not null, a text, place int, primary key (id, place)) partition by list (place);
      create table t1 partition of t for values in (1); create table t2 partition of t for values in (2); select m23.protect_table('t');
      insert into t select n, '${TENANT}', 'a' || n, 1 + n % 2 from generate_series(1, 10) n`);
    const before = await rows('id, a, place');
    const at = await now();
    await client.query(
      `create table t3 partition of t for values in (3); update t set place = 3 where id < 4; update t2 set a = 'x'; delete from t where id = 10; insert into t values (11, '${TENANT}', 'stray', 3)`,
    );
    await restore(name, at);
    assert.deepEqual(await rows('id, a, place'), before);
  });
});

describe('a migration is never refused for a trigger of ours:', () => {
  const trigger = `create trigger touch before update on t for each row
    execute function suppress_redundant_updates_trigger();`;
  const ways: [how: string, change: string][] = [
    ['a plain statement', 'alter table t alter id type bigint'],
    ['of a table with a trigger that may move rows', `${trigger} alter table t alter id type bigint`],
    ['in a block', 'do $$ begin alter table t alter id type bigint; end $$'],
    [
      'in a transaction that has written',
      'begin; update t set n = 0; alter table t alter id type bigint; update t set n = id; commit',
    ],
  ];
  for (const [how, change] of ways) {
    test(`a key column is retyped, ${how}`, async () => {
      const name = await table();
      await client.query(change);
      const [later, present] = [await now(), await rows('id, n')];
      await client.query('delete from t where id < 3; update t set id = id + 100');
      await restore(name, later);
      assert.deepEqual(await rows('id, n'), present);
      const faults = await client.query(`select m23.capture_fault(t) as fault from m23.protected_tables t
        where relid = 't'::regclass`);
      assert.deepEqual(faults.rows, [{ fault: null }]);
    });
  }

  test('one that fails, or is taken back, leaves the capture as it was', async () => {
    const name = await table();
    const [at, present] = [await now(), await rows('id, n')];
    await assert.rejects(
      client.query(`alter table t alter id type date using 'no date'::date`),
      /invalid input syntax for type date/,
    );
    await client.query('begin; savepoint s; alter table t alter id type bigint; rollback to s; commit');
    await client.query('delete from t where id < 3; update t set id = id + 100');
    await restore(name, at);
    assert.deepEqual(await rows('id, n'), present);
  });

  test('a table and its schema go to other names and places', async () => {
    const name = await table();
    const [at, present] = [await now(), await rows('id, n')];
    await client.query(`create schema away; alter table t set schema away; alter table away.t rename to u;
      update away.u set n = 0; alter schema away rename to far;
      delete from far.u where id < 3; alter table far.u set schema s${schemas}; update u set id = id + 100;
        alter table u rename to t; drop schema far`);
    await restore(name, at);
    assert.deepEqual(await rows('id, n'), present);
  });

  test('types that it uses are changed, and go with their columns', async () => {
    const name = await table();
    await client.query(`create type mood as enum ('ok', 'bad'); create type spot as (x int, y int);
      alter table t add m mood default 'ok', add s spot; update t set s = '(1,2)'`);
    const [at, present] = [await now(), await rows('id, n')];
    await client.query(`alter type mood rename to humour; alter type humour rename value 'bad' to 'sad';
      alter type spot add attribute z int; alter type spot drop attribute y`);
    await client.query(`update t set m = 'sad', s = '(3,4)' where id < 5; drop type humour cascade;
      delete from t where id < 3; update t set id = id + 100`);
    await restore(name, at);
    assert.deepEqual(await rows('id, n'), present);
  });

  test('nor where no event trigger tells of it', async () => {
    await follow(false);
    try {
      const name = await table();
      await client.query('alter table t alter id type bigint');
      await client.query('update t set id = id + 1 where id = 10; update t set n = 0');
      await client.query('select m23_sweep()');
      const [later, present] = [await now(), await rows('id, n')];
      await client.query('delete from t where id < 3; update t set id = id + 100');
      await restore(name, later);
      assert.deepEqual(await rows('id, n'), present);
    } finally {
      await follow(true);
    }
  });
});

describe('m23.as_of that waits for an ALTER TABLE', () => {
  async function lookBeside(alter: string, what = '*'): Promise<{ rows?: unknown[]; code?: string }> {
    const name = await table();
    const at = await now();
    const query = `select ${what} from m23.as_of(null::${name}, '${TENANT}', '${at}'::timestamptz) x`;
    await client.query(query); // a session that knows the shape does not wait before it begins
    const app = await postgres.connect();
    await app.query(`begin; alter table ${name} ${alter}`);
    const look = client.query(query).then(
      ({ rows }) => ({ rows }),
      (error: { code: string }) => ({ code: error.code }),
    );
    await eventually(
      async () =>
        (await app.query('select from pg_locks where relation = $1::regclass and not granted', [name])).rowCount,
      (waiting) => waiting === 1,
    );
    await app.query('commit');
    await app.end();
    assert.equal((await client.query(query)).rowCount, 10, 'asked again, it answers');
    return await look;
  }

  test('gives the columns that there were, when one is added', async () => {
    const { rows } = await lookBeside('add column more text default 1');
    assert.deepEqual(rows?.[0], { id: 1, tenant_id: TENANT, a: 'a1', n: 1 });
  });

  test('says so, when one is dropped', async () => {
    assert.deepEqual(await lookBeside('drop column a'), { code: '55006' });
  });

  test('gives named columns as one value; the server takes no whole row for it', async () => {
    const { rows } = await lookBeside('add column more text default 1', 'row(x.id, x.a)::text as image');
    assert.deepEqual(rows?.[0], { image: '(1,a1)' });
    assert.deepEqual(await lookBeside('add column more text default 1', 'x::text'), { code: '42804' });
  });
});

test('a plan of a table one of whose columns was renamed meanwhile says so, for the restore to begin again', async () => {
  const name = await table();
  await client.query('begin');
  await assert.rejects(
    client.query(`select m23.plan_table(m23.new_target(t, m23.moment_of(m23.current_position()),
      p_columns => '{id,tenant_id,former,n}', p_path => '', p_kept => '{}'), '${TENANT}')
    from m23.protected_tables t where t.relid = '${name}'::regclass`),
    { code: '42703' },
  );
  await client.query('rollback');
});

describe('an ALTER TABLE of which no event trigger tells lets every write pass, and loses nothing:', () => {
  before(() => follow(false));
  after(() => follow(true));

  const position = async (): Promise<string> =>
    (await client.query<{ at: string }>('select m23.current_position()::text as at')).rows[0]!.at;
  const images = async (at?: string): Promise<unknown[]> =>
    (
      await client.query(
        `select x::text from ${at === undefined ? 't' : `m23.as_of(null::t, '${TENANT}', '${at}'::pg_snapshot)`} x order by 1`,
      )
    ).rows as unknown[];
  /** Writes, and looks back to before. */
  async function isLogged(write: string): Promise<void> {
    const [at, present] = [await position(), await images()];
    await client.query(write);
    assert.deepEqual(await images(at), present, write);
  }

  const changes: [what: string, change: string][] = [
    ['a column dropped', 'alter table t drop column a'],
    ['a column renamed', 'alter table t rename column a to title'],
    ['the tenant column renamed', 'alter table t rename column tenant_id to owner'],
    ['the key renamed', 'alter table t rename column id to number'],
    ['a column added', 'alter table t add column extra int default 7'],
    ['a column retyped', `alter table t alter column n type text using 'n' || n`],
    [
      'a column retyped so that its values would still fit, but for a part',
      'alter table t alter column n type numeric using n + 0.5',
    ],
    ['a column dropped and made again', 'alter table t drop column n; alter table t add column n date'],
  ];
  for (const [what, change] of changes) {
    test(what, async () => {
      await table();
      await client.query(change);
      const key = change.includes('column id') ? 'number' : 'id';
      const owner = change.includes('tenant_id') ? 'owner' : 'tenant_id';
      const writes = [
        `insert into t (${key}, ${owner}) values (11, '${TENANT}')`,
        `update t set n = n where ${key} < 4`,
        `delete from t where ${key} < 4`,
        `update t set ${key} = ${key} + 100`,
        'truncate t',
      ];
      for (const write of writes) {
        // each is the first to find the table altered
        await client.query('begin');
        await isLogged(write);
        await client.query('rollback');
      }
      for (const write of writes) await isLogged(write);
    });
  }

  test('a row moved to another partition', async () => {
    await table();
    await client.query(`drop table t; create table t (id int, tenant_id uuid not null, a text, place int, primary key (id, place)) partition by list (place);
      create table t1 partition of t for values in (1); create table t2 partition of t for values in (2); select m23.protect_table('t');
      insert into t select n, '${TENANT}', 'a' || n, 1 + n % 2 from generate_series(1, 10) n; alter table t rename column place to spot; alter table t drop column a`);
    await isLogged('update t set spot = 3 - spot where id < 4');
    await isLogged('update t2 set id = id + 100');
  });

  test('a column added to a table with a generated one, for a session that has written to it', async () => {
    await table();
    await client.query('alter table t add size int generated always as (length(a)) stored; update t set n = n');
    await client.query(`update t set n = n; alter table t add extra text; update t set extra = 'first'`);
    await isLogged(`update t set extra = 'second'`);
  });

  test('two writers at once', async () => {
    await table();
    await client.query('alter table t add column extra int; alter table t drop column a');
    const [at, present] = [await position(), await images()];
    const other = await postgres.connect();
    try {
      await client.query('begin; update t set extra = 1 where id = 1');
      const second = other.query(`update s${schemas}.t set extra = 2 where id = 2`);
      await client.query('commit');
      await second;
    } finally {
      await other.end();
    }
    assert.deepEqual(await images(at), present);
  });

  test('a function that is still running while another session writes all of them anew', async () => {
    await table();
    const {
      rows: [running],
    } = await client.query<{
      sql: string;
    }>(`select pg_get_functiondef(to_regprocedure('m23_log.update_' || t.id || '()')) as sql
      from m23.protected_tables t where t.relid = 't'::regclass`);
    await client.query(
      'alter table t add column extra int; alter table t drop column a; update t set extra = 1 where id = 1',
    );
    const [at, present] = [await position(), await images()];
    await client.query(running?.sql ?? '');
    await isLogged('update t set extra = 2 where id = 2');
    assert.deepEqual(await images(at), present);
  });

  test('a statement over ten thousand tenants', async () => {
    await table();
    const present = await images();
    await client.query(
      `insert into t select n, gen_random_uuid(), 'a', n from generate_series(11, 10010) n; alter table t add column extra int`,
    );
    const at = await position();
    await client.query('update t set extra = id');
    assert.deepEqual(
      await images(at),
      present.map((row) => ({ x: (row as { x: string }).x.replace(')', ',)') })),
    );
  });

  test('another key, of which earlier moments know nothing, is a gap until the table is protected again', async () => {
    const name = await table();
    const at = await now();
    const writes = `insert into t values (11, '${TENANT}', 'a', 1); update t set id = id + 100 where id < 3; update t set n = 0; delete from t where id = 5`;
    await client.query('alter table t drop constraint t_pkey');
    await client.query(writes);
    await client.query('alter table t add primary key (tenant_id, id)');
    await client.query(writes.replaceAll('11,', '12,'));
    await assert.rejects(restore(name, at), /VALIDATION_FAILED/);
    await assert.rejects(restore(name, await now()), /VALIDATION_FAILED/);
    await client.query(`select m23.protect_table('t')`);
    const later = await now();
    const present = await rows('id, n');
    await client.query('update t set id = id + 1000; delete from t where n = 0');
    await restore(name, later);
    assert.deepEqual(await rows('id, n'), present);
  });
});
