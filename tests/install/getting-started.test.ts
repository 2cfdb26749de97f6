// docs/getting-started.md and the README of examples/notes-app, followed literally: a project of its own,
// M23 brought in, used and taken out again. What needs an account is what the development stack is for.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { createClient } from '@supabase/supabase-js';
import pg from 'pg';

import { createM23, type M23 } from '../../client/src/index.ts';
import { ROOT } from '../../stack/places.ts';
import { FUNCTIONS, readWranglerConfig } from '../../stack/wrangler-config.ts';
import { temporaryFolder } from '../dev-command.ts';
import { catalogue, differences } from '../fixtures/catalogue.ts';
import { type Block, blocksOf, pageText, runBlocks } from '../fixtures/page.ts';
import { openStack } from '../fixtures/stack.ts';
import { eventually } from '../fixtures/time.ts';
import { newerCheckout, olderCheckout } from '../fixtures/versions.ts';

const GUIDE = 'docs/getting-started.md';
const EXAMPLE = 'examples/notes-app/README.md';

let untouched: string[];
let installed: string[];

/** The project, with the packages that `npm install` would have put there. */
function newProject(): string {
  const folder = temporaryFolder();
  cpSync(join(ROOT, 'examples', 'notes-app'), folder, { recursive: true });
  mkdirSync(join(folder, 'node_modules', '.bin'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules', '.bin', 'supabase'), join(folder, 'node_modules', '.bin', 'supabase'));
  symlinkSync(join(ROOT, 'node_modules', '@supabase'), join(folder, 'node_modules', '@supabase'));
  symlinkSync(join(ROOT, 'client'), join(folder, 'node_modules', 'm23-client'));
  return folder;
}

/** The functions of M23, for the user of the project. */
async function signedIn(): Promise<M23> {
  const supabase = createClient(stack.url, stack.anonKey, { auth: { persistSession: false, autoRefreshToken: false } });
  assert.equal(
    (await supabase.auth.signInWithPassword({ email: env['EMAIL']!, password: env['PASSWORD']! })).error,
    null,
  );
  return createM23(supabase);
}

/** What the application shows. */
async function notes(): Promise<string | undefined> {
  return (await runBlocks(['node notes.js list'], project, env))[0]?.trim();
}

/** The blocks under the headings that begin with one of these. */
function under(page: string, ...headings: string[]): Block[] {
  const blocks = blocksOf(page).filter(
    ({ heading, note }) => note === '' && headings.some((start) => heading.startsWith(start)),
  );
  assert.ok(blocks.length > 0, `${page} has ${headings.join()}`);
  return blocks;
}

/** Runs the commands of blocks, and compares what they print with the text that follows them. */
async function follow(blocks: Block[]): Promise<void> {
  const commands = blocks.filter(({ language }) => language === 'sh');
  const printed = await runBlocks(
    commands.map(({ code }) => code),
    project,
    env,
  );
  for (const [index, block] of blocks.entries()) {
    if (block.language === 'text')
      assert.equal(`${printed[commands.indexOf(blocks[index - 1]!)]?.trim()}\n`, block.code, blocks[index - 1]?.code);
  }
}

const project = newProject();
const env: Record<string, string> = {
  PATH: `${join(process.execPath, '..')}:${process.env['PATH']}`,
  SUPABASE_TELEMETRY_DISABLED: '1',
  DO_NOT_TRACK: '1',
};
const { stack, client: database } = await openStack({ others: 'contract', prepare });
Object.assign(env, { SUPABASE_URL: stack.url, ANON_KEY: stack.anonKey });

/** The project before M23, and M23's database half. */
async function prepare(url: string): Promise<void> {
  Object.assign(env, {
    DATABASE_URL: `${url}?sslmode=disable`,
    EMAIL: 'owner@acme.example',
    PASSWORD: 'development-only-owner',
  });
  await follow(under(EXAMPLE, 'Set up'));
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  untouched = await catalogue(client);
  await client.end();
  env['M23'] = olderCheckout();
  await follow(under(GUIDE, '1.', '2.').map((block) => ({ ...block, code: withUuids(block.code) })));
}

/** The guide as it was for 0.0.1, whose tenants were uuids. */
function withUuids(code: string): string {
  return code
    .replace('returns table (tenant_id text, role text)', 'returns table (tenant_id uuid, role text)')
    .replace('m.org_id::text', 'm.org_id');
}

/** What the upgrade from 0.0.1 asks for: memberships that give tenants as text. */
async function giveTenantsAsText(): Promise<void> {
  const file = join(project, 'supabase', 'migrations', '20270101000000_protect.sql');
  const sql = readFileSync(file, 'utf8')
    .replace('returns table (tenant_id uuid, role text)', 'returns table (tenant_id text, role text)')
    .replace('m.org_id, case', 'm.org_id::text, case');
  writeFileSync(file, sql);
  await database.query(
    `drop function m23.memberships_of(uuid); ${sql.slice(0, sql.indexOf('select m23.protect_table'))}`,
  );
}

test('the application works as before', async () => {
  await follow(under(EXAMPLE, 'Use'));
});

test('an upgrade keeps the protection, the log and the backups, and what was before it can be restored', async () => {
  const m23 = await signedIn();
  const job = await m23.createBackupJob({ jobType: 'full', backupName: 'before the upgrade' });
  assert.equal((await m23.executeBackup(job.id)).status, 'completed');
  const before = await notes();
  const {
    rows: [moment],
  } = await database.query<{ at: Date }>('select clock_timestamp() as at, pg_sleep(0.01)');
  await runBlocks(['node notes.js remove ideas'], project, env);
  const log = await m23.getTransactionLogs();

  env['M23'] = newerCheckout();
  await giveTenantsAsText();
  await follow(under(GUIDE, 'Upgrade'));

  const answered = (): Promise<boolean> =>
    m23.getTransactionLogs().then(
      () => true,
      () => false,
    );
  await eventually(answered, (known) => known); // PostgREST reads the new functions a moment later
  assert.deepEqual(await m23.getTransactionLogs(), log);
  await runBlocks(['node notes.js add groceries eggs'], project, env);
  assert.deepEqual(
    (await m23.getTransactionLogs()).map(({ operation }) => operation),
    ['INSERT', ...log.map(({ operation }) => operation)],
  );
  await m23.executePITR({ targetTimestamp: moment!.at.toISOString(), confirmRestore: true });
  assert.equal(await notes(), before);
  await runBlocks(['node notes.js remove groceries'], project, env);
  await m23.executeRestore({ backupJobId: job.id, confirmRestore: true });
  assert.equal(await notes(), before);
});

test('the first backup is made, and proved', async () => {
  await follow(under(GUIDE, '5.'));
});

test('a mistake is taken back, and forth', async () => {
  await follow(under(EXAMPLE, 'Add M23'));
});

test('an upgrade with nothing new changes nothing', async () => {
  installed = await catalogue(database);
  await follow(under(GUIDE, 'Upgrade'));
  assert.deepEqual(await catalogue(database), installed);
});

test('the removal leaves the database as it was, and the application works', async () => {
  await follow(under(GUIDE, 'Removal'));
  assert.deepEqual(await catalogue(database), untouched);
  const { rows } = await database.query('select version from supabase_migrations.schema_migrations');
  assert.deepEqual(rows, [{ version: '20260101000000' }]);
  await notes();
});

test('an installation at once is the same as an older one that was upgraded', async () => {
  env['M23'] = ROOT;
  await follow(under(GUIDE, '1.', '2.'));
  // A log has its columns in the order in which they came to be, and whoever reads them names them.
  const named = (lines: string[]): string[] =>
    lines.map((line) => line.replace(/^(column \| m23_log\.log_\S+ \|) \d+/, '$1')).sort();
  assert.deepEqual(differences(named(await catalogue(database)), named(installed)), []);
});

test('what needs an account names what there is: functions, stores and secrets', () => {
  const commands = blocksOf(GUIDE)
    .filter(({ note }) => note === 'account')
    .map(({ code }) => code)
    .join('');
  assert.ok(commands.includes(`for name in ${FUNCTIONS.join(' ')}; do`));
  for (const name of FUNCTIONS) {
    const { kv_namespaces: [windows] = [], r2_buckets: [archives] = [] } = readWranglerConfig(`functions/${name}`);
    assert.ok(
      commands.includes(`kv namespace create ${windows?.binding}\n`) &&
        commands.includes(`r2 bucket create ${archives?.bucket_name}\n`),
    );
    const secrets = readFileSync(join(ROOT, 'functions', name, 'wrangler.toml'), 'utf8').matchAll(
      /^# {3}(SUPABASE_\w+) /gm,
    );
    for (const [, secret] of secrets) assert.ok(pageText(GUIDE).includes(secret ?? ''), secret);
  }
});
