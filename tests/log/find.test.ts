// What happened to a row, in a transaction, in a range of time: told from the log, with the rows before and after, the
// same whether a part of the log has a summary or not.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { actAsOwner, openDatabase, recover } from '../fixtures/database.ts';

const TENANT = 'acme';
const OTHER = 'other';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';
const VIEWER = 'aaaaaaaa-0000-4000-8000-000000000002';

const { client, now } = await openDatabase();

type Row = Record<string, unknown>;

/** Calls a function of the API by the names of its arguments. */
async function call(name: string, args: Row): Promise<Row[]> {
  const names = Object.keys(args);
  const { rows } = await client.query<{ row: Row }>(
    `select to_jsonb(f) as row from public.${name}(${names.map((n, i) => `${n} => $${i + 1}`).join(', ')}) f`,
    names.map((n) => {
      const value = args[n];
      return value !== null && typeof value === 'object' && !Array.isArray(value) ? JSON.stringify(value) : value;
    }),
  );
  return rows.map(({ row }) => row);
}

const find = (name: string, args: Row = {}): Promise<Row[]> => call(name, { p_tenant_id: TENANT, ...args });

/** Calls it page by page; gives all rows. */
async function pages(name: string, args: Row, size: number): Promise<Row[]> {
  const found: Row[] = [];
  for (;;) {
    const page = await find(name, { ...args, p_limit: size, ...(found.length > 0 && { p_before: found.at(-1) }) });
    found.push(...page);
    if (page.length < size) return found;
  }
}

async function refusal(promise: Promise<unknown>): Promise<{ code: string; details: string[] }> {
  const error = await promise.then(
    () => assert.fail('it was not refused'),
    (caught: Error & { code?: string }) => caught,
  );
  assert.equal(error.code, 'PGRST', error.message);
  const body = JSON.parse(error.message) as { code: string; details: string | null };
  return { code: body.code, details: JSON.parse(body.details ?? '[]') as string[] };
}

/** Somebody's session, as the API would have it. */
const actAs = (user: string | null): Promise<unknown> =>
  client.query(`select set_config('request.jwt.claims', $1, false)`, [
    user === null ? '' : JSON.stringify({ sub: user, role: 'authenticated' }),
  ]);

/** Ends the parts of all logs, and has the upkeep make their summaries. */
async function summarize(): Promise<void> {
  await client.query(`update m23.settings set value = '0' where name = 'log_part_hours'`);
  await client.query('select m23.prune_logs()');
  await client.query('select m23.prune_logs()');
  await client.query('select m23.sweep_summaries()');
  await client.query(`update m23.settings set value = '24' where name = 'log_part_hours'`);
}

/** A transaction of some statements; gives its number. */
async function transaction(...statements: string[]): Promise<string> {
  await client.query('begin');
  for (const statement of statements) await client.query(statement);
  const {
    rows: [mine],
  } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
  await client.query('commit');
  return mine!.xid;
}

let start = '';

before(async () => {
  await client.query(`create schema app;
    create table app.goods (id int primary key, org text not null, name text, note text, price numeric, at timestamptz);
    create table app.marks (org text, code text, kind text collate "C", n int, primary key (org, code, kind));
    select m23.protect_table('app.goods', 'org'); select m23.protect_table('app.marks', 'org')`);
  await client.query(`insert into public.tenant_members values ($1, $2, 'viewer')`, [TENANT, VIEWER]);
  await actAsOwner(client, TENANT, OWNER);
  start = await now();
});

test('a row has its history: each change with the row before and after it, newest first', async () => {
  const made = await transaction(`insert into app.goods values (1, '${TENANT}', 'pen', 'blue', 1.0)`);
  const priced = await transaction('update app.goods set price = 1.00 where id = 1');
  const named = await transaction(`update app.goods set name = 'pencil', note = null where id = 1`);
  const told = await find('get_row_history', { p_table: 'app.goods', p_key: { id: 1 } });
  assert.deepEqual(
    told.map((c) => [c['operation'], c['transaction_id'], c['changed_columns'], c['actor']]),
    [
      ['UPDATE', named, ['name', 'note'], OWNER],
      ['UPDATE', priced, ['price'], OWNER],
      ['INSERT', made, ['at', 'id', 'name', 'note', 'org', 'price'], OWNER],
    ],
  );
  const pen = { id: 1, org: TENANT, name: 'pen', note: 'blue', price: 1, at: null };
  assert.deepEqual(
    told.map((c) => [c['old_values'], c['new_values']]),
    [
      [pen, { ...pen, name: 'pencil', note: null }],
      [pen, pen],
      [null, pen],
    ],
  );
  const gone = await transaction('delete from app.goods where id = 1');
  const [last, ...earlier] = await find('get_row_history', { p_table: 'app.goods', p_key: { id: '1' } });
  assert.deepEqual(
    [last!['operation'], last!['transaction_id'], last!['new_values'], (last!['old_values'] as Row)['name']],
    ['DELETE', gone, null, 'pencil'],
  );
  assert.deepEqual(earlier, told);
});

test('a part of the log with a summary tells the same as without', async () => {
  const since = await now();
  const xids = [
    await transaction(
      `insert into app.goods select n, '${TENANT}', 'thing ' || n, 'note', n from generate_series(100, 139) n`,
    ),
    await transaction(
      'update app.goods set price = price + 1 where id between 100 and 119',
      `insert into app.marks select '${TENANT}', 'c' || n, 'k', n from generate_series(1, 5) n`,
    ),
    await transaction(
      'update app.goods set note = name where id < 110 and id >= 100',
      'delete from app.goods where id = 101',
    ),
    await transaction(`update app.marks set code = 'moved' where code = 'c1'`),
  ];
  const until = await now();
  const tell = async (): Promise<unknown> => ({
    newest: await find('get_transactions', { p_since: since, p_until: until }),
    largest: await find('get_transactions', { p_since: since, p_until: until, p_order: 'rows' }),
    deleting: await find('get_transactions', { p_since: since, p_until: until, p_order: 'deletes' }),
    changes: await eachOf(xids, (xid) => find('get_transaction', { p_transaction_id: xid, p_limit: 1000 })),
    row: await find('get_row_history', { p_table: 'app.goods', p_key: { id: 101 } }),
    mark: await find('get_row_history', { p_table: 'app.marks', p_key: { org: TENANT, code: 'c1', kind: 'k' } }),
    found: await find('find_rows', { p_table: 'app.goods', p_filter: { note: 'note', price: { gte: 103 } } }),
    counted: await find('get_change_histogram', { p_since: since, p_until: until, p_buckets: 3 }),
    hours: await find('get_change_histogram', { p_since: hoursAgo(2), p_until: hoursAgo(-1), p_buckets: 3 }),
  });
  const read = (await tell()) as Record<string, Row[]>;
  assert.deepEqual(
    read['newest']!.map((t) => [t['transaction_id'], t['inserts'], t['updates'], t['deletes'], t['tables']]),
    [
      [xids[3], 0, 1, 0, ['app.marks']],
      [xids[2], 0, 10, 1, ['app.goods']],
      [xids[1], 5, 20, 0, ['app.goods', 'app.marks']],
      [xids[0], 40, 0, 0, ['app.goods']],
    ],
  );
  assert.deepEqual(
    read['largest']!.map((t) => t['transaction_id']),
    [xids[0], xids[1], xids[2], xids[3]],
  );
  assert.deepEqual(
    read['deleting']!.map((t) => t['transaction_id']),
    [xids[2]],
  );
  assert.deepEqual(
    read['row']!.map((c) => [c['operation'], c['changed_columns']]),
    [
      ['DELETE', ['at', 'id', 'name', 'note', 'org', 'price']],
      ['UPDATE', ['note']],
      ['UPDATE', ['price']],
      ['INSERT', ['at', 'id', 'name', 'note', 'org', 'price']],
    ],
  );
  assert.equal(read['found']!.length, 17 + 8);
  await summarize();
  const {
    rows: [summaries],
  } = await client.query<{ count: number }>('select count(*)::int as count from m23.part_summaries where keyed');
  assert.equal(summaries!.count, 2);
  assert.deepEqual(await tell(), read);
  await client.query(`update app.goods set name = 'late' where id = 102`);
  const [latest] = await find('get_row_history', { p_table: 'app.goods', p_key: { id: 102 } });
  assert.deepEqual([latest!['operation'], latest!['changed_columns']], ['UPDATE', ['name']]);
});

async function eachOf<One, Made>(ones: One[], make: (one: One) => Promise<Made>): Promise<Made[]> {
  const made: Made[] = [];
  for (const one of ones) made.push(await make(one));
  return made;
}

const hoursAgo = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString();

test('a search by pages gives each once, in every order', async () => {
  for (const order of ['time', 'rows', 'deletes']) {
    const whole = await find('get_transactions', { p_order: order, p_limit: 1000 });
    assert.ok(whole.length > 1);
    assert.deepEqual(await pages('get_transactions', { p_order: order }, 2), whole);
  }
  const history = { p_table: 'app.goods', p_key: { id: 101 } };
  assert.deepEqual(await pages('get_row_history', history, 1), await find('get_row_history', history));
  const [largest] = await find('get_transactions', { p_order: 'rows', p_limit: 1 });
  const one = { p_transaction_id: largest!['transaction_id'] };
  const whole = await find('get_transaction', { ...one, p_limit: 1000 });
  assert.equal(whole.length, 40);
  assert.deepEqual(await pages('get_transaction', one, 7), whole);
  assert.deepEqual(
    await call('get_transaction', { p_tenant_id: TENANT, ...one, p_limit: 1000, p_before: null }),
    whole,
  );
  const rows = { p_table: 'app.goods', p_filter: { name: { in: ['thing 100', 'thing 101', null] } } };
  assert.deepEqual(await pages('find_rows', rows, 1), await find('find_rows', rows));
});

/** Goes on wherever a search has stopped; gives what it found, and how often it stopped. */
async function goOn(name: string, args: Row): Promise<{ rows: Row[]; stops: number }> {
  const rows: Row[] = [];
  for (let stops = 0, before: Row | undefined; ; stops += 1) {
    const page = await find(name, { ...args, ...(before && { p_before: before }) });
    rows.push(...page.filter((row) => row['searched_back'] === null));
    before = page.at(-1);
    if (before === undefined || before['searched_back'] === null) return { rows, stops };
    assert.deepEqual(
      [before['operation'], before['inserts']].filter((value) => value != null),
      [],
    );
  }
}

test('a search that has not looked everywhere says how far it came, and goes on from there', async () => {
  const wanted = { p_table: 'app.goods', p_filter: { name: 'thing 100' } };
  const whole = await find('find_rows', wanted);
  const newest = await find('get_transactions', {});
  assert.ok(whole.length > 1);
  await client.query(`update m23.settings set value = '0' where name = 'search_seconds'`);
  await client.query(`insert into app.goods select n, '${TENANT}', 'filler' from generate_series(1000, 2500) n`);
  await client.query(`delete from app.goods where id between 1000 and 2500`);
  try {
    const found = await goOn('find_rows', wanted);
    assert.deepEqual(found.rows, whole);
    assert.ok(found.stops > 0);
    const all = await goOn('get_transactions', {});
    assert.deepEqual(all.rows.slice(2), newest);
    assert.ok(all.stops > 0);
    const nobody = { p_actor: 'aaaaaaaa-0000-4000-8000-00000000000f' };
    const [stop, ...others] = await find('get_transactions', nobody);
    assert.deepEqual([stop!['inserts'], others], [null, []]);
    assert.ok(stop!['searched_back'] !== null);
  } finally {
    await client.query(`update m23.settings set value = '5' where name = 'search_seconds'`);
  }
});

test('a filter is data: values are read by the type of their column, and every fault is named', async () => {
  const refused = (filter: unknown): Promise<{ code: string; details: string[] }> =>
    refusal(find('find_rows', { p_table: 'app.goods', p_filter: filter }));
  assert.deepEqual(await refused({ price: 'dear', size: 1, id: { like: 'x' }, name: { gte: null } }), {
    code: 'VALIDATION_FAILED',
    details: [
      'p_filter.id: like is none of gte, gt, lte, lt, in',
      'p_filter.name: gte: must have a value',
      'p_filter.price: "dear" is no numeric',
      'p_filter.size: is no column of the table whose values are kept',
    ],
  });
  assert.deepEqual((await refused({ id: { in: Array(1001).fill(1) } })).details, [
    'p_filter.id: in: has more than 1,000 values',
  ]);
  const injected = `x'; drop table app.goods; --`;
  assert.deepEqual(await find('find_rows', { p_table: 'app.goods', p_filter: { name: injected } }), []);
  const nulls = await find('find_rows', {
    p_table: 'app.goods',
    p_filter: { note: null, id: { lt: 1000 } },
    p_operation: 'DELETE',
  });
  assert.deepEqual(
    nulls.map((row) => (row['old_values'] as Row)['name']),
    ['pencil'],
  );
  assert.deepEqual(
    (await refusal(find('get_row_history', { p_table: 'app.marks', p_key: { code: 'c1', n: 1 } }))).details,
    ['p_key.kind: is required', 'p_key.n: is no column of the key, which is org, code, kind', 'p_key.org: is required'],
  );
  assert.deepEqual((await refusal(find('get_transaction', { p_transaction_id: '1; drop' }))).details, [
    'p_transaction_id: must be the transaction_id of a change',
  ]);
  assert.deepEqual(
    (await refusal(find('get_change_histogram', { p_since: null, p_until: start, p_buckets: 0, p_tables: ['no'] })))
      .details,
    ['p_since: is required', 'p_tables: "no" is not a protected table', 'p_buckets: must be from 1 to 1,000'],
  );
});

test('nothing of another tenant is told, and a viewer is told nothing', async () => {
  const shared = await transaction(
    `insert into app.goods values (5001, '${TENANT}', 'ours'), (5002, '${OTHER}', 'theirs')`,
    `update app.goods set org = '${OTHER}' where id = 5001`,
  );
  const told = await find('get_transaction', { p_transaction_id: shared });
  assert.deepEqual(
    told.map((c) => [c['operation'], c['row_key'], c['new_values']]),
    [
      ['TENANT_FROM', { id: 5001 }, null],
      ['UPDATE', { id: 5001 }, null],
      ['INSERT', { id: 5001 }, (told[1] as Row)['old_values']],
    ],
  );
  const [moved] = await find('get_transactions', { p_limit: 1 });
  assert.deepEqual([moved!['inserts'], moved!['updates'], moved!['deletes']], [1, 0, 1]);
  const calls: [string, Row][] = [
    ['get_transaction', { p_transaction_id: shared }],
    ['get_transactions', {}],
    ['get_row_history', { p_table: 'app.goods', p_key: { id: 5001 } }],
    ['find_rows', { p_table: 'app.goods' }],
    ['get_change_histogram', { p_since: start, p_until: await now() }],
    ['get_events', { p_since: start, p_until: await now() }],
  ];
  for (const [name, args] of calls) {
    assert.equal((await refusal(call(name, { p_tenant_id: OTHER, ...args }))).code, 'TENANT_NOT_FOUND', name);
  }
  await actAs(VIEWER);
  for (const [name, args] of calls) {
    assert.equal((await refusal(find(name, args))).code, 'INSUFFICIENT_PERMISSIONS', name);
  }
  await actAs(OWNER);
});

test('what comes late into a part that has its summary is told, too', async () => {
  const {
    rows: [sealed],
  } = await client.query<{ part: string; since: Date }>(
    `select m23.part_name(s.table_id, min(s.part)) as part, clock_timestamp() as since from m23.part_summaries s
      where s.table_id = (select id from m23.protected_tables where relid = 'app.marks'::regclass) group by s.table_id`,
  );
  const [since, filled] = [
    sealed!.since,
    "c1, c2, c3 from (values ('late', 'k')) v (c2, c3), (values ('acme')) o (c1)",
  ];
  await client.query(`insert into app.marks values ('${TENANT}', 'late', 'k', 1)`);
  await client.query(`insert into ${sealed!.part} (tenant_id, op, c1, c2, c3) select '${TENANT}', 'I', ${filled}`);
  const range = { p_since: hoursAgo(1), p_until: hoursAgo(-1), p_tables: ['app.marks'] };
  const told = await find('get_row_history', { p_table: 'app.marks', p_key: { org: TENANT, code: 'late', kind: 'k' } });
  assert.equal(told.length, 2);
  const counted = await find('get_change_histogram', { ...range, p_since: since.toISOString(), p_buckets: 1 });
  assert.deepEqual(
    counted.map((bucket) => [bucket['operation'], bucket['row_count']]),
    [['INSERT', 2]],
  );
  const [late] = await find('get_transactions', { p_since: since, p_order: 'rows', p_limit: 1 });
  assert.equal(late!['inserts'], 1);
});

test('rows that find their tenant by a path have their history as well', async () => {
  await client.query(`create table app.lines (id int primary key, goods int not null references app.goods, text text);
    select m23.protect_table('app.lines', via => 'goods')`);
  const made = await transaction(`insert into app.lines values (1, 110, 'ours'), (2, 5002, 'theirs')`);
  await client.query(`update app.lines set text = 'still ' || text`);
  assert.deepEqual(
    (await find('get_row_history', { p_table: 'app.lines', p_key: { id: 1 } })).map((c) => c['new_values']),
    ['still ours', 'ours'].map((text) => ({ id: 1, goods: 110, text })),
  );
  assert.deepEqual(await find('get_row_history', { p_table: 'app.lines', p_key: { id: 2 } }), []);
  assert.deepEqual((await find('get_transaction', { p_transaction_id: made })).length, 1);
});

test('a restore is named as the source of what it wrote', async () => {
  const at = await now();
  await transaction(`update app.goods set name = 'wrong' where id = 110`);
  await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: ['app.goods'] });
  const [back, wrong] = await find('get_row_history', { p_table: 'app.goods', p_key: { id: 110 } });
  const {
    rows: [log],
  } = await client.query<{ id: string }>('select id from public.restore_logs order by created_at desc limit 1');
  assert.deepEqual([back!['restore_log_id'], back!['source']], [log!.id, `restore ${log!.id}`]);
  assert.deepEqual([wrong!['restore_log_id'], wrong!['source']], [null, 'app: unnamed as postgres']);
  const [mine, ...others] = await find('get_transactions', { p_source: `restore ${log!.id}` });
  assert.deepEqual([mine!['transaction_id'], mine!['updates'], others], [back!['transaction_id'], 1, []]);
  const events = await find('get_events', { p_since: at, p_until: await now() });
  assert.deepEqual(events.map((e) => e['kind']).sort(), ['restore', 'snapshot']);
  assert.match(String(events.find((e) => e['id'] === log!.id)!['summary']), /^restore to .*: completed, 1 row$/);
});

test('what is told has the present shape of its table', async () => {
  await client.query(`create type app.mood as enum ('good', 'bad');
    create table app.moods (id int primary key, org text, mood app.mood, size text, gone text);
    select m23.protect_table('app.moods', 'org');
    insert into app.moods values (1, '${TENANT}', 'good', '7', 'x'), (2, '${TENANT}', 'bad', 'wide', 'x');
    update app.moods set mood = 'bad', size = '8' where id = 1; delete from app.moods where id = 2`);
  const since = await now();
  await client.query(`alter table app.moods rename size to width; alter table app.moods drop gone;
    alter table app.moods alter width type int using width::int; alter type app.mood rename value 'good' to 'fine';
    alter table app.moods add note text default 'new'`);
  const [update] = await find('get_row_history', { p_table: 'app.moods', p_key: { id: 1 } });
  assert.deepEqual(update!['old_values'], { id: 1, org: TENANT, mood: 'fine', width: 7, note: 'new' });
  assert.deepEqual(update!['changed_columns'], ['mood', 'width']);
  const [deleted] = await find('get_row_history', { p_table: 'app.moods', p_key: { id: 2 } });
  assert.equal((deleted!['old_values'] as Row)['width'], 'wide');
  const found = await find('find_rows', { p_table: 'app.moods', p_filter: { mood: 'fine' } });
  assert.deepEqual(
    found.map((row) => row['row_key']),
    [{ id: 1 }],
  );
  const summaries = (await find('get_events', { p_since: since, p_until: await now() })).map((e) => e['summary']);
  assert.deepEqual(summaries.sort(), [
    'app.moods: column gone was dropped',
    'app.moods: column note was added',
    'app.moods: column width is integer now',
  ]);
});

test('summaries go with their part, and with a tenant that is forgotten', async () => {
  await summarize();
  const kept = async (): Promise<number[]> => {
    const { rows } = await client.query<{ kept: number }>(
      `select count(*)::int as kept from m23.change_sums where tenant_id = '${TENANT}' and table_id = m23_id
       union all select count(*)::int from m23.large_transactions where tenant_id = '${TENANT}' and table_id = m23_id`.replaceAll(
        'm23_id',
        `(select id from m23.protected_tables where relid = 'app.goods'::regclass)`,
      ),
    );
    return rows.map((row) => row.kept);
  };
  assert.ok((await kept()).every((count) => count > 0));
  await client.query(`select m23.forget_part(table_id, part) from m23.part_summaries
    where table_id = (select id from m23.protected_tables where relid = 'app.goods'::regclass) and part = 1`);
  const {
    rows: [left],
  } = await client.query<{ count: number }>(
    `select count(*)::int as count from m23.change_sums
      where table_id = (select id from m23.protected_tables where relid = 'app.goods'::regclass) and part = 1`,
  );
  assert.equal(left!.count, 0);
  assert.ok((await kept()).every((count) => count > 0));
  await actAs(null);
  await client.query(`select m23.forget_tenant('${TENANT}')`);
  assert.deepEqual(await kept(), [0, 0]);
});

test('a part of the log that has grown large is closed before its time', async () => {
  const open = async (): Promise<number> => {
    const { rows } = await client.query<{ part: number }>(
      `select max(part) as part from m23.log_parts where table_id =
         (select id from m23.protected_tables where relid = 'app.marks'::regclass)`,
    );
    return rows[0]!.part;
  };
  await client.query(`insert into app.marks values ('${OTHER}', 'x', 'y', 1)`);
  const part = await open();
  await client.query('select m23.prune_logs()');
  assert.equal(await open(), part);
  await client.query(`update m23.settings set value = '1' where name = 'log_part_bytes'`);
  await client.query('select m23.prune_logs()');
  assert.equal(await open(), part + 1);
});
