// The client as it is published: packed, installed into an empty project, imported and run.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { publint } from 'publint';

import { generate } from '../client/generate.ts';
import { ROOT } from '../stack/places.ts';
import { type Stack, startStack } from '../stack/stack.ts';
import { temporaryFolder } from './dev-command.ts';
import { installClient, packClient } from './fixtures/package.ts';

const run = promisify(execFile);

/** The functions of the contract, and those that follow long work. */
const FUNCTIONS = [
  'getBackupJobs', 'createBackupJob', 'executeBackup', 'getBackupById', 'executeRestore', 'getRestoreLogs', 'executePITR', 'getPITRPreview',
  'getTransactionLogs', 'getPITRStats', 'executePITRRollback', 'getActivePITRSnapshots', 'fetchDRPlans', 'createDRPlan', 'executeRecoveryTest',
  'fetchHealthSnapshots', 'calculateHealthScore', 'watchBackup', 'watchRestore', 'watchRollback', 'watchRecoveryTest',
];

/** One program for every place: it signs in, describes a backup, runs it, and tells what came of it. */
const PROGRAM = `
import { createClient } from '@supabase/supabase-js';
import { createM23, M23Error } from 'm23-client';

export async function backUp({ url, anonKey, email, password }) {
  const supabase = createClient(url, anonKey, { auth: { persistSession: false, autoRefreshToken: false } });
  await supabase.auth.signInWithPassword({ email, password });
  const m23 = createM23(supabase);
  const job = await m23.createBackupJob({ jobType: 'full', backupName: 'packed' });
  const { status } = await m23.executeBackup(job.id);
  const code = await m23.getBackupById('6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11').catch((error) => error instanceof M23Error && error.code);
  return { status, code };
}`;
const OUTCOME = { status: 'completed', code: 'BACKUP_NOT_FOUND' };

/** Deno is not among the packages of this repository; where the machine has it, it is tried. */
const deno = await run('deno', ['--version']).then(() => true, () => false);

let folder: string;
let tarball: string;
let client: string;
let stack: Stack;

before(async () => {
  folder = temporaryFolder();
  tarball = await packClient(folder);
  client = await installClient(tarball, folder);
  writeFileSync(join(folder, 'program.js'), PROGRAM);
  stack = await startStack({ stateDir: temporaryFolder(), ephemeral: true });
});
after(async () => {
  await stack?.close();
});

function settings(): string {
  const { email, password } = stack.users.find(({ role }) => role === 'owner')!;
  return JSON.stringify({ url: stack.url, anonKey: stack.anonKey, email, password });
}

/** The program in one file, as a bundler makes it for a place that is not Node. */
async function bundle(entry: string): Promise<string> {
  const { outputFiles: [file] } = await build({
    stdin: { contents: entry, resolveDir: folder }, bundle: true, format: 'esm', platform: 'browser', target: 'es2022', write: false, logLevel: 'silent',
  });
  return file!.text;
}

describe('the generated types', () => {
  test('are those of the OpenAPI document and of the migrations', async () => {
    for (const [path, text] of await generate()) assert.ok(readFileSync(path, 'utf8') === text, `${path} is out of date: run \`cargo xtask generate\``);
  });
});

describe('the package', () => {
  test('has nothing that publint would change', async () => {
    const { messages } = await publint({ pkgDir: client, strict: true });
    assert.deepEqual(messages, []);
  });

  test('has types that are right wherever it can be imported', async () => {
    const result = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball))));
    assert.ok(result.types !== false, 'it has types');
    // A package of ES modules alone: require() of one is Node's affair (it works from Node 22 on).
    assert.deepEqual(result.problems.filter(({ kind }) => kind !== 'CJSResolvesToESM'), []);
  });

  test('needs nothing at run time but what it is given', () => {
    const manifest = JSON.parse(readFileSync(join(client, 'package.json'), 'utf8')) as Record<string, object>;
    assert.equal(manifest['dependencies'], undefined);
    assert.deepEqual(manifest['peerDependencies'], { '@supabase/supabase-js': '^2.0.0' });
    for (const file of readdirSync(join(client, 'dist')).filter((name) => name.endsWith('.js'))) {
      assert.doesNotMatch(readFileSync(join(client, 'dist', file), 'utf8'), /from ['"][^.]/, `${file} imports its own files alone`);
    }
  });

  test('contains no any', () => {
    for (const path of readdirSync(join(ROOT, 'client', 'src'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))) {
      assert.doesNotMatch(readFileSync(join(ROOT, 'client', 'src', path), 'utf8').replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, ''), /\bany\b/, path);
    }
  });

  test('tells of every function what it needs, gives and throws', () => {
    const declarations = readFileSync(join(client, 'dist', 'm23.d.ts'), 'utf8');
    for (const name of FUNCTIONS) {
      const comment = new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*${name}\\(`).exec(declarations)?.[1] ?? '';
      for (const word of ['Needs: ', 'Gives: ', 'Throws: ']) assert.ok(comment.includes(word), `${name}: ${word}`);
    }
  });

  test('takes any supabase-js client, and lets no wrong call through the compiler', async () => {
    writeFileSync(join(folder, 'consumer.ts'), `
      import { createClient } from '@supabase/supabase-js';
      import { type BackupJob, createM23, executeRestore, setClient } from 'm23-client';
      interface Other { public: { Tables: { notes: { Row: { id: number }; Insert: { id: number }; Update: { id?: number }; Relationships: [] } }; Views: Record<string, never>; Functions: Record<string, never> } }
      setClient(createClient('', ''));
      const m23 = createM23(createClient<Other>('', ''));
      const job: BackupJob = await m23.createBackupJob({ jobType: 'full', backupName: 'x' });
      const status: 'pending' | 'in_progress' | 'completed' | 'failed' = job.status;
      // @ts-expect-error a restore must be confirmed
      await executeRestore({ backupJobId: job.id, confirmRestore: false });
      // @ts-expect-error so must one to a moment
      await m23.executePITR({ targetTimestamp: status });
      await m23.executePITR({ targetTimestamp: status, dryRun: true });
      // @ts-expect-error there is no such kind
      await m23.getBackupJobs({ jobType: 'differential' });
      // @ts-expect-error it is no client
      createM23({});
    `);
    const flags = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--skipLibCheck', '--lib', 'es2024,dom,dom.iterable', '--types', ''];
    await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), ...flags, 'consumer.ts'], { cwd: folder })
      .catch(({ stdout }: { stdout: string }) => assert.fail(stdout));
  });
});

describe('the packed client', () => {
  test('is imported by the oldest Node that the machine has', async () => {
    const { stdout } = await run('node', ['--input-type=module', '--eval', `console.log(Object.keys(await import('m23-client')).sort().join())`], { cwd: folder });
    assert.deepEqual(stdout.trim().split(','), [...FUNCTIONS, 'M23Error', 'createM23', 'setClient'].sort());
  });

  test('runs in Node', async () => {
    const script = `import { backUp } from './program.js'; console.log(JSON.stringify(await backUp(${settings()})))`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
    assert.deepEqual(JSON.parse(stdout), OUTCOME);
  });

  test('runs in Deno', { skip: deno ? false : 'NOT RUN: there is no deno on the PATH' }, async () => {
    writeFileSync(join(folder, 'deno.js'), `import { backUp } from './program.js'; console.log(JSON.stringify(await backUp(${settings()})))`);
    const { stdout } = await run('deno', ['run', '--allow-net', '--allow-env', '--node-modules-dir=manual', '--no-remote', 'deno.js'], { cwd: folder });
    assert.deepEqual(JSON.parse(stdout), OUTCOME);
  });

  test('runs in a Worker', async () => {
    const script = await bundle(`import { backUp } from './program.js'; export default { fetch: async (request) => Response.json(await backUp(await request.json())) };`);
    const miniflare = new Miniflare({ modules: true, script, compatibilityDate: '2026-07-01', cf: false });
    try {
      const response = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body: settings() });
      assert.deepEqual(await response.json(), OUTCOME);
    } finally {
      await miniflare.dispose();
    }
  });

  test('is bundled for browsers, small and without a part of Node', async () => {
    const script = await bundle(`export * from 'm23-client'`);
    assert.doesNotMatch(script, /\bnode:|\brequire\(|\bprocess\.|\bBuffer\b/);
    assert.ok(script.length < 40_000, `${script.length} bytes`);
  });
});
