// Rows that cannot be as they were, because a row that they need is not there and cannot come: `onBlocked` says what
// becomes of them.
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
import { eventually } from '../fixtures/time.ts';
import { assertWarned, leftAlone, skipped } from '../fixtures/warnings.ts';

const ACME = '11111111-1111-4111-8111-111111111111';
const BIRCH = '22222222-2222-4222-8222-222222222222';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

type OnBlocked = 'refuse' | 'skip' | 'null';

const { postgres, client, now } = await openDatabase();

before(async () => {
  await actAsOwner(client, ACME, OWNER);
  await client.query('create schema if not exists auth; create table if not exists auth.users (id uuid primary key)');
});

let places = 0;

/** Tables in a schema of its own, which are protected but for those that are named. */
async function place(sql: string, unprotected: string[] = []): Promise<string> {
  places += 1;
  const schema = `b${places}`;
  await client.query(`create schema ${schema}; set search_path = ${schema}; ${sql}`);
  await client.query(
    `select m23.protect_table(c.oid::regclass) from pg_class c
      where relnamespace = $1::regnamespace and relkind in ('r', 'p') and not relispartition and relname <> all ($2)`,
    [schema, unprotected],
  );
  return schema;
}

/** The protected tables of the place. */
async function tablesOf(schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select $1 || '.' || c.relname as name from m23.protected_tables t join pg_class c on c.oid = t.relid
      where c.relnamespace = $1::regnamespace order by 1`,
    [schema],
  );
  return rows.map(({ name }) => name);
}

const rows = (sql: string): Promise<string[]> => rowTexts(client, sql);

/** All rows of the place's protected tables. */
async function everything(schema: string): Promise<string[]> {
  const tables = await tablesOf(schema);
  return await rows(tables.map((name) => `select '${name} ' || t::text from ${name} t`).join(' union all '));
}

/** A refusal of the database as the functions tell it. */
const asTold = (error: Outcome['error']): Preview['wouldFail'] | undefined =>
  error && {
    code: error.code,
    error: `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`,
    details: error.details,
  };

/** What a call asks for: a moment, or a snapshot. */
type Ask = Record<string, unknown>;

const toMoment = async (schema: string, at: string): Promise<Ask> => ({
  targetTimestamp: at,
  tables: await tablesOf(schema),
});

/** The dry run and then the execution, which say the same. Gives the warnings. */
async function done(ask: Ask, onBlocked?: OnBlocked): Promise<{ outcome: Outcome; seen: Preview }> {
  const body = { ...ask, ...(onBlocked === undefined ? {} : { onBlocked }) };
  const seen = await preview(client, ACME, OWNER, body);
  const outcome = await recover(client, ACME, OWNER, { ...body, planHash: seen.planHash });
  assert.equal(outcome.error, undefined, JSON.stringify(outcome.error));
  assert.equal(seen.wouldFail, undefined);
  assert.deepEqual(outcome.warnings, seen.warnings);
  assert.equal(outcome.rows_restored, seen.stats.totalOperations);
  assert.equal(
    Object.values(seen.changeCounts).reduce((sum, count) => sum + count, 0),
    seen.stats.totalOperations,
  );
  if (!('snapshotId' in ask)) {
    const again = await preview(client, ACME, OWNER, body);
    const blocked = ({ warnings }: Preview): string[] =>
      warnings.filter((warning) => !/fire always/.test(warning)).sort();
    assert.equal(again.stats.totalOperations, 0, 'what can be as it was is');
    assert.deepEqual(blocked(again), blocked(seen));
  }
  return { outcome, seen };
}

/** Refused by the dry run and by the execution alike, which changes nothing. Gives the details. */
async function refused(schema: string, ask: Ask): Promise<string[]> {
  const live = await everything(schema);
  const { wouldFail } = await preview(client, ACME, OWNER, ask);
  const { error } = await recover(client, ACME, OWNER, ask);
  assert.deepEqual(wouldFail, asTold(error));
  assert.equal(error?.code, 'CONFLICT');
  assert.equal(error.message, 'rows are blocked by references that cannot be kept; nothing was changed');
  assert.deepEqual(await everything(schema), live, 'nothing was changed');
  const chosen = await recover(client, ACME, OWNER, { ...ask, onBlocked: 'refuse' });
  assert.deepEqual(chosen.error, error, 'that is what is done where nothing is said');
  return error.details;
}

const user = (n: number): string => `dddddddd-0000-4000-8000-00000000000${n}`;

describe('a deleted user', () => {
  /** Orders that may have a user, and memberships that must; user 2 is deleted, and then orders are lost. */
  async function deleted(): Promise<{ schema: string; at: string }> {
    await client.query(`insert into auth.users (id) values ('${user(1)}'), ('${user(2)}') on conflict do nothing`);
    const schema = await place(`
      create table orders (id int primary key, tenant_id uuid not null, total int,
        created_by uuid references auth.users on delete set null);
      create table members (id int primary key, tenant_id uuid not null,
        user_id uuid not null references auth.users on delete cascade);
      create table badges (id int primary key, tenant_id uuid not null, member int not null references members on delete cascade);
      create table notes (id int primary key, tenant_id uuid not null, member int references members on delete cascade);
      insert into orders select n, '${ACME}', n, case when n < 6 then '${user(1)}' else '${user(2)}' end::uuid
        from generate_series(1, 10) n;
      insert into members values (1, '${ACME}', '${user(1)}'), (2, '${ACME}', '${user(2)}');
      insert into badges values (1, '${ACME}', 1), (2, '${ACME}', 2);
      insert into notes values (1, '${ACME}', 1), (2, '${ACME}', 2)`);
    const at = await now();
    await client.query(`delete from auth.users where id = '${user(2)}'; delete from orders where id in (1, 2, 9);
      update orders set total = 0 where id = 8`);
    return { schema, at };
  }

  test('refuses a restore, which names table, column, constraint and the way on', async () => {
    const { schema, at } = await deleted();
    assert.deepEqual(await refused(schema, await toMoment(schema, at)), [
      `${schema}.members.user_id (members_user_id_fkey): 1 row(s) of "${schema}.members" need rows of "auth.users" that ` +
        'do not exist; "auth.users" is not protected: put them back first, or set onBlocked: "skip" leaves these rows ' +
        'as they are, with what hangs on them',
      `${schema}.orders.created_by (orders_created_by_fkey): 5 row(s) of "${schema}.orders" need rows of "auth.users" that ` +
        'do not exist; "auth.users" is not protected: put them back first, or set onBlocked: "skip" leaves these rows ' +
        'as they are, with what hangs on them; "null" sets created_by null',
    ]);
  });

  test('by skip leaves the rows that need it as they are, with what hangs on them', async () => {
    const { schema, at } = await deleted();
    const { seen } = await done(await toMoment(schema, at), 'skip');
    assertWarned(
      seen.warnings,
      new RegExp(
        `^${schema}.badges: 1 row\\(s\\) were left as they are: they need rows of "${schema}.members" that are not there \\(${schema}.badges.member \\(badges_member_fkey\\)\\)$`,
      ),
      new RegExp(`^${schema}.members: 1 row\\(s\\) were left as they are: they need rows of "auth.users"`),
      new RegExp(`^${schema}.notes: 1 row\\(s\\) were left as they are: they need rows of "${schema}.members"`),
      new RegExp(`^${schema}.orders: 5 row\\(s\\) were left as they are: they need rows of "auth.users"`),
    );
    assert.deepEqual(await rows('select id, created_by, total from orders'), [
      `(1,${user(1)},1)`,
      '(10,,10)',
      ...[2, 3, 4, 5].map((n) => `(${n},${user(1)},${n})`),
      '(6,,6)',
      '(7,,7)',
      '(8,,0)',
    ]);
    assert.deepEqual(
      await rows('select id from members union all select id from badges union all select id from notes'),
      ['(1)', '(1)', '(1)'],
    );
  });

  test('by null brings the rows back without it, and leaves out what must have it', async () => {
    const { schema, at } = await deleted();
    const { seen } = await done(await toMoment(schema, at), 'null');
    assertWarned(
      seen.warnings,
      new RegExp(`^${schema}.badges: 1 row\\(s\\) were left as they are: they need rows of "${schema}.members"`),
      new RegExp(`^${schema}.members: 1 row\\(s\\) were left as they are: they need rows of "auth.users"`),
      new RegExp(
        `^${schema}.notes: 1 row\\(s\\) have no member: they need rows of "${schema}.members" that are not there`,
      ),
      new RegExp(
        `^${schema}.orders: 5 row\\(s\\) have no created_by: they need rows of "auth.users" that are not there \\(${schema}.orders.created_by \\(orders_created_by_fkey\\)\\)$`,
      ),
    );
    assert.deepEqual(
      seen.previewChanges[`${schema}.orders`]?.map(({ operation, key, then }) => [operation, key, then]),
      [
        ['insert', { id: 1 }, { id: 1, tenant_id: ACME, total: 1, created_by: user(1) }],
        ['insert', { id: 2 }, { id: 2, tenant_id: ACME, total: 2, created_by: user(1) }],
        ['update', { id: 8 }, { total: 8 }],
        ['insert', { id: 9 }, { id: 9, tenant_id: ACME, total: 9, created_by: null }],
      ],
      'a row that lacks nothing but the user is left as it is',
    );
    assert.deepEqual(await rows('select id, created_by is null, total from orders where id > 5'), [
      '(10,t,10)',
      '(6,t,6)',
      '(7,t,7)',
      '(8,t,8)',
      '(9,t,9)',
    ]);
    assert.deepEqual(await rows('select id, member from notes'), ['(1,1)', '(2,)']);
    assert.deepEqual(await rows('select id from badges'), ['(1)']);
  });

  test('may block the way back, which is taken by the same choice', async () => {
    const { schema, at } = await deleted();
    const before = await everything(schema);
    const { outcome } = await done(await toMoment(schema, at), 'null');
    const restored = await everything(schema);
    const undone = await done({ snapshotId: outcome.snapshot_id });
    assert.deepEqual(await everything(schema), before, 'a rollback of such a restore takes back just that');

    await client.query(`delete from auth.users where id = '${user(1)}'`);
    const redo = { snapshotId: undone.outcome.snapshot_id };
    const details = await refused(schema, redo);
    assert.match(details.join(), /5 row\(s\) of "b\d+\.orders" need rows of "auth\.users" that do not exist/);
    const { seen } = await done(redo, 'null');
    assert.match(seen.warnings.join(), /orders: 5 row\(s\) have no created_by/);
    assert.equal(
      (await rows('select id from orders')).length,
      restored.filter((row) => row.includes('.orders ')).length,
    );
  });

  test('makes another plan of each choice: a hash of one is none of another', async () => {
    const { schema, at } = await deleted();
    const ask = await toMoment(schema, at);
    const { planHash } = await preview(client, ACME, OWNER, { ...ask, onBlocked: 'skip' });
    const other = await recover(client, ACME, OWNER, { ...ask, onBlocked: 'null', planHash });
    assert.equal(other.error?.code, 'PLAN_CHANGED');
    await client.query(`insert into auth.users (id) values ('${user(2)}')`);
    const open = await preview(client, ACME, OWNER, { ...ask, onBlocked: 'skip' });
    const refusing = await recover(client, ACME, OWNER, { ...ask, planHash: open.planHash });
    assert.equal(refusing.error?.code, 'PLAN_CHANGED', 'not even where nothing is blocked');
  });

  test('shows the same rows on the pages of a preview', async () => {
    const { schema, at } = await deleted();
    const { previewId, previewChanges } = await preview(client, ACME, OWNER, {
      ...(await toMoment(schema, at)),
      onBlocked: 'null',
    });
    for (const [table, changes] of Object.entries(previewChanges)) {
      const page = await client.query<{ page: unknown }>('select public.get_pitr_preview_page($1, $2) as page', [
        previewId,
        table,
      ]);
      assert.deepEqual(page.rows[0]?.page, changes, table);
    }
  });
});

describe('by skip', () => {
  test('a row that others of its table hang on takes them along', async () => {
    const schema = await place(
      `create table kind (id int primary key); insert into kind values (1), (2);
      create table item (id int primary key, tenant_id uuid not null, kind int references kind on delete cascade,
        up int references item on delete cascade deferrable initially deferred);
      insert into item values (1, '${ACME}', 1, null), (2, '${ACME}', 2, 1), (3, '${ACME}', 1, 2), (4, '${ACME}', 1, 3),
        (5, '${ACME}', 1, 5), (6, '${ACME}', 1, 1)`,
      ['kind'],
    );
    const at = await now();
    await client.query('delete from kind where id = 2; delete from item');
    assert.equal((await refused(schema, await toMoment(schema, at))).length, 1, 'the row, and not what hangs on it');
    const { seen } = await done(await toMoment(schema, at), 'skip');
    assertWarned(
      seen.warnings,
      new RegExp(`^${schema}.item: 1 row\\(s\\) .* need rows of "${schema}.kind"`),
      new RegExp(`^${schema}.item: 2 row\\(s\\) .* need rows of "${schema}.item"`),
    );
    assert.deepEqual(await rows('select id from item'), ['(1)', '(5)', '(6)']);
  });

  test('a row is left once, whatever number of references blocks it, and a row that should go stays with it', async () => {
    const schema = await place(
      `create table kind (id int primary key); insert into kind values (1), (2);
      create table home (id int primary key, tenant_id uuid not null);
      create table item (id int primary key, tenant_id uuid not null, a int references kind, b int references kind,
        home int references home);
      insert into home values (1, '${ACME}'); insert into item values (1, '${ACME}', 1, 2, 1), (2, '${ACME}', 1, null, 1)`,
      ['kind'],
    );
    const at = await now();
    await client.query(`insert into home values (2, '${ACME}'), (3, '${ACME}');
      update item set a = null, b = null, home = 2; delete from kind`);
    const { seen } = await done(await toMoment(schema, at), 'skip');
    assertWarned(
      seen.warnings,
      leftAlone(`${schema}.home`, 1),
      new RegExp(`^${schema}.item: 2 row\\(s\\) were left as they are: they need rows of "${schema}.kind"`),
    );
    assert.deepEqual(await rows('select id, home from item'), ['(1,2)', '(2,2)']);
    assert.deepEqual(await rows('select id from home'), ['(1)', '(2)']);
  });

  test('a row that should go stays where a row of a table that is not protected needs it', async () => {
    const schema = await place(
      `create table parent (id int primary key, tenant_id uuid not null);
      create table visit (id int primary key, parent int references parent)`,
      ['visit'],
    );
    const at = await now();
    await client.query(`insert into parent values (1, '${ACME}'), (2, '${ACME}'); insert into visit values (1, 1)`);
    const { error } = await recover(client, ACME, OWNER, await toMoment(schema, at));
    assert.equal(error?.code, 'VALIDATION_FAILED');
    assert.deepEqual(error.details, [
      `tables: 1 row(s) of "${schema}.parent" would go, and rows of "${schema}.visit" need them; "${schema}.visit" is ` +
        'not protected: take them away first, or set onBlocked: "skip" leaves these rows as they are, with what hangs on them',
    ]);
    for (const choice of ['skip', 'null'] as const) {
      const { seen } = await done(await toMoment(schema, at), choice);
      assertWarned(
        seen.warnings,
        new RegExp(`^${schema}.parent: 1 row\\(s\\) were left as they are: rows of "${schema}.visit" need them`),
      );
      assert.deepEqual(await rows('select id from parent'), ['(1)']);
    }
  });
});

describe('by null', () => {
  test('only the columns of a composite reference that may be are set null, never the tenant or the key', async () => {
    const schema = await place(
      `create table place (tenant_id uuid, a int, b int, primary key (tenant_id, a, b));
      create table spot (a int, b int, primary key (a, b));
      insert into place values ('${ACME}', 1, 1), ('${ACME}', 2, 2); insert into spot values (1, 1), (2, 2);
      create table item (id int, tenant_id uuid, a int, b int not null, primary key (id),
        foreign key (tenant_id, a, b) references place);
      create table whole (id int primary key, tenant_id uuid, a int, b int, foreign key (a, b) references spot match full);
      create table half (id int primary key, tenant_id uuid, a int, b int not null,
        foreign key (a, b) references spot match full);
      create table listed (id int primary key, tenant_id uuid, a int, b int,
        foreign key (a, b) references spot on delete set null (b));
      create table keyed (a int, b int, tenant_id uuid, primary key (a, b), foreign key (a, b) references spot);
      insert into item values (1, '${ACME}', 1, 1), (2, '${ACME}', 2, 2);
      insert into whole select id, tenant_id, a, b from item; insert into half select id, tenant_id, a, b from item;
      insert into listed select id, tenant_id, a, b from item; insert into keyed select a, b, tenant_id from item`,
      ['place', 'spot'],
    );
    const at = await now();
    await client.query(
      'delete from item; delete from whole; delete from half; delete from listed; delete from keyed; delete from place where a = 2; delete from spot where a = 2',
    );
    const { seen } = await done(await toMoment(schema, at), 'null');
    assertWarned(
      seen.warnings,
      new RegExp(
        `^${schema}.half: 1 row\\(s\\) were left as they are: .* \\(${schema}.half.\\(a, b\\) \\(half_a_b_fkey\\)\\)$`,
      ),
      new RegExp(`^${schema}.item: 1 row\\(s\\) have no a: they need rows of "${schema}.place"`),
      new RegExp(`^${schema}.keyed: 1 row\\(s\\) were left as they are`),
      new RegExp(`^${schema}.listed: 1 row\\(s\\) have no b: they need rows of "${schema}.spot"`),
      new RegExp(`^${schema}.whole: 1 row\\(s\\) have no a and b: they need rows of "${schema}.spot"`),
    );
    assert.deepEqual(await rows('select * from item'), [`(1,${ACME},1,1)`, `(2,${ACME},,2)`]);
    assert.deepEqual(await rows('select * from whole'), [`(1,${ACME},1,1)`, `(2,${ACME},,)`]);
    assert.deepEqual(await rows('select * from listed'), [`(1,${ACME},1,1)`, `(2,${ACME},2,)`]);
    assert.deepEqual(await rows('select * from half'), [`(1,${ACME},1,1)`]);
    assert.deepEqual(await rows('select * from keyed'), [`(1,1,${ACME})`]);
  });

  test('each of two blocked references is set null; where one may not be, the row is skipped', async () => {
    const schema = await place(
      `create table kind (id int primary key); insert into kind values (1), (2), (3);
      create table item (id int primary key, tenant_id uuid not null, a int references kind, b int references kind);
      create table bound (id int primary key, tenant_id uuid not null, a int references kind, b int not null references kind);
      insert into item values (1, '${ACME}', 1, 2), (2, '${ACME}', 1, 3);
      insert into bound select * from item`,
      ['kind'],
    );
    const at = await now();
    await client.query('delete from item; delete from bound; delete from kind where id < 3');
    const { seen } = await done(await toMoment(schema, at), 'null');
    assertWarned(
      seen.warnings,
      new RegExp(`^${schema}.bound: 1 row\\(s\\) have no a`),
      new RegExp(`^${schema}.bound: 1 row\\(s\\) were left as they are: .*bound_b_fkey`),
      new RegExp(`^${schema}.item: 2 row\\(s\\) have no a`),
      new RegExp(`^${schema}.item: 1 row\\(s\\) have no b`),
    );
    assert.deepEqual(await rows('select id, a, b from item'), ['(1,,)', '(2,,3)']);
    assert.deepEqual(await rows('select id, a, b from bound'), ['(2,,3)']);
  });

  test('a row is skipped where a check or a domain does not take the null', async () => {
    const schema = await place(
      `create table kind (id int primary key); insert into kind values (1), (2);
      create domain needed as int check (value > 0) not null;
      create table checked (id int primary key, tenant_id uuid not null, kind int references kind, name text,
        twice int generated always as (kind * 2) stored, check (num_nonnulls(twice, name) > 0));
      create table typed (id int primary key, tenant_id uuid not null, kind needed references kind)`,
      ['kind'],
    );
    await client.query(`insert into checked values (1, '${ACME}', 1, null), (2, '${ACME}', 1, 'n'), (3, '${ACME}', 2, null);
      insert into typed values (1, '${ACME}', 1), (2, '${ACME}', 2)`);
    const at = await now();
    await client.query('delete from checked; delete from typed; delete from kind where id = 1');
    const { seen } = await done(await toMoment(schema, at), 'null');
    assertWarned(
      seen.warnings,
      new RegExp(`^${schema}.checked: 1 row\\(s\\) have no kind`),
      new RegExp(`^${schema}.checked: 1 row\\(s\\) were left as they are`),
      new RegExp(`^${schema}.typed: 1 row\\(s\\) were left as they are`),
    );
    assert.deepEqual(await rows('select id, kind, name from checked'), ['(2,,n)', '(3,2,)']);
    assert.deepEqual(await rows('select id from typed'), ['(2)']);
  });

  test('a partition may have no nulls where the others may', async () => {
    const schema = await place(
      `create table kind (id int primary key); insert into kind values (1), (2);
      create table item (id int, tenant_id uuid not null, kind int references kind, b int references kind,
        primary key (id, tenant_id)) partition by hash (id);
      create table item0 partition of item for values with (modulus 2, remainder 0);
      create table item1 (b int not null, id int not null, tenant_id uuid not null, kind int);
      alter table item attach partition item1 for values with (modulus 2, remainder 1);
      insert into item values (1, '${ACME}', 1, 2), (2, '${ACME}', 2, 1)`,
      ['kind'],
    );
    const at = await now();
    await client.query('delete from item; delete from kind where id = 1');
    const { seen } = await done(await toMoment(schema, at), 'null');
    assertWarned(
      seen.warnings,
      new RegExp(`^${schema}.item: 1 row\\(s\\) have no kind`),
      new RegExp(`^${schema}.item: 1 row\\(s\\) were left as they are: .*item_b_fkey`),
    );
    assert.deepEqual(await rows('select id, kind, b from item'), ['(1,,2)']);
  });

  test("a value that stands in another tenant's way with the null is left alone", async () => {
    const schema = await place(
      `create table kind (id int primary key); insert into kind values (1);
      create table item (id int primary key, tenant_id uuid not null, kind int references kind, slot int,
        unique nulls not distinct (kind, slot));
      insert into item values (1, '${ACME}', 1, 7), (2, '${ACME}', 1, 8)`,
      ['kind'],
    );
    const at = await now();
    await client.query(`delete from item; delete from kind; insert into item values (9, '${BIRCH}', null, 7)`);
    const { seen } = await done(await toMoment(schema, at), 'null');
    assertWarned(
      seen.warnings,
      leftAlone(`${schema}.item`, 1),
      new RegExp(`^${schema}.item: 1 row\\(s\\) have no kind`),
    );
    assert.deepEqual(await rows('select id, kind, slot from item'), ['(2,,8)', '(9,,7)']);
  });

  test('what was planned is there, though a trigger that fires always has written too', async () => {
    const schema = await place(
      `create table kind (id int primary key); insert into kind values (1), (2);
      create table item (id int primary key, tenant_id uuid not null, kind int references kind, v text);
      create function loud() returns trigger language plpgsql as $$ begin
        execute format('update %s set v = v where id = $1', tg_relid::regclass) using new.id; return null; end $$;
      create trigger loud after insert or update on item for each row when (pg_trigger_depth() = 0)
        execute function loud();
      alter table item enable always trigger loud;
      insert into item values (1, '${ACME}', 1, 'a'), (2, '${ACME}', 2, 'b'), (3, '${ACME}', 1, 'c')`,
      ['kind'],
    );
    const at = await now();
    await client.query(
      `update item set kind = null, v = 'x' where id = 1; update item set kind = null where id = 3; delete from item where id = 2; delete from kind where id = 1`,
    );
    const { seen } = await done(await toMoment(schema, at), 'null');
    assertWarned(seen.warnings, /fire always/, new RegExp(`^${schema}.item: 2 row\\(s\\) have no kind`));
    assert.deepEqual(await rows('select id, kind, v from item'), ['(1,,a)', '(2,2,b)', '(3,,c)']);
  });
});

describe("another tenant's row", () => {
  /** A child of ACME's whose parent was BIRCH's, and is deleted; and one whose parent's key BIRCH has now. */
  async function shared(): Promise<{ schema: string; at: string }> {
    const schema = await place(`
      create table parent (id int primary key, tenant_id uuid not null);
      create table child (id int primary key, tenant_id uuid not null, parent int references parent on delete cascade);
      insert into parent values (1, '${ACME}'), (2, '${ACME}'), (9, '${BIRCH}');
      insert into child values (11, '${ACME}', 1), (12, '${ACME}', 2), (19, '${ACME}', 9)`);
    const at = await now();
    await client.query(`delete from parent; insert into parent values (2, '${BIRCH}')`);
    return { schema, at };
  }

  test('that a row needs and that is not there blocks it; one that stands in its way does not', async () => {
    const { schema, at } = await shared();
    assert.deepEqual(await refused(schema, await toMoment(schema, at)), [
      `${schema}.child.parent (child_parent_fkey): 1 row(s) of "${schema}.child" need rows of "${schema}.parent" that do ` +
        'not exist; this restore has none of these to bring back, or set onBlocked: "skip" leaves these rows as they ' +
        'are, with what hangs on them; "null" sets parent null',
    ]);
  });

  test('by skip leaves what needs it, and what hangs on a row that was left alone', async () => {
    const { schema, at } = await shared();
    const { seen } = await done(await toMoment(schema, at), 'skip');
    assertWarned(
      seen.warnings,
      leftAlone(`${schema}.parent`, 1),
      leftAlone(`${schema}.child`, 1),
      new RegExp(`^${schema}.child: 1 row\\(s\\) were left as they are: they need rows of "${schema}.parent"`),
    );
    assert.deepEqual(await rows('select id, parent from child'), ['(11,1)']);
    assert.deepEqual(await rows('table parent'), [`(1,${ACME})`, `(2,${BIRCH})`]);
  });

  test('by null is not hung on: the reference is set null', async () => {
    const { schema, at } = await shared();
    const { seen } = await done(await toMoment(schema, at), 'null');
    assertWarned(
      seen.warnings,
      leftAlone(`${schema}.parent`, 1),
      new RegExp(`^${schema}.child: 2 row\\(s\\) have no parent`),
    );
    assert.deepEqual(await rows('select id, parent from child'), ['(11,1)', '(12,)', '(19,)']);
  });
});

test('the reference by which a row finds its tenant is never set null', async () => {
  await client.query(`insert into auth.users (id) values ('${user(3)}') on conflict do nothing`);
  const schema = await place(
    `create table task (id int primary key, tenant_id uuid not null);
    create table comment (id int primary key, v text, task int references task on delete cascade,
      author uuid references auth.users on delete set null);
    create index on comment (task);
    insert into task values (1, '${ACME}'), (2, '${ACME}');
    insert into comment values (1, 'a', 1, '${user(3)}'), (2, 'b', 2, '${user(3)}'), (3, 'c', 1, '${user(3)}')`,
    ['comment'],
  );
  await client.query(`select m23.protect_table('comment', via => 'task')`);
  const at = await now();
  await client.query(`delete from auth.users where id = '${user(3)}'; delete from comment where id = 1;
    update comment set v = 'x' where id = 3; delete from task where id = 2; insert into task values (2, '${BIRCH}')`);
  const { seen } = await done(await toMoment(schema, at), 'null');
  assertWarned(
    seen.warnings,
    leftAlone(`${schema}.task`, 1),
    leftAlone(`${schema}.comment`, 1),
    new RegExp(`^${schema}.comment: 2 row\\(s\\) have no author`),
  );
  assert.deepEqual(await rows('table comment'), ['(1,a,1,)', '(3,c,1,)']);
});

test('a choice of tables that would break a foreign key stays one, whatever becomes of blocked rows', async () => {
  const schema = await place(`
    create table parent (id int primary key, tenant_id uuid not null);
    create table child (id int primary key, tenant_id uuid not null, parent int references parent on delete cascade);
    insert into parent values (1, '${ACME}'); insert into child values (11, '${ACME}', 1)`);
  const at = await now();
  await client.query('delete from parent');
  for (const onBlocked of ['refuse', 'skip', 'null']) {
    const { error } = await recover(client, ACME, OWNER, {
      targetTimestamp: at,
      tables: [`${schema}.child`],
      onBlocked,
    });
    assert.equal(error?.code, 'VALIDATION_FAILED');
    assert.deepEqual(error.details, [
      `tables: 1 row(s) of "${schema}.child" need rows of "${schema}.parent" that do not exist; add "${schema}.parent"`,
    ]);
  }
});

test('a needed row that goes while the restore writes is seen: it refuses, or plans anew', async (t) => {
  const schema = await place(
    `create table kind (id int primary key); insert into kind values (1), (2);
    create table item (id int primary key, tenant_id uuid not null, kind int references kind);
    insert into item values (1, '${ACME}', 1), (2, '${ACME}', 2);
    create function wait_for_gate() returns trigger language plpgsql as $$ begin
      perform pg_advisory_xact_lock_shared(2);
      while not pg_try_advisory_xact_lock_shared(1) loop perform pg_sleep(0.01); end loop;
      return new;
    end $$;
    create trigger wait_for_gate before insert on item for each row execute function wait_for_gate();
    alter table item enable always trigger wait_for_gate`,
    ['kind'],
  );
  const at = await now();
  await client.query('delete from item');
  const other = await postgres.connect();
  t.after(() => other.end());
  await other.query(`select set_config('request.jwt.claims', $1, false)`, [
    JSON.stringify({ sub: OWNER, role: 'authenticated' }),
  ]);
  const ask = await toMoment(schema, at);

  /** Restores, and takes the needed row away once the first row is about to be written. */
  async function meanwhile(onBlocked: OnBlocked): Promise<Outcome> {
    await client.query('insert into kind values (1) on conflict do nothing; select pg_advisory_lock(1)');
    const restoring = recover(other, ACME, OWNER, { ...ask, onBlocked });
    await eventually(
      () => rows('select from pg_locks where locktype = $$advisory$$ and objid = 2 and classid = 0 and granted'),
      (held) => held.length > 0,
    );
    await client.query('delete from kind where id = 1; select pg_advisory_unlock(1)');
    return await restoring;
  }

  const refusing = await meanwhile('refuse');
  assert.equal(refusing.error?.code, 'CONFLICT');
  assert.match(refusing.error.details.join(), /1 row\(s\) of "b\d+\.item" need rows of "b\d+\.kind" that do not exist/);
  const skipping = await meanwhile('skip');
  assertWarned(skipping.warnings, /fire always/, skipped(`${schema}.item`, 1));
  assert.deepEqual(await rows('select id from item'), ['(2)']);
});
