// Every type of PostgreSQL's chapter on data types, as a value and as a part of a key: whatever way
// rows come back, they are what they were, in text and in their binary form.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { APPLICATION_TYPES, DATA_TYPES, type DataType } from '../fixtures/data-types.ts';
import { backUp, call, completed, restored } from '../fixtures/functions.ts';
import { openShop } from '../fixtures/shop.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';

/** A table of several types, a column `c…` each; its rows are told apart by `n`, whatever their key is. */
interface Table {
  name: string;
  types: DataType[];
  /** The columns are its primary key. */
  keyed: boolean;
}

const TABLES: Table[] = [
  ...groups(DATA_TYPES, 26).map((types, n) => ({ name: `types.values${n}`, types, keyed: false })),
  ...groups(
    DATA_TYPES.filter((type) => keysOf(type).length > 0),
    4,
  ).map((types, n) => ({ name: `types.keys${n}`, types, keyed: true })),
];

/** Whoever writes may have any settings; what is kept does not depend on them. */
const FOREIGN_SETTINGS = `set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard'; set timezone = 'Asia/Kathmandu';
  set bytea_output = 'escape'; set extra_float_digits = -3`;
const OWN_SETTINGS = 'reset all; set search_path = types, public; set extra_float_digits = 1';

/** Images of each column, by the names of table and column. */
type Images = Map<string, string[]>;

let tenant: Tenant;

const { stack, client, now } = await openStack();

before(async () => {
  tenant = await newTenant(stack, client);
  await openShop(client);
  await client.query(`create schema types; set search_path = types, public; ${APPLICATION_TYPES}`);
  for (const table of TABLES) await client.query(`${make(table)}; select m23.protect_table('${table.name}')`);
});

function groups<T>(all: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, n) => all.slice(n * size, (n + 1) * size));
}

function keysOf({ values, keys = values }: DataType): string[] {
  return keys;
}

function valuesOf(type: DataType, keyed: boolean): string[] {
  return keyed ? keysOf(type) : type.values;
}

/** As many rows as show every value. */
function rowCount({ types, keyed }: Table): number {
  return Math.max(...types.map((type) => valuesOf(type, keyed).length));
}

/** What a row has in its columns: each type's values, round and round. */
function row({ types, keyed }: Table, n: number): string[] {
  return types.map((type) => valuesOf(type, keyed)[n % valuesOf(type, keyed).length] ?? '');
}

/** A row of which every value is null, as far as it may be. */
function nulls({ types }: Table): string[] {
  return types.map(({ notNull, values: [first = ''] }) => (notNull === undefined ? 'null' : first));
}

/** One key in two forms that are not written alike, where there is such a key: row 50 goes from the one to the other. */
function alike(table: Table, form: 0 | 1): string {
  if (!table.types.some((type) => type.alike !== undefined)) return '';
  return (form === 0 ? insert : update)(
    table,
    50,
    table.types.map((type) => type.alike?.[form] ?? keysOf(type)[0] ?? ''),
  );
}

const insert = ({ name, types }: Table, n: number, values: string[]): string =>
  `insert into ${name} (n, tenant_id, ${types.map((_, c) => `c${c}`).join(', ')}) values (${n}, '${tenant.id}', ${values.join(', ')});`;
const update = ({ name }: Table, n: number, values: string[]): string =>
  `update ${name} set ${values.map((value, c) => `c${c} = ${value}`).join(', ')} where n = ${n};`;

/** A table with its rows but the last, which comes later. */
function make(table: Table): string {
  const { name, types, keyed } = table;
  const key = keyed ? types.map((_, c) => `c${c}`).join(', ') : 'n';
  const rows = Array.from({ length: rowCount(table) - (keyed ? 1 : 0) }, (_, n) => insert(table, n, row(table, n)));
  return `create table ${name} (n int not null, tenant_id uuid not null, v int, ${types.map(({ type }, c) => `c${c} ${type}`).join(', ')}, primary key (${key}));
    ${rows.join('\n')} ${keyed ? alike(table, 0) : insert(table, 50, nulls(table))}`;
}

/** What changes after the moment: values go from row to row, a row goes, another comes. */
function damage(table: Table): string {
  const { name, keyed } = table;
  const last = rowCount(table) - 1;
  return keyed
    ? `update ${name} set v = n; ${update(table, 0, row(table, last))} delete from ${name} where n = 1; ${insert(table, 100, row(table, 0))} ${alike(table, 1)}`
    : `${row(table, 0)
        .map((_, n) => (n <= last ? update(table, n, row(table, n + 1)) : ''))
        .join('')} delete from ${name} where n = 2;
       ${update(table, 50, row(table, last))} ${insert(table, 100, row(table, 0))} update ${name} set n = 101 where n = 1;`;
}

/** Every column's values, as text and as bytes; of the past when `at` is given. */
async function read(at?: string): Promise<Images> {
  const images: Images = new Map();
  await client.query(OWN_SETTINGS);
  for (const { name, types } of TABLES) {
    const from = at === undefined ? name : `m23.as_of(null::${name}, '${tenant.id}', timestamptz '${at}')`;
    const columns = types.map(
      (_, c) => `concat_ws(' ', r.n, r.v, r.c${c}::text, encode(record_send(row(r.c${c})), 'hex'))`,
    );
    const { rows } = await client.query<{ images: string[] }>(
      `select array[${columns.join(', ')}] as images from ${from} r order by r.n`,
    );
    for (const c of types.keys()) {
      images.set(
        `${name} c${c}`,
        rows.map((one) => one.images[c] ?? ''),
      );
    }
  }
  return images;
}

/** Calls a function that must succeed; gives the snapshot that it leaves. */
async function recover(name: string, body: Record<string, unknown>): Promise<unknown> {
  const reply = await call(stack, name, await tenant.token('admin'), body);
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  return reply.body['snapshotId'];
}

/** The log and the past can be read, whatever types there are. */
async function look(at: string): Promise<void> {
  await client.query(`select set_config('request.jwt.claims', '{"role": "service_role"}', false)`);
  for (const { name } of TABLES) {
    const {
      rows: [seen],
    } = await client.query<{ logged: number; then: number; then_rows: number }>(
      `select
      (select count(*)::int from get_transaction_logs($1, $2)) as logged, jsonb_array_length(get_rows_as_of($2, $3, null, 100, $1)) as then_rows,
      (select count(*)::int from m23.as_of(null::${name}, $1, $3::timestamptz)) as then`,
      [tenant.id, name, at],
    );
    assert.ok(seen !== undefined && seen.logged > 0 && seen.then === seen.then_rows, name);
  }
  await client.query(`select set_config('request.jwt.claims', '', false)`);
}

describe('values and keys of every type are what they were', () => {
  /** What was there, and what was there again. */
  const pairs: [string, Images, Images][] = [];

  before(async () => {
    const archived = await read();
    // Each chunk begins after a key, whatever its types are.
    await client.query(`update m23.settings set value = '2' where name = 'chunk_rows'`);
    const backup = await backUp(stack, client, tenant);
    assert.ok((await completed(client, backup)).chunks > TABLES.length);
    for (const { name } of TABLES) await client.query(`update ${name} set v = 1 where n = 1`);
    const at = await now();
    const then = await read();
    await client.query(FOREIGN_SETTINGS);
    for (const table of TABLES) await client.query(damage(table));
    const damaged = await read();
    for (const [column, images] of damaged) assert.notDeepEqual(images, then.get(column), `${column} was changed`);
    pairs.push(['as of the moment', then, await read(at)]);
    await recover('pitr-restore', { targetTimestamp: at, dryRun: true });
    await look(at);
    for (const [way, base] of [
      ['from the log', {}],
      ['from an archive', { baseBackupId: backup }],
    ] as const) {
      const snapshotId = await recover('pitr-restore', { targetTimestamp: at, confirmRestore: true, ...base });
      pairs.push([`restored ${way}`, then, await read()]);
      await recover('pitr-rollback', { snapshotId, confirmRollback: true });
      pairs.push([`rolled back, after a restore ${way}`, damaged, await read()]);
    }
    for (const { name } of TABLES) await client.query(`delete from ${name}`);
    await restored(stack, tenant, backup);
    pairs.push(['restored from a backup', archived, await read()]);
  });

  for (const { name, types, keyed } of TABLES) {
    for (const [c, { type }] of types.entries()) {
      test(`${type}${keyed ? ', in a key' : ''}`, () => {
        assert.equal(pairs.length, 6);
        for (const [what, expected, actual] of pairs)
          assert.deepEqual(actual.get(`${name} c${c}`), expected.get(`${name} c${c}`), what);
      });
    }
  }
});
