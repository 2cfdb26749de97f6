// A database gets the same M23 from the migrations, from supabase/install.sql, and by an upgrade of an older version;
// where M23 cannot be installed, all reasons are told at once and nothing is changed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, type TestContext, test } from 'node:test';

import type pg from 'pg';

import { supabaseShape } from '../../stack/migrated.ts';
import { type Migration, migrate } from '../../stack/migrations.ts';
import { ROOT } from '../../stack/places.ts';
import { catalogue, differences } from '../fixtures/catalogue.ts';
import { newDatabase, openPostgres } from '../fixtures/database.ts';
import { OLDER, olderMigrations, upgradedMigrations } from '../fixtures/versions.ts';

const INSTALL = readFileSync(join(ROOT, 'supabase', 'install.sql'), 'utf8');
const PROTECTED = `create table public.notes (id int primary key, tenant_id uuid not null, note text);
  select m23.protect_table('public.notes')`;

let upgraded: Migration[];

const postgres = await openPostgres();

before(async () => {
  upgraded = upgradedMigrations();
});

/** A database of its own, as a project is before M23. */
async function project(t: TestContext): Promise<pg.Client> {
  const client = await newDatabase(postgres, t);
  await client.query('set client_min_messages = warning');
  await supabaseShape(client);
  return client;
}

/** What a database is, by names: without the database's own, and the record of its migrations. */
async function everything(client: pg.Client): Promise<string[]> {
  const lines = await catalogue(client);
  return lines.filter((line) => !/^database \||supabase_migrations/.test(line));
}

/** The rows that an installation brings, but what differs by the hour, the database or chance. */
async function contents(client: pg.Client): Promise<string[]> {
  const { rows: tables } = await client.query<{ name: string; columns: string }>(`
    select a.attrelid::regclass::text as name, string_agg(quote_ident(a.attname), ', ' order by a.attname) as columns
      from pg_attribute a join pg_class c on c.oid = a.attrelid
     where c.relnamespace in ('m23'::regnamespace, 'public'::regnamespace) and c.relkind = 'r' and a.attnum > 0
       and not a.attisdropped and a.atttypid not in ('timestamptz'::regtype, 'uuid'::regtype, 'xid8'::regtype, 'pg_lsn'::regtype, 'oid'::regtype, 'pg_snapshot'::regtype)
     group by a.attrelid order by 1`);
  const lines: string[] = [];
  for (const { name, columns } of tables) {
    const { rows } = await client.query<{ row: string }>(
      `select t::text as row from (select ${columns} from ${name}) t order by 1`,
    );
    lines.push(...rows.map(({ row }) => `${name} ${row}`));
  }
  return lines.filter((line) => !line.includes(OLDER));
}

/** The message and the hint of a refusal. */
async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail('nothing was refused'),
    (failure: unknown) => failure as { message: string; hint?: string },
  );
  return `${error.message} ${error.hint}`;
}

describe('a database', () => {
  test('is the same by the migrations and by install.sql', async (t) => {
    const [one, other] = [await project(t), await project(t)];
    await migrate(one);
    await other.query(INSTALL);
    assert.deepEqual(differences(await everything(one), await everything(other)), []);
    assert.deepEqual(await contents(one), await contents(other));
    await other.query(PROTECTED);
    const { rows } = await other.query("select finding from m23.doctor() where state = 'problem'");
    assert.deepEqual(rows, [], 'without a history of migrations it is as good');
  });

  test('has functions whose bodies name what is there: the migration itself does not look', async (t) => {
    const client = await project(t);
    await migrate(client);
    await client.query(`begin; set local check_function_bodies = on;
      do $$
      declare v_function text;
      begin
        for v_function in select pg_get_functiondef(p.oid) from pg_proc p
                           where p.pronamespace in ('m23'::regnamespace, 'm23_log'::regnamespace, 'public'::regnamespace)
                             and p.prolang in (select l.oid from pg_language l where l.lanname in ('sql', 'plpgsql')) loop
          execute v_function;
        end loop;
      end $$; rollback`);
  });

  test('is the same when it was installed at once and when it was upgraded', async (t) => {
    const [fresh, old] = [await project(t), await project(t)];
    await migrate(fresh);
    await migrate(old, olderMigrations());
    await migrate(old, upgraded);
    assert.deepEqual(differences(await everything(old), await everything(fresh)), []);
    assert.deepEqual(await contents(old), await contents(fresh));
  });

  test('has captures as they are generated now, after an upgrade', async (t) => {
    const client = await project(t);
    await migrate(client, olderMigrations());
    await client.query(`${PROTECTED}; create table public.gone (id int primary key, tenant_id uuid not null);
      select m23.protect_table('public.gone'); drop table public.gone`);
    await migrate(client, upgraded);
    const functions = `select p.proname, pg_get_functiondef(p.oid) as definition from pg_proc p
      where p.pronamespace = 'm23_log'::regnamespace and p.proname ~ '_[0-9]+$' order by 1`;
    const { rows: upgradedFunctions } = await client.query(functions);
    const { rows: triggers } = await client.query<{ marks: string[] }>(
      'select triggers as marks from m23.protected_tables',
    );
    assert.ok(upgradedFunctions.length > 0);
    await client.query(`select m23.protect_table('public.notes')`);
    assert.deepEqual(upgradedFunctions, (await client.query(functions)).rows);
    assert.ok(triggers[0]!.marks.length > 0);
  });

  test('keeps the functions that the application has put in the place of those of M23', async (t) => {
    const client = await project(t);
    await migrate(client, olderMigrations());
    await client.query(`create or replace function m23.tenants() returns table (tenant_id text, name text) language sql stable
      as $$ select 'a', 'Acme' $$`);
    await migrate(client, upgraded);
    assert.deepEqual((await client.query('select * from m23.tenants()')).rows, [{ tenant_id: 'a', name: 'Acme' }]);
  });
});

describe('an installation is refused', () => {
  test('where the memberships are a function of the application that gives tenants as uuid', async (t) => {
    const client = await project(t);
    await migrate(client, olderMigrations());
    await client.query(`create or replace function m23.memberships_of(p_user uuid) returns table (tenant_id uuid, role text)
      language sql stable as $$ select p_user, 'owner' $$`);
    const untouched = await catalogue(client);
    await assert.rejects(
      migrate(client, upgraded),
      /m23\.memberships_of is your own function, and gives tenants as uuid/,
    );
    assert.deepEqual(await catalogue(client), untouched);
  });

  test('with all names that are taken, and nothing is changed', async (t) => {
    const client = await project(t);
    await client.query(`create table public.audit_log (id int);
      create function public.get_health(p_of text) returns text language sql as $$ select p_of $$;
      create view public.transaction_logs as select 1 as one;
      create type public.dr_plans as enum ('a');
      create type public.restore_logs as (a int);
      create index backup_jobs_tenant on public.audit_log (id);
      create table public.health (id int)`);
    const untouched = await catalogue(client);
    const told = await refusal(client.query(INSTALL));
    await client.query('rollback');
    assert.equal(
      told,
      'M23 cannot be installed, because these names are taken: ' +
        'function public.get_health(p_of text), index public.backup_jobs_tenant, table public.audit_log, type public.dr_plans, type public.restore_logs, ' +
        'view public.transaction_logs Rename these objects of the application, then try again. Nothing was changed.',
    );
    assert.deepEqual(await catalogue(client), untouched);
    await assert.rejects(migrate(client), /these names are taken: function public\.get_health/);
  });

  test('where a schema is taken', async (t) => {
    const client = await project(t);
    await client.query('create schema m23_log');
    assert.match(await refusal(client.query(INSTALL)), /these names are taken: schema m23_log /);
  });

  test('where M23 is installed already', async (t) => {
    const client = await project(t);
    await migrate(client);
    const installed = await catalogue(client);
    assert.match(await refusal(client.query(INSTALL)), /^M23 is installed already, release \d+\.\d+\.\d+ /);
    await client.query('rollback');
    assert.deepEqual(await catalogue(client), installed);
  });
});

describe('an upgrade is refused', () => {
  const upgrade = (): string => upgraded.at(-1)!.sql;

  test('where M23 is not installed', async (t) => {
    const client = await project(t);
    assert.match(await refusal(client.query(upgrade())), /^M23 is not installed here/);
  });

  test('where another version is installed than the one before', async (t) => {
    const client = await project(t);
    await client.query(INSTALL);
    assert.match(
      await refusal(client.query(upgrade())),
      /^M23 is of release \S+ here This file upgrades it from 0\.0\.1 to /,
    );
  });

  test('with the names that are new to it and taken, and nothing is changed', async (t) => {
    const client = await project(t);
    await migrate(client, olderMigrations());
    await client.query(`create function public.get_weather(p_of text) returns text language sql as $$ select p_of $$;
      create function public.get_health(p_of text) returns text language sql as $$ select p_of $$`);
    const older = await catalogue(client);
    const more = `create function public.get_weather() returns text\nlanguage sql as $$ select 'fine' $$;`;
    await assert.rejects(
      migrate(client, upgradedMigrations(more)),
      /because these names are taken: function public\.get_weather\(p_of text\)$/,
    );
    assert.deepEqual(await catalogue(client), older);
  });
});
