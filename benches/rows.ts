import type pg from 'pg';

import type { Stack } from '../stack/stack.ts';
import { newTenant, type Tenant } from '../tests/fixtures/tenants.ts';

/** A table of ten columns in the schema bench. */
export interface TableShape {
  name: string;
  rows: number;
  /** How many tenants share the rows evenly, one row each in turn; 1 by default. */
  tenants?: number;
}

/** The tenant with a number, from 0. */
export function tenantOf(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

/** Makes an empty table. */
export async function createTable(client: pg.Client, name: string): Promise<void> {
  await createBareTable(client, name);
  await addIndexes(client, name);
}

/** Makes an empty table without its key and its index. */
export async function createBareTable(client: pg.Client, name: string): Promise<void> {
  await client.query(`
    create schema if not exists bench;
    create table bench.${name} (
      id         bigint not null,
      tenant_id  uuid not null,
      title      text not null,
      body       text,
      price      numeric(12, 2) not null,
      quantity   int not null,
      active     boolean not null,
      tags       text[] not null,
      details    jsonb not null,
      updated_at timestamptz not null
    )`);
}

export async function addIndexes(client: pg.Client, name: string): Promise<void> {
  await client.query(`alter table bench.${name} add primary key (id); create index on bench.${name} (tenant_id)`);
}

/** A select list of a row's values for a number `n` and the SQL of its tenant. */
export function values(tenant: string): string {
  return `n, ${tenant}, 'Item ' || n, repeat(md5(n::text), 3), n % 10000 / 100.0, n % 50, n % 3 = 0,
          array['all', 'n' || n % 10], jsonb_build_object('rank', n % 100, 'code', md5(n::text)), timestamptz '2026-01-01' + n * interval '1 second'`;
}

/** Makes a table and fills it. */
export async function fillTable(client: pg.Client, { name, rows, tenants = 1 }: TableShape): Promise<void> {
  await createTable(client, name);
  const tenant = `('00000000-0000-4000-8000-' || lpad((n % ${tenants})::text, 12, '0'))::uuid`;
  await client.query(`insert into bench.${name} select ${values(tenant)} from generate_series(1, ${rows}) n`);
  await client.query(`vacuum analyze bench.${name}`);
}

/** The condition for `count` rows of a tenant, spread evenly over a table. */
export function scattered({ rows, tenants = 1 }: TableShape, tenant: number, count: number): string {
  const step = Math.floor(rows / tenants / count) * tenants;
  return `tenant_id = '${tenantOf(tenant)}' and id % ${step} = ${tenant % step} and id <= ${step * count}`;
}

/** Changes the rows that a condition names. */
export async function damage(client: pg.Client, name: string, where: string): Promise<number> {
  const done = await client.query(
    `update bench.${name} set title = 'damaged', quantity = quantity + 1, updated_at = clock_timestamp() where ${where}`,
  );
  return done.rowCount ?? 0;
}

/** A tenant of a stack with that many rows in the table of items. */
export async function tenantWith(stack: Stack, client: pg.Client, count: number): Promise<Tenant> {
  const tenant = await newTenant(stack, client);
  const {
    rows: [top],
  } = await client.query<{ top: string }>('select coalesce(max(id), 0) as top from bench.items');
  const from = Number(top?.top) + 1;
  await client.query(
    `insert into bench.items select ${values(`'${tenant.id}'::uuid`)} from generate_series(${from}, ${from + count - 1}) n`,
  );
  await client.query('vacuum analyze bench.items');
  return tenant;
}
