// What a restore does where a foreign key ties a row to one that it can neither bring nor take away.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { actAsOwner, openDatabase, recover, rowTexts } from '../fixtures/database.ts';
import { assertWarned, leftAlone, skipped } from '../fixtures/warnings.ts';

const ACME = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';
const BIRCH = '22222222-2222-4222-8222-222222222222';

const { client, now } = await openDatabase();

before(async () => {
  await actAsOwner(client, ACME, OWNER);
});

const all = (sql: string): Promise<string[]> => rowTexts(client, sql);

interface Preview {
  previewId: string;
  previewChanges: Record<string, unknown[]>;
  changeCounts: Record<string, number>;
  planHash: string;
  warnings: string[];
}

/** How much a restore of everything would change. */
async function stats(at: string): Promise<number> {
  const {
    rows: [row],
  } = await client.query<{ stats: { total_operations: number } }>(
    'select public.calculate_pitr_stats($1, $2) as stats',
    [ACME, at],
  );
  return row?.stats.total_operations ?? -1;
}

/** Parents, their children and the children's notes, with rows of both tenants, in a schema of its own. */
async function family(schema: string, change = ''): Promise<void> {
  await client.query(`create schema ${schema}; set search_path = ${schema};
    create table parent (id int primary key, tenant_id uuid not null, v text);
    create table child (id int primary key, tenant_id uuid not null, parent int references parent on delete cascade, v text);
    create table note (id int primary key, tenant_id uuid not null, child int references child on delete cascade, v text);
    insert into parent values (1, '${ACME}', 'a'), (2, '${ACME}', 'a'), (9, '${BIRCH}', 'b');
    insert into child values (11, '${ACME}', 1, 'a'), (12, '${ACME}', 2, 'a'), (19, '${BIRCH}', 9, 'b');
    insert into note values (21, '${ACME}', 11, 'a'), (22, '${ACME}', 12, 'a');
    ${change};
    select m23.protect_table(r::regclass) from unnest(array['${schema}.parent', '${schema}.child', '${schema}.note']) r`);
}

/** Restores ACME's part of the family; gives the warnings. */
async function restored(schema: string, at: string, more: object = {}): Promise<string[]> {
  const tables = ['parent', 'child', 'note'].map((name) => `${schema}.${name}`);
  const done = await recover(client, ACME, OWNER, { targetTimestamp: at, tables, ...more });
  assert.equal(done.error, undefined, JSON.stringify(done.error));
  return done.warnings;
}

describe('a row that needs another', () => {
  test("whose key is another tenant's now is not hung on that one", async () => {
    await family('claimed');
    const at = await now();
    await client.query(
      `delete from parent where id = 1; update parent set v = 'x' where id = 2; insert into parent values (1, '${BIRCH}', 'taken')`,
    );
    assertWarned(
      await restored('claimed', at),
      leftAlone('claimed.parent', 1),
      leftAlone('claimed.child', 1),
      leftAlone('claimed.note', 1),
    );
    assert.deepEqual(await all('table parent'), [`(1,${BIRCH},taken)`, `(2,${ACME},a)`, `(9,${BIRCH},b)`]);
    assert.deepEqual(await all('table child'), [`(12,${ACME},2,a)`, `(19,${BIRCH},9,b)`]);
    assert.deepEqual(await all('table note'), [`(22,${ACME},12,a)`]);
  });

  test('that another tenant has deleted is skipped with what hangs on it, and the rest comes back', async () => {
    await family('deleted', `update child set parent = 9 where id = 11`);
    const at = await now();
    await client.query('delete from parent where id in (2, 9)');
    assertWarned(
      await restored('deleted', at, { onBlocked: 'skip' }),
      skipped('deleted.child', 1),
      skipped('deleted.note', 1),
    );
    assert.deepEqual(await all('table parent'), [`(1,${ACME},a)`, `(2,${ACME},a)`]);
    assert.deepEqual(await all('table child'), [`(12,${ACME},2,a)`]);
    assert.deepEqual(await all('table note'), [`(22,${ACME},12,a)`]);
    await client.query(`insert into parent values (9, '${BIRCH}', 'back')`);
    assertWarned(await restored('deleted', at));
    assert.deepEqual(
      await all('table child'),
      [`(11,${ACME},9,a)`, `(12,${ACME},2,a)`],
      'another restore brings the rest',
    );
    assert.deepEqual(await all('table note'), [`(21,${ACME},11,a)`, `(22,${ACME},12,a)`]);
  });

  test('that another tenant has deleted, and is skipped, keeps what it refers to now', async () => {
    await family('moved', `update child set parent = 9 where id = 11`);
    const at = await now();
    await client.query(
      `update child set parent = 2, v = 'x' where id = 11; delete from parent where id = 9; update child set v = 'x' where id = 12`,
    );
    assertWarned(await restored('moved', at, { onBlocked: 'skip' }), skipped('moved.child', 1));
    assert.deepEqual(await all('table child'), [`(11,${ACME},2,x)`, `(12,${ACME},2,a)`]);
  });

  test('in vain, under a key that is NOT VALID, is as well restored as others', async () => {
    await family(
      'dangling',
      `set session_replication_role = replica; insert into child values (13, '${ACME}', 77, 'a'), (14, '${ACME}', 77, 'a'); reset session_replication_role;
      alter table child drop constraint child_parent_fkey, add foreign key (parent) references parent not valid`,
    );
    const at = await now();
    await client.query(`update child set v = 'x'; update child set parent = 2 where id = 14`);
    assertWarned(await restored('dangling', at, { onBlocked: 'skip' }), skipped('dangling.child', 1));
    assert.deepEqual(await all(`table child`), [
      `(11,${ACME},1,a)`,
      `(12,${ACME},2,a)`,
      `(13,${ACME},77,a)`,
      `(14,${ACME},2,x)`,
      `(19,${BIRCH},9,x)`,
    ]);
  });

  test('and has it from another tenant by now, keeps it', async () => {
    await family('handed', 'update child set parent = 2 where id = 11');
    const at = await now();
    await client.query(
      `update parent set tenant_id = '${BIRCH}' where id = 2; update child set v = 'x' where tenant_id = '${ACME}'`,
    );
    assertWarned(await restored('handed', at), leftAlone('handed.parent', 1));
    assert.deepEqual(await all(`select * from child where tenant_id = '${ACME}'`), [
      `(11,${ACME},2,a)`,
      `(12,${ACME},2,a)`,
    ]);
  });

  test('of a table that is not protected is refused, and told what has to be there', async () => {
    await family(
      'outside',
      'create table catalogue (id int primary key); insert into catalogue values (5); alter table child add item int references catalogue on delete cascade; update child set item = 5 where id = 11',
    );
    const at = await now();
    await client.query('delete from catalogue');
    const done = await recover(client, ACME, OWNER, {
      targetTimestamp: at,
      tables: ['outside.parent', 'outside.child', 'outside.note'],
    });
    assert.equal(done.error?.code, 'CONFLICT');
    assert.match(
      String(done.error.details),
      /1 row\(s\) of "outside\.child" need rows of "outside\.catalogue" that do not exist; "outside\.catalogue" is not protected: put them back first/,
    );
    await client.query('insert into catalogue values (5)');
    assertWarned(await restored('outside', at));
    assert.deepEqual(await all('select id, item from child where item is not null'), ['(11,5)']);
  });
});

describe('a row that should not be', () => {
  test("stays where another tenant's row needs it, with what it needs itself", async () => {
    await family('needed');
    const at = await now();
    await client.query(`insert into parent values (3, '${ACME}', 'new'), (4, '${ACME}', 'new'); insert into child values (13, '${ACME}', 3, 'new'), (14, '${ACME}', 4, 'new');
      insert into note values (23, '${BIRCH}', 13, 'b'), (24, '${ACME}', 14, 'new')`);
    assertWarned(await restored('needed', at), leftAlone('needed.parent', 1), leftAlone('needed.child', 1));
    assert.deepEqual(await all('select id from parent'), ['(1)', '(2)', '(3)', '(9)']);
    assert.deepEqual(await all('select id from child'), ['(11)', '(12)', '(13)', '(19)']);
    assert.deepEqual(await all('select id from note'), ['(21)', '(22)', '(23)']);
  });

  test('stays where a row needs it that came from another tenant', async () => {
    await family('arrived');
    const at = await now();
    await client.query(
      `insert into parent values (3, '${ACME}', 'new'); update child set tenant_id = '${ACME}', parent = 3 where id = 19`,
    );
    assertWarned(await restored('arrived', at), leftAlone('arrived.parent', 1), leftAlone('arrived.child', 1));
    assert.deepEqual(await all(`select id, parent from child where tenant_id = '${ACME}'`), [
      '(11,1)',
      '(12,2)',
      '(19,3)',
    ]);
  });

  test('is refused where a table that was not chosen needs it, naming that table', async () => {
    await family('unchosen', 'create table visit (id int, parent int references parent)');
    const at = await now();
    await client.query(
      `insert into parent values (3, '${ACME}', 'new'); insert into child values (13, '${ACME}', 3, 'new')`,
    );
    const some = await recover(client, ACME, OWNER, { targetTimestamp: at, tables: ['unchosen.parent'] });
    assert.match(
      String(some.error?.details),
      /1 row\(s\) of "unchosen\.parent" would go, and rows of "unchosen\.child" need them; add "unchosen\.child"/,
    );
    await client.query('insert into visit values (1, 3)');
    const most = await recover(client, ACME, OWNER, {
      targetTimestamp: at,
      tables: ['unchosen.parent', 'unchosen.child', 'unchosen.note'],
    });
    assert.match(
      String(most.error?.details),
      /1 row\(s\) of "unchosen\.parent" would go, and rows of "unchosen\.visit" need them; "unchosen\.visit" is not protected: take them away first/,
    );
  });
});

describe('a foreign key', () => {
  /** Restores tables of a schema after a change, which must give what was there, with no warning. */
  async function backAgain(schema: string, tables: string[], change: string): Promise<void> {
    const names = tables.map((table) => `${schema}.${table}`);
    const rows = (): Promise<string[]> => all(names.map((name) => `select t::text from ${name} t`).join(' union all '));
    for (const name of names) await client.query('select m23.protect_table($1)', [name]);
    const [at, then] = [await now(), await rows()];
    await client.query(change);
    const done = await recover(client, ACME, OWNER, { targetTimestamp: at, tables: names });
    assert.deepEqual([done.error, done.warnings], [undefined, []]);
    assert.deepEqual(await rows(), then);
  }

  /** What is said of a table that cannot be restored alone. */
  async function refused(at: string, table: string): Promise<unknown> {
    return (await recover(client, ACME, OWNER, { targetTimestamp: at, tables: [table] })).error?.details;
  }

  /** Restores a table with all that is tied to it; gives the rows that this changes. */
  async function withRelated(at: string, table: string): Promise<number> {
    const done = await recover(client, ACME, OWNER, { targetTimestamp: at, tables: [table], includeRelated: true });
    assert.equal(done.error, undefined);
    return done.rows_restored;
  }

  for (const [type, key, alike] of [
    ['citext', 'Anna', 'ANNA'],
    ['ltree', 'a.b', 'a.b'],
  ] as const) {
    /** A parent with a child that refers to it, in writing that the type takes for the same. */
    const couple = async (schema: string): Promise<void> => {
      await client.query(`create schema ${schema}; create schema if not exists extensions;
        create extension if not exists ${type} schema extensions; set search_path = ${schema}, extensions;
        create table parent (key ${type} primary key, tenant_id uuid not null);
        create table child (id int primary key, tenant_id uuid not null, key ${type} references parent);
        insert into parent values ('${key}', '${ACME}'); insert into child values (1, '${ACME}', '${alike}')`);
    };

    test(`over ${type} is kept by the equality of that type`, async () => {
      await couple(type);
      await backAgain(type, ['parent', 'child'], 'delete from child; delete from parent');
      await backAgain(type, ['child'], 'delete from child');
    });

    test(`over ${type} refuses a row whose parent is missing`, async () => {
      await couple(`${type}_alone`);
      await client.query(`select m23.protect_table('child')`);
      const at = await now();
      await client.query('delete from child; delete from parent');
      const done = await recover(client, ACME, OWNER, { targetTimestamp: at, tables: [`${type}_alone.child`] });
      assert.match(String(done.error?.details), /1 row\(s\) of "\w+\.child" need rows of "\w+\.parent" that/);
    });

    test(`over ${type} keeps a new parent that another tenant's child refers to`, async () => {
      await couple(`${type}_kept`);
      await client.query(`select m23.protect_table('child'), m23.protect_table('parent')`);
      const at = await now();
      await client.query(`insert into parent values ('x', '${ACME}'), ('y', '${ACME}');
        insert into child values (2, '${BIRCH}', '${type === 'citext' ? 'X' : 'x'}')`);
      const tables = [`${type}_kept.parent`, `${type}_kept.child`];
      const done = await recover(client, ACME, OWNER, { targetTimestamp: at, tables });
      assertWarned(done.warnings, leftAlone(`${type}_kept.parent`, 1));
      assert.deepEqual(await all('select key from parent'), [`(${key})`, '(x)']);
    });
  }

  test('between partitioned tables is one, whatever their partitions', async () => {
    await client.query(`create schema parted; set search_path = parted;
      create table parent (id int primary key, tenant_id uuid not null) partition by range (id);
      create table parent1 partition of parent for values from (0) to (10);
      create table parent2 partition of parent for values from (10) to (20);
      create table child (id int primary key, tenant_id uuid not null, parent int references parent)
        partition by hash (id);
      create table child1 partition of child for values with (modulus 2, remainder 0);
      create table child2 partition of child for values with (modulus 2, remainder 1);
      insert into parent values (1, '${ACME}'), (11, '${ACME}');
      insert into child values (1, '${ACME}', 1), (2, '${ACME}', 11), (3, '${ACME}', 1), (4, '${ACME}', 11)`);
    await backAgain('parted', ['parent', 'child'], 'delete from child; delete from parent');
    await backAgain('parted', ['child'], 'delete from child');
    const at = await now();
    await client.query(`insert into parent values (2, '${ACME}'); insert into child values (5, '${ACME}', 2)`);
    assert.deepEqual(await refused(at, 'parted.parent'), [
      'tables: 1 row(s) of "parted.parent" would go, and rows of "parted.child" need them; add "parted.child"',
    ]);
    assert.equal(await withRelated(at, 'parted.parent'), 2);
  });

  test('of a partition alone is that of its rows alone', async () => {
    await client.query(`create schema parting; set search_path = parting;
      create table special (id int primary key, tenant_id uuid not null);
      create table item (id int primary key, tenant_id uuid not null, special int) partition by range (id);
      create table item1 partition of item for values from (0) to (10);
      create table item2 partition of item for values from (10) to (20);
      alter table item2 add foreign key (special) references special;
      create table tag (id int primary key, tenant_id uuid not null, item int references item2);
      insert into special values (7, '${ACME}'); insert into item values (1, '${ACME}', 5), (11, '${ACME}', 7);
      insert into tag values (1, '${ACME}', 11)`);
    await backAgain('parting', ['special', 'item', 'tag'], 'delete from tag; delete from item; delete from special');
    const at = await now();
    await client.query('delete from tag; delete from item; delete from special');
    assert.deepEqual(await refused(at, 'parting.item'), [
      'tables: 1 row(s) of "parting.item2" need rows of "parting.special" that do not exist; add "parting.special"',
    ]);
    assert.deepEqual(await refused(at, 'parting.tag'), [
      'tables: 1 row(s) of "parting.tag" need rows of "parting.item2" that do not exist; add "parting.item"',
    ]);
    assert.equal(await withRelated(at, 'parting.item'), 4);
  });
});

test('rows of a tenant that the statistics do not know are found a few times in an index, and not once for each other', async () => {
  await family(
    'unknown',
    'create index on parent (tenant_id); create index on child (tenant_id); create index on child (parent); delete from parent',
  );
  const COUNT = 400;
  const reads = async (): Promise<number> => {
    await client.query('select pg_stat_force_next_flush()');
    const {
      rows: [row],
    } = await client.query<{ reads: string }>(
      `select sum(idx_tup_read) as reads from pg_stat_user_indexes where schemaname = 'unknown'`,
    );
    return Number(row?.reads);
  };
  await client.query(
    `insert into parent select n, '${BIRCH}', 'b' from generate_series(1, 20000) n; insert into child select n, '${BIRCH}', n, 'b' from generate_series(1, 20000) n`,
  );
  await client.query('vacuum analyze parent');
  await client.query('vacuum analyze child');
  const at = await now();
  await client.query(
    `insert into parent select n, '${ACME}', 'a' from generate_series(30001, ${30000 + COUNT}) n; insert into child select n, '${ACME}', n, 'a' from generate_series(30001, ${30000 + COUNT}) n`,
  );
  const before = await reads();
  assertWarned(await restored('unknown', at));
  const read = (await reads()) - before;
  assert.ok(read > COUNT && read < 50 * COUNT, `${read} reads`);
});

test('a dry run, its pages and its figures leave out what a restore leaves alone', async () => {
  await family('shown', 'update child set parent = 9 where id = 11');
  const at = await now();
  await client.query('delete from parent where id in (2, 9)');
  const tables = ['parent', 'child', 'note'].map((name) => `shown.${name}`);
  const {
    rows: [request],
  } = await client.query<{ id: string }>(
    `insert into m23.requests (id, tenant_id, user_id, function) values (gen_random_uuid(), $1, $2, 'pitr-restore') returning id`,
    [ACME, OWNER],
  );
  const {
    rows: [row],
  } = await client.query<{ preview: Preview }>('select public.m23_preview_pitr($1, $2) as preview', [
    request?.id,
    { targetTimestamp: at, tables, dryRun: true, onBlocked: 'skip' },
  ]);
  const { previewId, previewChanges, changeCounts, planHash, warnings } = row!.preview;
  assertWarned(warnings, skipped('shown.child', 1), skipped('shown.note', 1));
  assert.deepEqual(changeCounts, { 'shown.parent': 1, 'shown.child': 1, 'shown.note': 1 });
  for (const [table, rows] of Object.entries(previewChanges)) {
    const {
      rows: [page],
    } = await client.query<{ rows: unknown }>('select public.get_pitr_preview_page($1, $2) as rows', [
      previewId,
      table,
    ]);
    assert.deepEqual(page?.rows, rows);
  }
  const done = await recover(client, ACME, OWNER, { targetTimestamp: at, tables, planHash, onBlocked: 'skip' });
  assert.equal(done.error, undefined);
  assert.equal(done.rows_restored, 3);
  assert.equal(await stats(at), 2, 'what was skipped is not as it was');
});
