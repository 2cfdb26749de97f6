// Every type of PostgreSQL's chapter on data types, as a value and as a key: whatever way rows come
// back, they are what they were, in text and in their binary form.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type pg from 'pg';

import { type Stack, startStack } from '../stack/stack.ts';
import { temporaryFolder } from './dev-command.ts';
import { APPLICATION_TYPES, DATA_TYPES, type DataType } from './fixtures/data-types.ts';
import { type Reply, backUp, call, restored } from './fixtures/functions.ts';
import { openShop } from './fixtures/shop.ts';
import { type Tenant, newTenant } from './fixtures/tenants.ts';

/** A table of one type: its rows are told apart by `n`, whatever their key is. */
interface Table {
  title: string;
  name: string;
  type: DataType;
  /** The type is that of its primary key. */
  keyed: boolean;
}

const TABLES: Table[] = DATA_TYPES.flatMap((type, n) => [
  { title: type.type, name: `types.v${n}`, type, keyed: false },
  ...(keysOf(type).length > 1 ? [{ title: `${type.type} as a key`, name: `types.k${n}`, type, keyed: true }] : []),
]);

/** Whoever writes may have any settings; what is kept does not depend on them. */
const FOREIGN_SETTINGS = `set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard'; set timezone = 'Asia/Kathmandu';
  set bytea_output = 'escape'; set extra_float_digits = -3; set xmloption = 'document'; set array_nulls = on`;

/** A row's text and its bytes, as a client that asks for binary would be sent them. */
const IMAGE = `concat_ws(' ', r.n, r.x::text, encode(record_send(row(r.x)), 'hex'))`;

type Images = Map<string, string[]>;

let stack: Stack;
let client: pg.Client;
let tenant: Tenant;
let removeFolder: () => void;
/** What was read at each stage. */
const seen: Record<string, Images> = {};

before(async () => {
  const stateDir = temporaryFolder((cleanUp) => { removeFolder = cleanUp; });
  stack = await startStack({ stateDir, ephemeral: true });
  client = await stack.postgres.connect();
  tenant = await newTenant(stack, client);
  await openShop(client);
  await client.query(`create schema types; set search_path = types, public; ${APPLICATION_TYPES}`);
  await client.query(TABLES.map(make).join('\n'));
  await client.query('select m23.protect_table(c.oid) from pg_class c where c.relnamespace = $1::regnamespace and c.relkind = $2', ['types', 'r']);
});
after(async () => {
  await client.end();
  await stack.close();
  removeFolder();
});

function keysOf({ values, keys = values }: DataType): string[] {
  return keys;
}

/** A table with a row for each value but the last, which comes later. */
function make({ name, type, keyed }: Table): string {
  const values = keyed ? [...keysOf(type), ...(type.alike?.slice(0, 1) ?? [])] : type.values;
  const rows = values.map((value, n) => `(${n + 1}, '${tenant.id}', ${value})`).filter((_, n) => !keyed || n !== keysOf(type).length - 1);
  if (!keyed && type.notNull === undefined) rows.push(`(0, '${tenant.id}', null)`);
  const key = keyed ? 'primary key (x, tenant_id)' : 'primary key (n)';
  return `create table ${name} (n int not null, tenant_id uuid not null, x ${type.type}, v int, ${key}); insert into ${name} (n, tenant_id, x) values ${rows.join(', ')};`;
}

/** What changes after the moment. Values go from row to row; of the rows some go, and some come. */
function damage({ name, type, keyed }: Table): string {
  const values = keyed ? keysOf(type) : type.values;
  const [first, last] = [values[0] ?? '', values.at(-1) ?? ''];
  const other = `case n % 2 when 0 then (${first})::${bare(type)} else (${last})::${bare(type)} end`;
  if (!keyed) {
    return `update ${name} set x = ${other} where n % 3 < 2; delete from ${name} where n = 2; update ${name} set x = ${last} where n = 1;
      insert into ${name} (n, tenant_id, x) values (100, '${tenant.id}', ${first}); update ${name} set n = 101 where n = 3;`;
  }
  const alike = type.alike === undefined ? '' : `update ${name} set x = ${type.alike[1]} where n = ${values.length + 1};`;
  return `update ${name} set v = n; update ${name} set x = ${last} where n = 1; delete from ${name} where n = 2;
    insert into ${name} (n, tenant_id, x) values (100, '${tenant.id}', ${first}); ${alike}`;
}

/** The type as a cast names it. */
function bare({ type }: DataType): string {
  return { smallserial: 'smallint', serial: 'integer', bigserial: 'bigint' }[type] ?? type.replace(/ collate .*/, '');
}

/** Every table's rows; of the past when `at` is given. */
async function read(at?: string): Promise<Images> {
  const images: Images = new Map();
  await client.query('reset all; set search_path = types, public; set extra_float_digits = 1');
  for (const { name } of TABLES) {
    const from = at === undefined ? name : `m23.as_of(null::${name}, '${tenant.id}', timestamptz '${at}')`;
    const { rows } = await client.query<{ image: string }>(`select ${IMAGE} as image from ${from} r order by r.n`);
    images.set(name, rows.map(({ image }) => image));
  }
  return images;
}

async function now(): Promise<string> {
  const { rows: [row] } = await client.query<{ at: string }>(`select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`);
  return row?.at ?? '';
}

/** Calls a function that must succeed; gives the snapshot that it leaves. */
async function recover(name: string, body: Record<string, unknown>): Promise<unknown> {
  const reply: Reply = await call(stack, name, await tenant.token('admin'), body);
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  return reply.body['snapshotId'];
}

describe('a value of every type', () => {
  before(async () => {
    seen['archived'] = await read();
    const backup = await backUp(stack, client, tenant);
    await client.query(TABLES.map(({ name }) => `update ${name} set v = 1 where n = 1;`).join('\n'));
    const at = await now();
    seen['then'] = await read();
    await client.query(FOREIGN_SETTINGS);
    await client.query(TABLES.map(damage).join('\n'));
    seen['damaged'] = await read();
    seen['as of'] = await read(at);
    await recover('pitr-restore', { targetTimestamp: at, dryRun: true });
    for (const way of [{}, { baseBackupId: backup }]) {
      const name = 'baseBackupId' in way ? 'archive' : 'log';
      const snapshotId = await recover('pitr-restore', { targetTimestamp: at, confirmRestore: true, ...way });
      seen[name] = await read();
      await recover('pitr-rollback', { snapshotId, confirmRollback: true });
      seen[`undone ${name}`] = await read();
    }
    await client.query(TABLES.map(({ name }) => `delete from ${name};`).join('\n'));
    await restored(stack, tenant, backup);
    seen['restored'] = await read();
  });

  for (const { title, name } of TABLES) {
    test(title, () => {
      const [then, damaged] = [seen['then']?.get(name), seen['damaged']?.get(name)];
      assert.ok((then?.length ?? 0) > 1);
      assert.notDeepEqual(damaged, then, 'the rows were changed');
      for (const way of ['as of', 'log', 'archive']) assert.deepEqual(seen[way]?.get(name), then, way);
      for (const way of ['undone log', 'undone archive']) assert.deepEqual(seen[way]?.get(name), damaged, way);
      assert.deepEqual(seen['restored']?.get(name), seen['archived']?.get(name), 'restored from an archive');
    });
  }
});
