// Installing M23, using it and taking it out again leaves the database as it was.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type pg from 'pg';

import { supabaseShape } from '../../stack/migrated.ts';
import { migrate } from '../../stack/migrations.ts';
import { ROOT } from '../../stack/places.ts';
import { catalogue } from '../fixtures/catalogue.ts';
import { newDatabase, openPostgres } from '../fixtures/database.ts';

const UNINSTALL = readFileSync(join(ROOT, 'supabase', 'uninstall.sql'), 'utf8');
const ACME = '11111111-1111-4111-8111-111111111111';

const postgres = await openPostgres();

interface Context {
  after(end: () => Promise<void>): void;
}

/** A database of its own, with nothing in it but the Supabase CLI's record of migrations. */
async function bareProject(t: Context): Promise<pg.Client> {
  const client = await newDatabase(postgres, t);
  await client.query(
    'create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)',
  );
  return client;
}

/** A database shaped like a project, with an application's tables and rows. */
async function project(t: Context): Promise<pg.Client> {
  const client = await bareProject(t);
  await supabaseShape(client);
  await client.query(`
    create table public.orders (id int primary key, tenant_id uuid not null, note text);
    create table public.events (id int, tenant_id uuid not null, at date, primary key (id, at)) partition by range (at);
    create table public.events_2026 partition of public.events for values from ('2026-01-01') to ('2027-01-01');
    create function public.get_health(p_of text) returns text language sql as $$ select 'the application''s own, ' || p_of $$;
    create function public.touch() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger touch before update on public.orders for each row execute function public.touch();
    alter table public.orders enable row level security;
    create policy everybody on public.orders for select to authenticated using (true);
    insert into public.orders select n, '${ACME}', 'order' from generate_series(1, 5) n`);
  return client;
}

/** An overload of the application's can come later only: M23 is not installed where a name is taken. */
async function install(client: pg.Client): Promise<void> {
  await client.query('set client_min_messages = warning');
  await client.query('alter function public.get_health(text) rename to get_health_of');
  await migrate(client);
  await client.query('alter function public.get_health_of(text) rename to get_health');
  await client.query(`select m23.protect_table('public.orders'), m23.protect_table('public.events')`);
}

describe('the way out', () => {
  test('leaves a PostgreSQL as it was that has nothing of Supabase', async (t) => {
    const client = await bareProject(t);
    const earlier = await catalogue(client);
    assert.ok(!earlier.some((line) => line.startsWith('role | anon')), 'the server has none of its roles yet');
    await migrate(client);
    await client.query(
      `create table public.orders (id int primary key, tenant_id uuid not null); select m23.protect_table('public.orders')`,
    );
    await client.query(UNINSTALL);
    await client.query('drop table public.orders');
    assert.deepEqual(await catalogue(client), earlier);
  });

  test('leaves every object, right and row as it was', async (t) => {
    const client = await project(t);
    const earlier = await catalogue(client);
    await install(client);
    assert.notDeepEqual(await catalogue(client), earlier);
    await client.query(
      `update public.orders set note = 'changed' where id = 1; delete from public.orders where id = 2; insert into public.events values (1, '${ACME}', '2026-05-05')`,
    );
    await client.query(UNINSTALL);
    assert.deepEqual(await catalogue(client), earlier);
    const { rows } = await client.query('select id, note from public.orders order by id');
    assert.deepEqual(
      rows,
      [1, 3, 4, 5].map((id) => ({ id, note: id === 1 ? 'changed' : 'order' })),
    );
    await client.query(`update public.orders set note = 'again'; truncate public.orders`);
  });

  test('can be gone forth again', async (t) => {
    const client = await project(t);
    await install(client);
    await client.query(UNINSTALL);
    await client.query('delete from supabase_migrations.schema_migrations');
    await install(client);
    await client.query(`update public.orders set note = 'captured'`);
    const {
      rows: [row],
    } = await client.query(`select count(*)::int as changes from m23_log.log_1`);
    assert.equal(row.changes, 5);
  });

  test('is refused while something of the application depends on M23, and then changes nothing', async (t) => {
    const client = await project(t);
    await install(client);
    await client.query(
      `create policy mine on public.orders for insert to authenticated with check (tenant_id in (select t::uuid from m23.caller_tenants() t))`,
    );
    const installed = await catalogue(client);
    await assert.rejects(
      client.query(UNINSTALL),
      /these depend on M23; change or drop them first: policy mine on table public\.orders$/,
    );
    assert.deepEqual(await catalogue(client), installed);
    await client.query('drop policy mine on public.orders');
    await client.query(UNINSTALL);
  });

  test('is refused while work is running', async (t) => {
    const client = await project(t);
    await install(client);
    await client.query(
      `insert into m23.leases (work_id, token, until) values (gen_random_uuid(), gen_random_uuid(), clock_timestamp() + interval '1 minute')`,
    );
    await assert.rejects(client.query(UNINSTALL), /is running/);
  });
});
