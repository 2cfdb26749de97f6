import assert from 'node:assert/strict';
import { join } from 'node:path';

import pg from 'pg';

import type { Stack } from '../stack/stack.ts';
import { backUp, call, restored } from '../tests/fixtures/functions.ts';
import { newTenant, type Tenant } from '../tests/fixtures/tenants.ts';
import { interleaved, quantile, ratio } from './measure.ts';
import type { Row } from './report.ts';
import { addIndexes, createBareTable, createTable, values } from './rows.ts';

const BESIDE = 'bench_beside';
const TABLES = ['bench.shared'];

/**
 * One tenant of ten has lost its rows. Without M23 a team dumps the database, restores the dump beside, and copies the
 * tenant back. It is done by COPY through gzip at its default level, as pg_dump's own formats are compressed by default,
 * with key and index made afterwards: PostgreSQL's npm package has no pg_dump and no pg_restore.
 */
export async function measureDump(stack: Stack, client: pg.Client, quick: boolean): Promise<Row[]> {
  const count = quick ? 100_000 : 1_000_000;
  const tenant = await tenantOfTen(stack, client, count);
  const beside = new Beside(
    stack,
    client,
    tenant,
    await fileIn(client, 'bench.dump'),
    await fileIn(client, 'bench.tenant'),
  );
  const job = await backUp(stack, client, tenant, { jobType: 'full', tables: TABLES });
  let moment = '';
  const lose = async (): Promise<void> => {
    moment = await now(client);
    await client.query(`delete from bench.shared where tenant_id = '${tenant.id}'`);
    await client.query('vacuum bench.shared');
  };
  const times = await interleaved(quick ? 1 : 2, [
    { name: 'dump', run: () => beside.dump() },
    { name: 'copy back', prepare: lose, run: () => beside.restoreAndCopyBack() },
    { name: 'log', prepare: lose, run: () => restoreFromLog(stack, tenant, moment) },
    { name: 'archive', prepare: lose, run: async () => void (await restored(stack, tenant, job, { tables: TABLES })) },
  ]);
  const {
    rows: [left],
  } = await client.query<{ count: string }>(`select count(*) from bench.shared where tenant_id = '${tenant.id}'`);
  assert.equal(Number(left?.count), count / 10);
  const whole = times['dump']?.map((dump, n) => dump + (times['copy back']?.[n] ?? NaN));
  const seconds = (name: string): string => `${name} ${(quantile(times[name] ?? [], 0.5) / 1000).toFixed(1)} s`;
  const what = `${(count / 10).toLocaleString('en')} of ${count.toLocaleString('en')} rows: dump, restore beside, copy back`;
  return [
    {
      what: `${what} / pitr-restore`,
      ratio: ratio(whole, times['log']),
      goal: { atLeast: 5 },
      note: Object.keys(times).map(seconds).join(', '),
    },
    { what: `${what} / backup-restore`, ratio: ratio(whole, times['archive']), goal: { atLeast: 5 } },
  ];
}

/** The way by a dump and a database beside. */
class Beside {
  readonly #stack: Stack;
  readonly #client: pg.Client;
  readonly #tenant: Tenant;
  readonly #whole: string;
  readonly #rows: string;

  constructor(stack: Stack, client: pg.Client, tenant: Tenant, whole: string, rows: string) {
    this.#stack = stack;
    this.#client = client;
    this.#tenant = tenant;
    this.#whole = whole;
    this.#rows = rows;
  }

  async dump(): Promise<void> {
    await this.#client.query(`copy bench.shared to program 'gzip > ${this.#whole}'`);
  }

  async restoreAndCopyBack(): Promise<void> {
    await this.#client.query(`drop database if exists ${BESIDE}`);
    await this.#client.query(`create database ${BESIDE}`);
    const beside = await connectTo(this.#stack, BESIDE);
    try {
      await createBareTable(beside, 'shared');
      await beside.query(`copy bench.shared from program 'gunzip -c ${this.#whole}'`);
      await addIndexes(beside, 'shared');
      await beside.query(`copy (select * from bench.shared where tenant_id = '${this.#tenant.id}') to '${this.#rows}'`);
    } finally {
      await beside.end();
    }
    await this.#client.query(`copy bench.shared from '${this.#rows}'`);
  }
}

async function restoreFromLog(stack: Stack, tenant: Tenant, targetTimestamp: string): Promise<void> {
  const reply = await call(stack, 'pitr-restore', await tenant.token('admin'), {
    targetTimestamp,
    tables: TABLES,
    confirmRestore: true,
  });
  assert.equal(reply.body['status'], 'completed', JSON.stringify(reply.body));
}

/** A table that ten tenants share evenly, protected once it is filled. */
async function tenantOfTen(stack: Stack, client: pg.Client, count: number): Promise<Tenant> {
  const tenant = await newTenant(stack, client);
  await createTable(client, 'shared');
  const other = `('00000000-0000-4000-8000-' || lpad((n % 10)::text, 12, '0'))::uuid`;
  await client.query(
    `insert into bench.shared select ${values(`case n % 10 when 0 then '${tenant.id}'::uuid else ${other} end`)} from generate_series(1, ${count}) n`,
  );
  await client.query('vacuum analyze bench.shared');
  await client.query(`select m23.protect_table('bench.shared')`);
  return tenant;
}

async function connectTo(stack: Stack, database: string): Promise<pg.Client> {
  const url = new URL(stack.databaseUrl);
  url.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  return client;
}

async function fileIn(client: pg.Client, name: string): Promise<string> {
  const {
    rows: [folder],
  } = await client.query<{ data_directory: string }>('show data_directory');
  return join(folder?.data_directory ?? '', name);
}

async function now(client: pg.Client): Promise<string> {
  const {
    rows: [row],
  } = await client.query<{ at: string }>(`select m23.iso(clock_timestamp()) as at`);
  return row?.at ?? '';
}
