// What may be chosen of the rows that have changed: by key, by value, by what has happened to them.
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

const ACME = '11111111-1111-4111-8111-111111111111';
const BIRCH = '22222222-2222-4222-8222-222222222222';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

const { client, now } = await openDatabase();

before(async () => {
  await actAsOwner(client, ACME, OWNER);
});

let places = 0;

/** Tables in a schema of their own, all protected; gives a moment at which they hold these rows. */
async function place(sql: string, later: string): Promise<{ schema: string; at: string }> {
  places += 1;
  const schema = `s${places}`;
  await client.query(`create schema ${schema}; set search_path = ${schema}; ${sql}`);
  await client.query(
    `select m23.protect_table(c.oid::regclass) from pg_class c where relnamespace = $1::regnamespace and relkind = 'r'`,
    [schema],
  );
  const at = await now();
  await client.query(later);
  return { schema, at };
}

/** Orders 1 to 9, then: 1 to 3 deleted, 4 to 6 updated, 10 to 12 inserted; another tenant's 100 deleted. */
const orders = (): Promise<{ schema: string; at: string }> =>
  place(
    `create table orders (id int primary key, tenant_id uuid not null, status text, total numeric, big bigint, note text);
     insert into orders select n, '${ACME}', case when n % 2 = 0 then 'even' else 'odd' end, n * 1.5,
       9007199254740990 + n, case when n % 3 = 0 then 'third' end from generate_series(1, 9) n;
     insert into orders values (100, '${BIRCH}', 'even', 1, 1, null)`,
    `delete from orders where id in (1, 2, 3, 100);
     update orders set total = total + 100, status = 'changed' where id in (4, 5, 6);
     insert into orders select n, '${ACME}', 'new', n, n, null from generate_series(10, 12) n`,
  );

type Choice = Record<string, unknown>;

/** The dry run and then the execution, which say the same; gives what was done, `-1` for a row that comes back. */
async function restored(at: string, choice: Choice): Promise<{ seen: Preview; outcome: Outcome; done: string[] }> {
  const body = { targetTimestamp: at, ...choice };
  const seen = await preview(client, ACME, OWNER, body);
  const outcome = await recover(client, ACME, OWNER, { ...body, planHash: seen.planHash });
  assert.equal(outcome.error, undefined, JSON.stringify(outcome.error));
  assert.equal(seen.wouldFail, undefined);
  assert.deepEqual(outcome.warnings, seen.warnings);
  assert.equal(outcome.rows_restored, seen.stats.totalOperations);
  const again = await preview(client, ACME, OWNER, body);
  assert.equal(again.stats.totalOperations, 0, 'what was chosen is as it was');
  return { seen, outcome, done: operations(seen) };
}

/** What a preview shows, a word for each row. */
function operations(seen: Preview): string[] {
  return Object.values(seen.previewChanges).flatMap((rows) =>
    rows.map(({ operation, key }) => `${operation} ${Object.values(key as object).join(',')}`),
  );
}

/** What is refused, before it is run and by the execution alike; gives the details. */
async function faults(at: string, choice: Choice): Promise<string[]> {
  const body = { targetTimestamp: at, ...choice };
  const said: { code: string; details: string[] }[] = [];
  for (const call of [preview, recover]) {
    const refused = await call(client, ACME, OWNER, body).then(
      (answer) => (answer as Outcome).error,
      (error: Error) => {
        const told = JSON.parse(error.message) as { code: string; details: string };
        return { code: told.code, details: JSON.parse(told.details) as string[] };
      },
    );
    assert.ok(refused, 'it was not refused');
    said.push({ code: refused.code, details: refused.details });
  }
  assert.deepEqual(said[0], said[1]);
  assert.equal(said[0]?.code, 'VALIDATION_FAILED');
  return said[0]?.details ?? [];
}

const ROWS_OF_THEN = [
  '(1,odd)',
  '(2,even)',
  '(3,odd)',
  '(4,even)',
  '(5,odd)',
  '(6,even)',
  '(7,odd)',
  '(8,even)',
  '(9,odd)',
];

/** The tenant's orders by key and status. */
const statuses = (schema: string): Promise<string[]> =>
  rowTexts(client, `select id, status from ${schema}.orders where id < 100`);

describe('rows', () => {
  test('are brought back, changed back and taken away by their keys, and no others', async () => {
    const { schema, at } = await orders();
    const { done } = await restored(at, {
      rows: { [`${schema}.orders`]: [{ id: 1 }, { id: '4' }, { id: 10 }, { id: 7 }] },
    });
    assert.deepEqual(done, ['insert 1', 'update 4', 'delete 10']);
    assert.deepEqual(await statuses(schema), [
      '(1,odd)',
      '(11,new)',
      '(12,new)',
      '(4,even)',
      '(5,changed)',
      '(6,changed)',
      '(7,odd)',
      '(8,even)',
      '(9,odd)',
    ]);
  });

  test('that have not changed give no operation', async () => {
    const { schema, at } = await orders();
    const { done } = await restored(at, { rows: { [`${schema}.orders`]: [{ id: 7 }, { id: 8 }] } });
    assert.deepEqual(done, []);
    const since = await now();
    const nothing = await restored(since, { rows: { [`${schema}.orders`]: [{ id: 1 }, { id: 8 }] } });
    assert.deepEqual(nothing.done, [], 'not even the log has changed');
  });

  test('that came and went since the moment give none either', async () => {
    const { schema, at } = await orders();
    await client.query(`insert into ${schema}.orders (id, tenant_id) values (50, '${ACME}');
      delete from ${schema}.orders where id = 50`);
    assert.deepEqual((await restored(at, { rows: { [`${schema}.orders`]: [{ id: 50 }] } })).done, []);
  });

  test('that the tenant never had are refused, and those of another tenant look the same', async () => {
    const { schema, at } = await orders();
    const rows = { [`${schema}.orders`]: [{ id: 1 }, { id: 100 }, { id: 4711 }] };
    const none = (n: number, field: string): string =>
      `${field}.${schema}.orders[${n}]: is no key of a row of this tenant`;
    assert.deepEqual(await faults(at, { rows }), [none(1, 'rows'), none(2, 'rows')]);
    assert.deepEqual(await faults(at, { exceptRows: rows }), [none(1, 'exceptRows'), none(2, 'exceptRows')]);
    assert.deepEqual(
      await faults(await now(), { rows }),
      [none(1, 'rows'), none(2, 'rows')],
      'nothing has changed since',
    );
  });

  test('say which table is chosen, and tables that are named besides are left out with a warning', async () => {
    const { schema, at } = await place(
      `create table a (id int primary key, tenant_id uuid not null); create table b (like a including all);
       insert into a values (1, '${ACME}'); insert into b values (1, '${ACME}')`,
      'delete from a; delete from b',
    );
    const { seen } = await restored(at, { rows: { [`${schema}.a`]: [{ id: 1 }] }, tables: [`${schema}.b`] });
    assert.deepEqual(seen.warnings, [
      `${schema}.b is named in tables and was left out: rows and where say what is chosen`,
    ]);
    assert.deepEqual(await rowTexts(client, `select from ${schema}.b`), []);
  });

  test('are named by all columns of the key, each of its type', async () => {
    const { schema, at } = await place(
      `create table lines ("Order" bigint, place int, tenant_id uuid not null, primary key ("Order", place));
       insert into lines select 9007199254740990 + n, p, '${ACME}' from generate_series(1, 5) n, generate_series(1, 2) p`,
      'delete from lines',
    );
    const table = `${schema}.lines`;
    const { done } = await restored(at, { rows: { [table]: [{ Order: '9007199254740993', place: 2 }] } });
    assert.deepEqual(done, ['insert 9007199254740993,2']);
    const of = (key: unknown): Promise<string[]> => faults(at, { rows: { [table]: [key] } });
    assert.deepEqual(await of({ Order: 1 }), [`rows.${table}[0].place: is required`]);
    assert.deepEqual(await of({ Order: 1, place: 'x' }), [`rows.${table}[0].place: "x" is no integer`]);
    assert.deepEqual(await of({ Order: 1, place: 1, id: 1 }), [
      `rows.${table}[0].id: is no column of the key, which is Order, place`,
    ]);
    assert.deepEqual(await of({ Order: 2 ** 53, place: 1 }), [
      `rows.${table}[0].Order: is a number of 2^53 or more: write it as a string`,
    ]);
    assert.deepEqual(await faults(at, { rows: { nothing: [{ id: 1 }] } }), [
      'rows: "nothing" is not a protected table',
    ]);
    assert.deepEqual(await faults(at, { rows: { [table]: [] } }), [
      `rows.${table}: must be a list of keys, such as [{"id": 1}]`,
    ]);
    assert.deepEqual(await faults(at, { rows: {} }), ['rows: must name at least one table']);
  });
});

describe('exceptRows', () => {
  test('restores all but these', async () => {
    const { schema, at } = await orders();
    const table = `${schema}.orders`;
    const { done } = await restored(at, {
      tables: [table],
      exceptRows: { [table]: [{ id: 2 }, { id: 5 }, { id: 11 }] },
    });
    assert.deepEqual(done, ['insert 1', 'insert 3', 'update 4', 'update 6', 'delete 10', 'delete 12']);
    const rest = await restored(at, { tables: [table] });
    assert.deepEqual(rest.done, ['insert 2', 'update 5', 'delete 11']);
    assert.deepEqual(await statuses(schema), ROWS_OF_THEN);
  });

  test('takes from rows and where what they choose', async () => {
    const { schema, at } = await orders();
    const table = `${schema}.orders`;
    const { done } = await restored(at, {
      rows: { [table]: [{ id: 1 }, { id: 2 }] },
      where: { [table]: { status: 'even' } },
      exceptRows: { [table]: [{ id: 2 }, { id: 6 }] },
    });
    assert.deepEqual(done, ['insert 1', 'update 4']);
  });

  test('takes a thousand keys and no more', async () => {
    const { schema, at } = await orders();
    const keys = (count: number): unknown[] => Array.from({ length: count }, () => ({ id: 1 }));
    const of = (count: number): Choice => ({
      exceptRows: { [`${schema}.orders`]: keys(count) },
      tables: [`${schema}.orders`],
    });
    assert.deepEqual(await faults(at, of(1001)), ['exceptRows: has more than 1000 keys']);
    const { stats } = await preview(client, ACME, OWNER, { targetTimestamp: at, ...of(1000) });
    assert.equal(stats.totalOperations, 8);
  });
});

describe('where', () => {
  const cases: [string, Record<string, unknown>, string[]][] = [
    ['a value', { status: 'even' }, ['insert 2', 'update 4', 'update 6']],
    ['the row of then, and of a new row the one of now', { status: 'new' }, ['delete 10', 'delete 11', 'delete 12']],
    ['what it has been changed to since chooses nothing', { status: 'changed' }, []],
    ['bounds', { total: { gte: 3, lt: '7.5' } }, ['insert 2', 'insert 3', 'update 4']],
    ['open bounds', { total: { gt: 3, lte: 6 } }, ['insert 3', 'update 4']],
    [
      'one of several',
      { status: { in: ['odd', 'new'] }, id: { lte: 10 } },
      ['insert 1', 'insert 3', 'update 5', 'delete 10'],
    ],
    ['none of none', { status: { in: [] } }, []],
    ['null', { note: null, status: 'odd' }, ['insert 1', 'update 5']],
    ['null among several', { note: { in: ['third', null] }, id: { lt: 4 } }, ['insert 1', 'insert 2', 'insert 3']],
    ['a number beyond 2^53 as a string', { big: '9007199254740993' }, ['insert 3']],
    ['SQL as data', { status: "' or true; drop table m23.plans; --" }, []],
    ['a backslash as data', { status: "\\' or true --" }, []],
  ];
  test('chooses by values, read by the type of their column', async () => {
    const { schema, at } = await orders();
    const table = `${schema}.orders`;
    for (const [name, filter, expected] of cases) {
      const seen = await preview(client, ACME, OWNER, { targetTimestamp: at, where: { [table]: filter } });
      assert.deepEqual(operations(seen), expected, name);
    }
    const { done } = await restored(at, { where: { [table]: { status: 'odd' } }, rows: { [table]: [{ id: 4 }] } });
    assert.deepEqual(done, ['insert 1', 'insert 3', 'update 4', 'update 5'], 'rows and where add up');
  });

  test('names each fault', async () => {
    const { schema, at } = await orders();
    const table = `${schema}.orders`;
    const of = (filter: unknown): Promise<string[]> => faults(at, { where: { [table]: filter } });
    assert.deepEqual(await of({ total: 'many', status: 1, nothing: 1, id: { like: 1 } }), [
      `where.${table}.id: like is none of gte, gt, lte, lt, in`,
      `where.${table}.nothing: is no column of the table whose values are kept`,
      `where.${table}.total: "many" is no numeric`,
    ]);
    assert.deepEqual(await of({ id: { in: [1, 'x'] } }), [`where.${table}.id: "x" is no integer`]);
    assert.deepEqual(await of({ id: 99999999999 }), [`where.${table}.id: "99999999999" is no integer`]);
    assert.deepEqual(await of({ big: 2 ** 53 }), [
      `where.${table}.big: is a number of 2^53 or more: write it as a string`,
    ]);
    assert.deepEqual(await of({ id: {} }), [`where.${table}.id: must have at least one of gte, gt, lte, lt, in`]);
    assert.deepEqual(await of({}), [`where.${table}: must be an object of columns and values`]);
    assert.deepEqual(await of({ id: { gt: null } }), [`where.${table}.id: gt: must have a value`]);
    const values = Array.from({ length: 1001 }, (_, n) => n);
    assert.deepEqual(await of({ id: { in: values } }), ['where: has more than 1000 values']);
  });
});

describe('operations', () => {
  test('are what has happened since: the one that is named is taken back, and nothing else', async () => {
    const { schema, at } = await orders();
    const tables = [`${schema}.orders`];
    assert.deepEqual((await restored(at, { tables, operations: ['delete'] })).done, [
      'insert 1',
      'insert 2',
      'insert 3',
    ]);
    assert.deepEqual((await restored(at, { tables, operations: ['insert'] })).done, [
      'delete 10',
      'delete 11',
      'delete 12',
    ]);
    assert.deepEqual((await restored(at, { tables, operations: ['update'] })).done, [
      'update 4',
      'update 5',
      'update 6',
    ]);
    assert.deepEqual(await statuses(schema), ROWS_OF_THEN);
  });

  test('narrow what rows and where choose', async () => {
    const { schema, at } = await orders();
    const table = `${schema}.orders`;
    const { done } = await restored(at, {
      where: { [table]: { id: { lte: 4 } } },
      rows: { [table]: [{ id: 10 }] },
      operations: ['delete', 'insert'],
    });
    assert.deepEqual(done, ['insert 1', 'insert 2', 'insert 3', 'delete 10']);
  });

  test('of a row that was deleted and inserted anew: it was updated', async () => {
    const { schema, at } = await orders();
    await client.query(`insert into ${schema}.orders values (1, '${ACME}', 'anew', 0, 0, null)`);
    const tables = [`${schema}.orders`];
    const look = async (operation: string): Promise<string[]> =>
      operations(await preview(client, ACME, OWNER, { targetTimestamp: at, tables, operations: [operation] }));
    assert.deepEqual(await look('update'), ['update 1', 'update 4', 'update 5', 'update 6']);
    assert.deepEqual(await look('delete'), ['insert 2', 'insert 3']);
  });

  test('must be words, each once', async () => {
    const { at } = await orders();
    const said = ['operations: must be a list of insert, update, delete, each once'];
    for (const operations of [[], ['truncate'], ['insert', 'insert'], 'insert']) {
      assert.deepEqual(await faults(at, { operations }), said);
    }
  });
});

describe('withRelated', () => {
  /** Customers with orders with items; customer 1 and all of its orders fall, so do single items of others. */
  const shop = (): Promise<{ schema: string; at: string }> =>
    place(
      `create table customers (id int primary key, tenant_id uuid not null, name text);
       create table orders (id int primary key, tenant_id uuid not null, customer int references customers on delete cascade);
       create table items (id int primary key, tenant_id uuid not null, "order" int references orders on delete cascade, n int);
       insert into customers select n, '${ACME}', 'c' || n from generate_series(1, 3) n;
       insert into orders select n, '${ACME}', (n + 1) / 2 from generate_series(1, 6) n;
       insert into items select n, '${ACME}', (n + 1) / 2, n from generate_series(1, 12) n`,
      `delete from customers where id = 1; delete from items where id in (5, 12); update items set n = 0 where id = 6;
       insert into items values (20, '${ACME}', 3, 20)`,
    );

  const because = (seen: Preview): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(seen.previewChanges).flatMap(([table, rows]) =>
        (rows as unknown as { key: { id: number }; because: unknown }[]).map((row) => [
          `${table.replace(/.*[.]/, '')} ${row.key.id}`,
          row.because,
        ]),
      ),
    );

  test('children: what has changed under the chosen rows comes along, whatever has happened to it', async () => {
    const { schema, at } = await shop();
    const { seen } = await restored(at, { rows: { [`${schema}.customers`]: [{ id: 1 }] }, withRelated: 'children' });
    const customer = { childOf: { table: `${schema}.customers`, key: { id: 1 } } };
    const order = (id: number): unknown => ({ childOf: { table: `${schema}.orders`, key: { id } } });
    assert.deepEqual(because(seen), {
      'customers 1': 'chosen',
      'orders 1': customer,
      'orders 2': customer,
      'items 1': order(1),
      'items 2': order(1),
      'items 3': order(2),
      'items 4': order(2),
    });
  });

  test('children: rows that have not changed are passed through', async () => {
    const { schema, at } = await shop();
    const { done, seen } = await restored(at, {
      rows: { [`${schema}.customers`]: [{ id: 2 }] },
      withRelated: 'children',
    });
    assert.deepEqual(done, ['insert 5', 'update 6', 'delete 20']);
    assert.deepEqual(because(seen)['items 5'], { childOf: { table: `${schema}.orders`, key: { id: 3 } } });
  });

  test('children, of certain operations only', async () => {
    const { schema, at } = await shop();
    const { done } = await restored(at, {
      where: { [`${schema}.customers`]: { name: 'c2' } },
      withRelated: 'children',
      operations: ['delete'],
    });
    assert.deepEqual(done, ['insert 5']);
  });

  test('parents: those that are missing come along, and theirs', async () => {
    const { schema, at } = await shop();
    const rows = { [`${schema}.items`]: [{ id: 4 }, { id: 5 }] };
    const { seen } = await restored(at, { rows, withRelated: 'parents' });
    assert.deepEqual(because(seen), {
      'customers 1': { parentOf: { table: `${schema}.orders`, key: { id: 2 } } },
      'orders 2': { parentOf: { table: `${schema}.items`, key: { id: 4 } } },
      'items 4': 'chosen',
      'items 5': 'chosen',
    });
  });

  test('both: the children, and what they need', async () => {
    const { schema, at } = await shop();
    const { done } = await restored(at, { rows: { [`${schema}.orders`]: [{ id: 1 }] }, withRelated: 'both' });
    assert.deepEqual(done.sort(), ['insert 1', 'insert 1', 'insert 1', 'insert 2']);
  });

  test('without it, rows that need others which were not chosen are refused, and the way on is named', async () => {
    const { schema, at } = await shop();
    const [said] = await faults(at, { rows: { [`${schema}.items`]: [{ id: 4 }, { id: 5 }] } });
    assert.equal(
      said,
      `rows: 1 row(s) of "${schema}.items" need rows of "${schema}.orders" that do not exist; choose those of ` +
        `"${schema}.orders" too, or set withRelated: "parents", or set onBlocked: "skip" leaves these rows as they are, ` +
        'with what hangs on them',
    );
    const [under] = await faults(at, {
      rows: {
        [`${schema}.items`]: [{ id: 4 }],
        [`${schema}.orders`]: [{ id: 1 }],
        [`${schema}.customers`]: [{ id: 1 }],
      },
    });
    assert.match(under ?? '', /^rows: 1 row\(s\) of ".*items" need rows of ".*orders" that do not exist; choose those/);
    const { done } = await restored(at, { rows: { [`${schema}.items`]: [{ id: 4 }, { id: 5 }] }, onBlocked: 'skip' });
    assert.deepEqual(done, ['insert 5']);
  });

  test('pages of a preview carry the selection and the reason', async () => {
    const { schema, at } = await shop();
    const seen = await preview(client, ACME, OWNER, {
      targetTimestamp: at,
      rows: { [`${schema}.customers`]: [{ id: 1 }] },
      withRelated: 'children',
    });
    const { rows } = await client.query<{ page: unknown }>(
      'select public.get_pitr_preview_page($1, $2, 1, 2) as page',
      [seen.previewId, `${schema}.items`],
    );
    assert.deepEqual(rows[0]?.page, seen.previewChanges[`${schema}.items`]?.slice(1, 3));
  });

  test('cycles and rows that refer to themselves end', async () => {
    const { schema, at } = await place(
      `create table folders (id int primary key, tenant_id uuid not null, parent int references folders on delete cascade);
       insert into folders select n, '${ACME}', nullif(n - 1, 0) from generate_series(1, 50) n;
       update folders set parent = 50 where id = 1; insert into folders values (60, '${ACME}', 60)`,
      'delete from folders where id = 25; delete from folders where id = 60',
    );
    const table = `${schema}.folders`;
    const { seen } = await restored(at, { rows: { [table]: [{ id: 30 }, { id: 60 }] }, withRelated: 'both' });
    assert.equal(seen.stats.insertCount, 51);
  });
});

describe('pages of a preview', () => {
  /** The keys of a page. */
  async function page(seen: Preview, table: string, choice: Record<string, unknown>): Promise<unknown[]> {
    const { rows } = await client.query<{ page: { key: { id: number } }[] }>(
      `select public.get_pitr_preview_page(p_preview_id => $1, p_table => $2, p_offset => $3, p_limit => $4,
                                           p_operation => $5, p_search => $6, p_only => $7) as page`,
      [seen.previewId, table, choice.offset ?? 0, choice.limit ?? 100, choice.operation, choice.search, choice.only],
    );
    return (rows[0]?.page ?? []).map(({ key }) => key.id);
  }

  test('have one operation, or a text in a value, counted from there', async () => {
    const { schema, at } = await orders();
    const table = `${schema}.orders`;
    const seen = await preview(client, ACME, OWNER, { targetTimestamp: at, tables: [table] });
    assert.deepEqual(await page(seen, table, { operation: 'update' }), [4, 5, 6]);
    assert.deepEqual(await page(seen, table, { operation: 'update', offset: 1, limit: 1 }), [5]);
    assert.deepEqual(await page(seen, table, { search: 'EVEN' }), [2, 4, 6]);
    assert.deepEqual(await page(seen, table, { search: 'chang', operation: 'update', offset: 2 }), [6]);
    assert.deepEqual(await page(seen, table, { search: "' or true --" }), []);
    assert.deepEqual(await page(seen, table, { only: 'conflicts' }), []);
    assert.deepEqual(await page(seen, table, { only: 'blocked' }), []);
    const choice = { operation: 'merge', only: 'mine' };
    await assert.rejects(page(seen, table, choice), /p_operation: must be one of insert.*p_only: must be one of/);
  });

  test('have the blocked rows alone, whatever becomes of them', async () => {
    await client.query('create table if not exists public.accounts (id int primary key)');
    await client.query('insert into public.accounts values (1), (2)');
    const { schema, at } = await place(
      `create table notes (id int primary key, tenant_id uuid not null,
         account int references public.accounts on delete cascade);
       insert into notes select n, '${ACME}', 1 + n % 2 from generate_series(1, 6) n`,
      'delete from public.accounts where id = 2; delete from notes',
    );
    const table = `${schema}.notes`;
    for (const onBlocked of ['refuse', 'skip', 'null']) {
      const seen = await preview(client, ACME, OWNER, { targetTimestamp: at, tables: [table], onBlocked });
      assert.deepEqual(await page(seen, table, { only: 'blocked' }), [1, 3, 5], onBlocked);
      assert.deepEqual(await page(seen, table, { only: 'blocked', offset: 1, limit: 1 }), [3], onBlocked);
    }
  });
});

describe('mode, to a moment of the log', () => {
  test('missing_only brings back what is gone, overwrite_existing also what has changed', async () => {
    const { schema, at } = await orders();
    const tables = [`${schema}.orders`];
    assert.deepEqual((await restored(at, { tables, mode: 'exact', operations: ['insert'] })).done.length, 3);
    const missing = await restored(at, { tables, mode: 'missing_only' });
    assert.deepEqual(missing.done, ['insert 1', 'insert 2', 'insert 3']);
    const other = await orders();
    const overwritten = await restored(other.at, {
      where: { [`${other.schema}.orders`]: { id: { gt: 2 } } },
      mode: 'overwrite_existing',
    });
    assert.deepEqual(overwritten.done, ['insert 3', 'update 4', 'update 5', 'update 6']);
  });

  test('and operations narrow each other', async () => {
    const { schema, at } = await orders();
    const { done } = await restored(at, {
      tables: [`${schema}.orders`],
      mode: 'missing_only',
      operations: ['insert', 'update'],
    });
    assert.deepEqual(done, []);
  });
});

describe('targetSchema, with a moment of the log', () => {
  let copies = 0;

  /** Restores beside the live tables; gives the rows of the copy. */
  async function copied(at: string, choice: Choice): Promise<string[]> {
    copies += 1;
    const { error, rows_restored } = await recover(client, ACME, OWNER, {
      targetTimestamp: at,
      targetSchema: `copy_${copies}`,
      ...choice,
    });
    assert.equal(error, undefined, JSON.stringify(error));
    const rows = await rowTexts(client, `select id, status from copy_${copies}.orders`);
    assert.equal(rows_restored, rows.length);
    return rows;
  }

  test('makes a copy of the rows of then, all or those that are chosen, and touches nothing else', async () => {
    const { schema, at } = await orders();
    const table = `${schema}.orders`;
    const live = await statuses(schema);
    assert.deepEqual(await copied(at, { tables: [table] }), ROWS_OF_THEN);
    assert.deepEqual(await copied(at, { rows: { [table]: [{ id: 1 }, { id: 4 }, { id: 7 }, { id: 10 }] } }), [
      '(1,odd)',
      '(4,even)',
      '(7,odd)',
    ]);
    assert.deepEqual(
      await copied(at, { where: { [table]: { status: 'even' } }, exceptRows: { [table]: [{ id: 4 }] } }),
      ['(2,even)', '(6,even)', '(8,even)'],
    );
    assert.deepEqual(await copied(at, { tables: [table], operations: ['delete'] }), ['(1,odd)', '(2,even)', '(3,odd)']);
    assert.deepEqual(await copied(at, { where: { [table]: { status: 'even' } }, operations: ['update'] }), [
      '(4,even)',
      '(6,even)',
    ]);
    assert.deepEqual(await statuses(schema), live);
  });

  test('is refused for keys that the tenant never had, and leaves no schema', async () => {
    const { schema, at } = await orders();
    const { error } = await recover(client, ACME, OWNER, {
      targetTimestamp: at,
      targetSchema: 'copy_refused',
      rows: { [`${schema}.orders`]: [{ id: 100 }] },
    });
    assert.deepEqual(error?.details, [`rows.${schema}.orders[0]: is no key of a row of this tenant`]);
    const { rows } = await client.query(`select to_regnamespace('copy_refused') as schema`);
    assert.deepEqual(rows, [{ schema: null }]);
  });

  test('has no dry run, mode or related rows', async () => {
    const { at } = await orders();
    const body = { targetTimestamp: at, targetSchema: 'copy', mode: 'missing_only', withRelated: 'both' };
    const reason = 'is for live tables, not for targetSchema';
    await assert.rejects(preview(client, ACME, OWNER, body), ({ message }: Error) => {
      const { details } = JSON.parse(message) as { details: string };
      assert.deepEqual(JSON.parse(details), [`mode: ${reason}`, `withRelated: ${reason}`, `dryRun: ${reason}`]);
      return true;
    });
  });
});
