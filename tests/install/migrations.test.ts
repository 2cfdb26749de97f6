// The migrations on every PostgreSQL that M23 supports, pushed as users push them: by the Supabase
// CLI, onto an empty server and onto one shaped like a hosted project, where nobody is a superuser.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import pg from 'pg';

import { supabaseShape } from '../../stack/migrated.ts';
import { readMigrations } from '../../stack/migrations.ts';
import { type PostgresMajor, ROOT } from '../../stack/places.ts';
import { Postgres } from '../../stack/postgres.ts';
import { temporaryFolder } from '../dev-command.ts';
import { catalogue } from '../fixtures/catalogue.ts';
import { actAsOwner, preview, recover } from '../fixtures/database.ts';
import { newerCheckout, olderCheckout } from '../fixtures/versions.ts';

const MAJORS: PostgresMajor[] = [15, 16, 17, 18];
const ACME = '11111111-1111-4111-8111-111111111111';

const ROLES = [
  'create role anon nologin',
  'create role authenticated nologin',
  'create role service_role nologin bypassrls',
];

/** What a hosted project's `postgres` role may do, and no more. */
const HOSTED_OWNER = [
  `create role hosted_owner login password 'hosted' createrole createdb bypassrls replication`,
  'grant anon, authenticated, service_role to hosted_owner with admin option',
  'create database hosted owner hosted_owner',
];

/** Pushes a checkout's migrations. */
async function push(url: string, checkout = ROOT): Promise<string> {
  const cli = join(ROOT, 'node_modules', '.bin', 'supabase');
  const { stdout, stderr } = await promisify(execFile)(
    cli,
    ['db', 'push', '--db-url', `${url}?sslmode=disable`, '--yes'],
    {
      cwd: checkout,
      env: { ...process.env, SUPABASE_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
    },
  );
  return stdout + stderr;
}

async function withPostgres(major: PostgresMajor, work: (postgres: Postgres) => Promise<void>): Promise<void> {
  const stateDir = temporaryFolder();
  const postgres = await Postgres.start({
    stateDir,
    ephemeral: true,
    major,
    settings: { track_commit_timestamp: 'off' },
    onCrash: () => undefined,
  });
  try {
    await work(postgres);
  } finally {
    await postgres.stop();
  }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Where triggers cannot be silenced, foreign keys act while a restore writes: the order must be right. */
async function restoresWithoutSilence(client: pg.Client): Promise<void> {
  await client.query(`create table public.parents (id int primary key, tenant_id uuid not null, v text);
    create table public.a_children (id int primary key, tenant_id uuid not null, parent int not null references public.parents);
    select m23.protect_table('public.parents'), m23.protect_table('public.a_children');
    insert into public.parents select n, '${ACME}', 'v' from generate_series(1, 9) n; insert into public.a_children select n, '${ACME}', n from generate_series(1, 9) n`);
  await client.query('select pg_sleep(1.1)'); // past the next tick
  await client.query('update public.parents set v = v where false');
  const {
    rows: [moment],
  } = await client.query<{ at: string }>('select clock_timestamp()::text as at');
  await client.query(`delete from public.a_children where id < 4; delete from public.parents where id < 4; update public.parents set v = 'x';
    insert into public.parents values (10, '${ACME}', 'stray'); insert into public.a_children values (10, '${ACME}', 10)`);
  const owner = randomUUID();
  await actAsOwner(client, ACME, owner);
  const to = { targetTimestamp: moment!.at };
  assert.equal((await recover(client, ACME, owner, to)).rows_restored, 14);
  const { rows } = await client.query(
    'select p.id, v, c.id as child from public.parents p left join public.a_children c on c.parent = p.id order by 1',
  );
  assert.deepEqual(
    rows,
    Array.from({ length: 9 }, (_, n) => ({ id: n + 1, v: 'v', child: n + 1 })),
  );

  await client.query(`update public.parents set v = 'y'; create function public.loud() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger loud before update on public.parents for each row execute function public.loud()`);
  const { wouldFail } = await preview(client, ACME, owner, to);
  const { error } = await recover(client, ACME, owner, to);
  assert.equal(error?.code, 'VALIDATION_FAILED');
  assert.match(String(error?.details), /"parents" has triggers \(loud\) that this server does not let M23 silence/);
  assert.deepEqual([wouldFail?.code, wouldFail?.details], [error?.code, error?.details], 'a dry run foresees it');
}

/** Protect, change, look back: what breaks first when a version differs. Gives the position of the first look. */
async function looksBack(client: pg.Client): Promise<string> {
  await client.query(`set client_min_messages = warning; create table public.notes (id int primary key, tenant_id uuid not null, note text);
    select m23.protect_table('public.notes'); insert into public.notes values (1, '${ACME}', 'first')`);
  const {
    rows: [at],
  } = await client.query<{ at: string }>('select m23.current_position()::text as at');
  await client.query(`update public.notes set note = 'second'; insert into public.notes values (2, '${ACME}', 'more')`);
  assert.deepEqual(await notesAt(client, at!.at), [{ id: 1, note: 'first' }]);
  return at!.at;
}

async function notesAt(client: pg.Client, position: string): Promise<unknown[]> {
  const query = 'select id, note from m23.as_of(null::public.notes, $1, $2::pg_snapshot)';
  return (await client.query(query, [ACME, position])).rows;
}

/** A checkout whose upgrade fails at its very end. */
function failingCheckout(): string {
  const checkout = newerCheckout();
  const { version, name } = readMigrations(join(checkout, 'supabase', 'migrations')).at(-1)!;
  appendFileSync(join(checkout, 'supabase', 'migrations', `${version}_${name}.sql`), 'select 1 / 0;\n');
  return checkout;
}

/** A project like a hosted one; gives the address of its owner, who is no superuser. */
async function hostedProject(postgres: Postgres): Promise<string> {
  await withClient(postgres.url, async (client) => {
    for (const statement of [...ROLES, ...HOSTED_OWNER]) await client.query(statement);
  });
  await withClient(postgres.url.replace(/\/postgres$/, '/hosted'), supabaseShape);
  return postgres.urlFor('hosted_owner', 'hosted').replace(/\/postgres$/, '/hosted');
}

async function findings(client: pg.Client): Promise<Record<string, string>> {
  const { rows } = await client.query<{ topic: string; state: string }>('select topic, state from m23.doctor()');
  return Object.fromEntries(rows.map(({ topic, state }) => [topic, state]));
}

describe('supabase db push', { concurrency: 2 }, () => {
  for (const major of MAJORS) {
    test(`applies to an empty PostgreSQL ${major}, and a second time does nothing`, () =>
      withPostgres(major, async (postgres) => {
        const pushed = await push(postgres.url);
        for (const { version } of readMigrations()) assert.match(pushed, new RegExp(version));
        assert.match(await push(postgres.url), /up to date/i);
        await withClient(postgres.url, async (client) => {
          await looksBack(client);
          const { 'commit times': times, restores, notes } = await findings(client);
          assert.deepEqual({ times, restores, notes }, { times: 'warning', restores: 'ok', notes: 'ok' });
          const { rows: ticks } = await client.query('select from m23.ticks');
          assert.ok(ticks.length > 0, 'without native commit times the first writer of a second notes one');
        });
      }));
  }

  test('needs no superuser on a server shaped like a hosted project, and the doctor says what is less there', () =>
    withPostgres(17, async (postgres) => {
      const owner = await hostedProject(postgres);
      await push(owner);
      await withClient(owner, async (client) => {
        await looksBack(client);
        await restoresWithoutSilence(client);
        const found = await findings(client);
        assert.equal(found['schema changes'], 'warning');
        assert.equal(found['restores'], 'warning');
        assert.equal(found['notes'], 'ok');
        await client.query('alter table public.notes add column extra text');
        assert.equal((await findings(client))['notes'], 'problem');
        await client.query(`alter table public.notes drop column note; update public.notes set extra = 'x'`);
        assert.equal((await findings(client))['notes'], 'ok', 'the next write follows it');
      });
    }));

  test('upgrades an older version without a superuser, and changes nothing where that fails', () =>
    withPostgres(15, async (postgres) => {
      const owner = await hostedProject(postgres);
      await push(owner, olderCheckout());
      const position = await withClient(owner, looksBack);
      const before = await withClient(owner, catalogue);
      await assert.rejects(push(owner, failingCheckout()), (failure: { stderr: string }) =>
        /division by zero/.test(failure.stderr),
      );
      assert.deepEqual(await withClient(owner, catalogue), before);
      await push(owner, newerCheckout());
      await withClient(owner, async (client) => {
        await client.query(`update public.notes set note = 'third'`);
        assert.deepEqual(await notesAt(client, position), [{ id: 1, note: 'first' }]);
        assert.equal((await findings(client))['notes'], 'ok');
      });
    }));

  test('is refused with all names that are taken, and changes nothing', () =>
    withPostgres(17, async (postgres) => {
      const before = await withClient(postgres.url, async (client) => {
        await client.query(`create table public.audit_log (id int);
          create function public.get_health() returns int language sql as 'select 1';
          create schema supabase_migrations;
          create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)`);
        return await catalogue(client);
      });
      await assert.rejects(push(postgres.url), (failure: { stderr: string }) => {
        assert.match(failure.stderr, /taken: function public\.get_health\(\), table public\.audit_log/);
        return true;
      });
      assert.deepEqual(await withClient(postgres.url, catalogue), before);
    }));
});
