// Supabase's own lints (splinter, as `supabase db advisors` runs it) on a database with M23 in use.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { supabaseShape } from '../../stack/migrated.ts';
import { migrate } from '../../stack/migrations.ts';
import { ROOT } from '../../stack/places.ts';
import { openPostgres } from '../fixtures/database.ts';

const DO_NOT_APPLY = [
  // It tells of use, which a new database has not seen, and not of how the database is made.
  /^unused_index/,
  // What a writer runs with its own rights before each statement and after each row. Every name in it is qualified; a path
  // of its own would cost more than all that it does (docs/decisions/007-capture-functions-and-the-search-path.md).
  // Two transactions can log at one place of the server's own log: a log has an index, and no key of its own.
  /^no_primary_key: Table `m23_log\.log_\d+/,
  // So are the notes that a writer leaves of parents, which are read by key and forgotten soon.
  /^no_primary_key: Table `m23\.(absent|moved)_parents/,
  // A source of changes is noted without a look at what others note, and without a sequence that a writer could see.
  /^no_primary_key: Table `m23\.sources/,
  /^function_search_path_mutable: Function `m23_log\.(before|row_\d+)`/,
];

const postgres = await openPostgres();
const client = await postgres.connect();
after(() => client.end());

before(async () => {
  await supabaseShape(client);
  // What a hosted project tells the lints: which schemas the API serves.
  await client.query(`alter database postgres set pgrst.db_schemas = 'public'`);
  await migrate(client);
  await client.query(`set client_min_messages = warning; create table public.orders (id int primary key, tenant_id uuid not null);
    alter table public.orders enable row level security;
    create policy members on public.orders for select to authenticated using (tenant_id in (select t::uuid from m23.caller_tenants() t));
    select m23.protect_table('public.orders')`);
});

/** What the lints find, as rule and sentence. */
async function findings(): Promise<string[]> {
  const cli = join(ROOT, 'node_modules', '.bin', 'supabase');
  const args = [
    'db',
    'advisors',
    `--remote=${postgres.url}?sslmode=disable`,
    '--type',
    'all',
    '--level',
    'info',
    '--fail-on',
    'none',
    '--output-format',
    'json',
    '--workdir',
    ROOT,
  ];
  const { stdout } = await promisify(execFile)(cli, args, {
    env: { ...process.env, SUPABASE_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
    maxBuffer: 1 << 24,
  });
  const { results } = JSON.parse(stdout) as { results: { name: string; detail: string }[] };
  return results
    .map(({ name, detail }) => `${name}: ${detail}`)
    .filter((finding) => !DO_NOT_APPLY.some((rule) => rule.test(finding)));
}

test("an installed database gives Supabase's lints nothing to find", async () => {
  assert.deepEqual(await findings(), []);
});

test("the lints see what is wrong in the API's schema", async () => {
  await client.query(`create table public.open (id int); create view public.peek as select * from public.orders;
    create function public.loose() returns int language sql as 'select 1'; grant select on public.peek to authenticated`);
  const rules = new Set((await findings()).map((finding) => finding.split(':')[0]));
  for (const rule of [
    'rls_disabled_in_public',
    'no_primary_key',
    'security_definer_view',
    'function_search_path_mutable',
  ])
    assert.ok(rules.has(rule), rule);
});
