// A dry run foresees: what an execution would refuse, it says before, in the same words.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import {
  actAsOwner,
  type Outcome,
  openDatabase,
  type Preview,
  preview,
  recover,
  rowTexts,
} from '../fixtures/database.ts';
import { databaseTime } from '../fixtures/time.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

let schemas = 0;

const { postgres, client } = await openDatabase();

before(async () => {
  await actAsOwner(client, TENANT, OWNER);
  await client.query('create extension if not exists btree_gist');
});

/** A protected table `t` of five rows in a schema of its own, changed afterwards; gives the moment before. */
async function changed(columns: string, values: string, since: string): Promise<{ name: string; at: string }> {
  schemas += 1;
  const name = `r${schemas}.t`;
  await client.query(`create schema r${schemas}; set search_path = r${schemas}, public;
    create table t (id int primary key, tenant_id uuid not null, ${columns}); select m23.protect_table('t');
    insert into t select n, '${TENANT}', ${values} from generate_series(1, 5) n`);
  const at = await databaseTime(client);
  await client.query(since);
  return { name, at };
}

const restore = (name: string, targetTimestamp: string, more: object = {}): Promise<Outcome> =>
  recover(client, TENANT, OWNER, { targetTimestamp, tables: [name], ...more });
const dryRun = (name: string, targetTimestamp: string): Promise<Preview> =>
  preview(client, TENANT, OWNER, { targetTimestamp, tables: [name], dryRun: true });
const rows = (): Promise<string[]> => rowTexts(client, 'select * from t');

/** A refusal of the database as the functions tell it. */
const asTold = (error: Outcome['error']): Preview['wouldFail'] | undefined =>
  error && {
    code: error.code,
    error: `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`,
    details: error.details,
  };

/** Looks at a restore, then makes it: both say the same, and nothing is changed. Gives the details. */
async function refused(name: string, at: string): Promise<string[]> {
  const live = await rows();
  const { wouldFail } = await dryRun(name, at);
  assert.ok(wouldFail, 'foreseen');
  assert.deepEqual(await rows(), live);
  const { error } = await restore(name, at);
  assert.deepEqual(wouldFail, asTold(error));
  assert.equal(wouldFail.code, 'CONFLICT');
  assert.deepEqual(await rows(), live, 'nothing was changed');
  return wouldFail.details;
}

describe('a dry run and the execution refuse alike', () => {
  const cases: { what: string; columns: string; values: string; since: string; details: RegExp[] }[] = [
    {
      what: 'a column that may not be null any more',
      columns: 'v text',
      values: `nullif('v' || n, 'v2')`,
      since: `update t set v = 'set' where v is null; alter table t alter v set not null`,
      details: [
        /^r\d+\.t\.v: 1 row\(s\) have no value, and the column must have one now; .* name a function that fills it$/,
      ],
    },
    {
      what: 'a column that was added, filled and made NOT NULL, of a row that was deleted before',
      columns: 'v text',
      values: `'v' || n`,
      since: `delete from t where id = 1; alter table t add status text; update t set status = 'old'; alter table t alter status set not null`,
      details: [/^r\d+\.t\.status: 1 row\(s\) have no value/],
    },
    {
      what: 'a check that was added since',
      columns: 'v int',
      values: '-n',
      since: 'update t set v = id; alter table t add constraint above_zero check (v > 0)',
      details: [/^r\d+\.t: 5 row\(s\) would break the constraint "above_zero": CHECK \(\(v > 0\)\); /],
    },
    {
      what: 'a check of a generated column',
      columns: 'v int, twice int generated always as (v * 2) stored',
      values: '-n',
      since: 'update t set v = id; alter table t add constraint twice_above_zero check (twice > 0)',
      details: [/would break the constraint "twice_above_zero"/],
    },
    {
      what: 'several rules at once',
      columns: 'v int, w text',
      values: 'case when n > 1 then -n end, null',
      since: `update t set v = id, w = 'w'; alter table t alter v set not null, alter w set not null, add constraint c check (v > 0)`,
      details: [/t\.v: 1 row/, /t\.w: 5 row/, /"c"/],
    },
    {
      what: 'a unique index that was added since',
      columns: 'v text',
      values: `'same'`,
      since: 'update t set v = id; create unique index only_one on t (v)',
      details: [/^r\d+\.t: 5 row\(s\) would break "only_one", which allows no two rows alike/],
    },
    {
      what: 'a unique constraint that is deferred',
      columns: 'v text',
      values: `'same'`,
      since: 'update t set v = id; alter table t add constraint late unique (v) deferrable initially deferred',
      details: [/would break "late"/],
    },
    {
      what: 'an exclusion constraint that was added since',
      columns: 'v int4range',
      values: 'int4range(1, 10)',
      since:
        'update t set v = int4range(id * 10, id * 10 + 1); alter table t add constraint apart exclude using gist (v with &&)',
      details: [/would break "apart"/],
    },
    {
      what: 'a type that is shorter now',
      columns: 'v text',
      values: `'long' || n`,
      since: `update t set v = 'x'; alter table t alter v type varchar(3)`,
      details: [/^r\d+\.t\.v: values of then do not fit the type character varying\(3\), as it is now/],
    },
    {
      what: 'a number that is smaller now',
      columns: 'v numeric',
      values: '12345.5',
      since: 'update t set v = 1; alter table t alter v type numeric(4, 1)',
      details: [/t\.v: values of then do not fit the type numeric\(4,1\)/],
    },
    {
      what: 'another type',
      columns: 'v text',
      values: `'long' || n`,
      since: `update t set v = '7'; alter table t alter v type int using v::int`,
      details: [/t\.v: values of then do not fit the type integer/],
    },
  ];
  for (const { what, columns, values, since, details } of cases) {
    test(what, async () => {
      const { name, at } = await changed(columns, values, since);
      const said = await refused(name, at);
      assert.equal(said.length, details.length, said.join('\n'));
      for (const [n, expected] of details.entries()) assert.match(said[n] ?? '', expected);
    });
  }

  test('a domain whose check was added since', async () => {
    await client.query('create domain public.mark as int');
    const { name, at } = await changed(
      'v public.mark',
      '-n',
      'update t set v = id; alter domain public.mark add constraint up check (value > 0)',
    );
    assert.match(
      (await refused(name, at)).join(),
      /t\.v: values of then do not fit the type public\.mark, as it is now \(up\)/,
    );
  });

  test('a type of one table, and the preview of the others is there', async () => {
    const { name } = await changed(
      'v text',
      `'long' || n`,
      `create table u (id int primary key, tenant_id uuid not null);
      select m23.protect_table('u'); insert into u values (1, '${TENANT}')`,
    );
    const at = await databaseTime(client);
    await client.query(`update t set v = 'x'; alter table t alter v type varchar(3); delete from u`);
    const other = name.replace('.t', '.u');
    const seen = await preview(client, TENANT, OWNER, { targetTimestamp: at, tables: [name, other], dryRun: true });
    assert.match(seen.wouldFail?.details.join() ?? '', /t\.v: values of then do not fit/);
    assert.deepEqual(Object.keys(seen.previewChanges), [other]);
    assert.equal(seen.stats.insertCount, 1);
  });

  test('a rollback', async () => {
    const { name } = await changed('v int', '-n', '');
    const {
      rows: [snapshot],
    } = await client.query<{ id: string }>(`select public.create_pitr_snapshot($1, 'before', array[$2], $3) as id`, [
      TENANT,
      name,
      OWNER,
    ]);
    await client.query('update t set v = id; alter table t add constraint above_zero check (v > 0)');
    const { wouldFail } = await preview(client, TENANT, OWNER, { snapshotId: snapshot?.id, dryRun: true });
    const { error } = await recover(client, TENANT, OWNER, { snapshotId: snapshot?.id });
    assert.deepEqual(wouldFail, asTold(error));
  });

  test('a restore that is running', async () => {
    const { name, at } = await changed('v int', 'n', 'update t set v = 0');
    const other = await postgres.connect();
    try {
      await other.query(
        `insert into m23.restore_work (work_id, tenant_id, kind, moment) values (gen_random_uuid(), '${TENANT}', 'pitr', m23.moment_of(pg_current_snapshot()))`,
      );
      await other.query(
        "insert into m23.leases (work_id, token, until, taken) select work_id, gen_random_uuid(), clock_timestamp() + interval '1 minute', 1 from m23.restore_work",
      );
      assert.equal((await dryRun(name, at)).wouldFail?.code, 'RESTORE_IN_PROGRESS');
      await assert.rejects(restore(name, at), /RESTORE_IN_PROGRESS/);
    } finally {
      await other.query('delete from m23.leases; delete from m23.restore_work');
      await other.end();
    }
  });

  test('nothing that both can do', async () => {
    const { name, at } = await changed('v int', 'n', 'update t set v = 0');
    const seen = await dryRun(name, at);
    assert.equal(seen.wouldFail, undefined);
    assert.equal(seen.truncated, undefined);
    assert.equal((await restore(name, at, { planHash: seen.planHash })).rows_restored, 5);
  });
});

describe('what is invalid is refused by a dry run as by the execution:', () => {
  async function alike(body: Record<string, unknown>, expected: RegExp): Promise<void> {
    const said = async (attempt: Promise<unknown>): Promise<string> => {
      const thrown = await attempt.then(
        (value) => (value as Outcome).error ?? value,
        (error: unknown) => JSON.parse((error as Error).message) as unknown,
      );
      const { code, message, details } = thrown as { code: string; message: string; details: unknown };
      // The time up to which one can go back goes on.
      const list: unknown = typeof details === 'string' ? JSON.parse(details) : details; // as PostgREST is told of it
      return JSON.stringify([code, message, list]).replaceAll(/ to \d{4}-\d\d-\d\dT[\d:.]+Z/g, ' to now');
    };
    const dry = await said(preview(client, TENANT, OWNER, { ...body, dryRun: true }));
    assert.match(dry, expected);
    assert.equal(await said(recover(client, TENANT, OWNER, body)), dry);
  }

  test('a moment in the future', async () => {
    const { name } = await changed('v int', 'n', '');
    await alike({ targetTimestamp: '2999-01-01T00:00:00Z', tables: [name] }, /VALIDATION_FAILED.*is in the future/);
  });

  test('a moment before the history begins', async () => {
    const { name } = await changed('v int', 'n', '');
    await alike(
      { targetTimestamp: '2000-01-01T00:00:00Z', tables: [name] },
      /VALIDATION_FAILED.*before the history begins/,
    );
  });

  test('a choice of tables that would break a foreign key', async () => {
    const { name } = await changed('v int', 'n', '');
    await client.query(`create table kid (id int primary key, tenant_id uuid not null, t int references t); select m23.protect_table('kid');
      insert into kid values (1, '${TENANT}', 1)`);
    const at = await databaseTime(client);
    await client.query('delete from kid; delete from t');
    await alike(
      { targetTimestamp: at, tables: [name.replace('.t', '.kid')] },
      /VALIDATION_FAILED.*would break foreign keys.*add/,
    );
  });

  test('a table whose capture is suspended', async () => {
    const { name, at } = await changed('v int', 'n', 'alter table t set unlogged');
    await alike({ targetTimestamp: at, tables: [name] }, /VALIDATION_FAILED/);
  });

  test('a snapshot that is not there', async () => {
    await alike({ snapshotId: '00000000-0000-4000-8000-000000000000' }, /SNAPSHOT_NOT_FOUND/);
  });
});

describe('a NOT NULL column that was added and filled', () => {
  const migration = `delete from t where id = 1; alter table t add status text; update t set status = 'kept' || id; alter table t alter status set not null`;

  test('keeps its value where there is a row', async () => {
    const { name, at } = await changed(
      'v int',
      'n',
      migration.replace('delete from t where id = 1', 'update t set v = 0'),
    );
    assert.equal((await dryRun(name, at)).wouldFail, undefined);
    await restore(name, at);
    assert.deepEqual((await rows()).slice(0, 2), [`(1,${TENANT},1,kept1)`, `(2,${TENANT},2,kept2)`]);
  });

  test('gets its default where there is none', async () => {
    const { name, at } = await changed('v int', 'n', `${migration}; alter table t alter status set default 'usual'`);
    await restore(name, at);
    assert.deepEqual((await rows()).slice(0, 2), [`(1,${TENANT},1,usual)`, `(2,${TENANT},2,kept2)`]);
  });

  test('gets what a function makes of the row where there is none, whatever the default says', async () => {
    const { name, at } = await changed(
      'v int',
      'n',
      `${migration}; alter table t alter status set default 'usual';
      create function filled(t) returns varchar language sql as $$ select 'made of ' || $1.v $$; select m23.set_fill('t', 'status', 'filled(t)')`,
    );
    const seen = await dryRun(name, at);
    assert.equal((await restore(name, at, { planHash: seen.planHash })).error, undefined);
    assert.deepEqual((await rows()).slice(0, 2), [`(1,${TENANT},1,"made of 1")`, `(2,${TENANT},2,kept2)`]);
  });

  test('gets another value each time where its default says so, and the plan holds', async () => {
    const { name, at } = await changed(
      'v int',
      'n',
      `${migration}; alter table t alter status set default gen_random_uuid()::text`,
    );
    const seen = await dryRun(name, at);
    assert.equal((await restore(name, at, { planHash: seen.planHash })).error, undefined);
    assert.equal((await rows()).length, 5);
  });

  test('a column that must have a value since is filled by a function, where the row of now has none either', async () => {
    const { name, at } = await changed(
      'v text',
      'null',
      `update t set v = 'now' || id; delete from t where id = 1; alter table t alter v set not null;
      create function nothing() returns text language sql as $$ select 'none' $$; select m23.set_fill('t', 'v', 'nothing()')`,
    );
    await restore(name, at);
    assert.deepEqual((await rows()).slice(0, 2), [`(1,${TENANT},none)`, `(2,${TENANT},now2)`]);
  });

  test('a function that does not fit is refused when it is named', async () => {
    await changed(
      'v int',
      'n',
      `create function words() returns text language sql as 'select $$x$$'; create function odd(int) returns int language sql as 'select 1'`,
    );
    const set = (column: string, fill: string): Promise<unknown> =>
      client.query(`select m23.set_fill('t', $1, $2)`, [column, fill]);
    await assert.rejects(set('v', 'words()'), /gives text, and v is integer/);
    await assert.rejects(set('v', 'odd(int)'), /must take nothing, or one row/);
    await assert.rejects(set('id', 'words()'), /no column id that could be filled/);
    await assert.rejects(client.query(`select m23.set_fill('m23.settings', 'value', null)`), /is not protected/);
    await client.query(`select m23.set_fill('t', 'v', null)`);
  });
});

describe('a preview', () => {
  test('shows json that jsonb does not take as text', async () => {
    const { name, at } = await changed(
      'v json',
      String.raw`('{"a": "\u0000", "n": ' || n || '}')::json`,
      'delete from t where id > 1; update t set v = null',
    );
    const seen = await dryRun(name, at);
    assert.deepEqual(seen.previewChanges[name]?.[0]?.then, { v: String.raw`{"a": "\u0000", "n": 1}` });
    assert.equal(seen.previewChanges[name]?.length, 5);
  });

  test('ends at 1 MB, says so, and gives the rest by pages', async () => {
    const { name, at } = await changed('v text', `repeat('x', 400000)`, 'delete from t');
    const seen = await dryRun(name, at);
    assert.equal(seen.truncated, true);
    assert.equal(seen.previewChanges[name]?.length, 2);
    assert.equal(seen.changeCounts[name], 5);
    assert.ok(JSON.stringify(seen).length < 1_000_000);
    const keys: number[] = [];
    for (let offset = 0; offset < 5; ) {
      const {
        rows: [page],
      } = await client.query<{ page: { key: { id: number } }[] }>(
        'select public.get_pitr_preview_page($1, $2, $3) as page',
        [seen.previewId, name, offset],
      );
      keys.push(...page!.page.map(({ key }) => key.id));
      offset += page!.page.length;
    }
    assert.deepEqual(keys, [1, 2, 3, 4, 5]);
  });

  test('shows nothing of a row that is larger, and a page shows that row', async () => {
    const { name, at } = await changed('v text', `repeat('x', 1500000)`, 'delete from t');
    const seen = await dryRun(name, at);
    assert.deepEqual([seen.truncated, seen.previewChanges[name]], [true, []]);
    const {
      rows: [page],
    } = await client.query<{ page: unknown[] }>('select public.get_pitr_preview_page($1, $2, 4) as page', [
      seen.previewId,
      name,
    ]);
    assert.equal(page?.page.length, 1);
  });
});

test('a snapshot that was used says when, and by which rollback', async () => {
  const { name } = await changed('v int', 'n', '');
  const {
    rows: [snapshot],
  } = await client.query<{ id: string }>(`select public.create_pitr_snapshot($1, 'before', array[$2], $3) as id`, [
    TENANT,
    name,
    OWNER,
  ]);
  await client.query('update t set v = 0');
  await recover(client, TENANT, OWNER, { snapshotId: snapshot?.id });
  const {
    rows: [used],
  } = await client.query<{ id: string; undo: string }>(
    'select id, pre_rollback_snapshot_id as undo from public.pitr_rollbacks where snapshot_id = $1',
    [snapshot?.id],
  );
  const said = new RegExp(
    `SNAPSHOT_NOT_FOUND.*this snapshot was used at \\d{4}-.* by the rollback ${used?.id}; the snapshot ${used?.undo} undoes that`,
    's',
  );
  await assert.rejects(recover(client, TENANT, OWNER, { snapshotId: snapshot?.id }), said);
  await assert.rejects(preview(client, TENANT, OWNER, { snapshotId: snapshot?.id }), said);
});
