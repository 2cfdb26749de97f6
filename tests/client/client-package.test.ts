// The client as it is published: packed, installed into an empty project, imported and run.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { build } from 'esbuild';
import { publint } from 'publint';

import { generate } from '../../client/generate.ts';
import { Miniflare } from '../../stack/miniflare.ts';
import { ROOT } from '../../stack/places.ts';
import { temporaryFolder } from '../dev-command.ts';
import { startBrowser } from '../fixtures/browser.ts';
import { installClient, packClient } from '../fixtures/package.ts';
import { openStack } from '../fixtures/stack.ts';

const run = promisify(execFile);

/** The functions of the contract, those that follow long work, a look that is not counted, and those that find. */
const FUNCTIONS = [
  'getBackupJobs',
  'createBackupJob',
  'executeBackup',
  'getBackupById',
  'executeRestore',
  'getRestoreLogs',
  'executePITR',
  'getPITRPreview',
  'getTransactionLogs',
  'getPITRStats',
  'executePITRRollback',
  'getActivePITRSnapshots',
  'fetchDRPlans',
  'createDRPlan',
  'executeRecoveryTest',
  'fetchHealthSnapshots',
  'calculateHealthScore',
  'watchBackup',
  'watchRestore',
  'watchRollback',
  'watchRecoveryTest',
  'lookAtPITR',
  'getChangeHistogram',
  'getEvents',
  'getTransactions',
  'getTransaction',
  'findRows',
  'getRowHistory',
];

/** One program for every place: it signs in, describes a backup, runs it, is refused, and tells what came of it. */
const PROGRAM = `
import { createClient } from '@supabase/supabase-js';
import { createM23, M23Error } from 'm23-client';

const NOWHERE = '6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11';

export async function backUp({ url, anonKey, email, password }) {
  const supabase = createClient(url, anonKey, {
    auth: { persistSession: false, autoRefreshToken: false },
    // Node 20 has none of its own, and supabase-js insists on one, though nothing here opens it.
    realtime: { transport: globalThis.WebSocket ?? class {} },
  });
  await supabase.auth.signInWithPassword({ email, password });
  const m23 = createM23(supabase);
  const job = await m23.createBackupJob({ jobType: 'full', backupName: 'packed' });
  const { status } = await m23.executeBackup(job.id, { idempotencyKey: job.id });
  const code = await m23.getBackupById(NOWHERE).catch((error) => error instanceof M23Error && error.code);
  await m23.executePITRRollback(NOWHERE).catch(() => undefined);
  const limited = await m23.executePITRRollback(NOWHERE).catch((error) => error);
  const { error } = await supabase.functions.invoke('backup-create', { body: {} });
  const quota = ['limit', 'remaining', 'reset'].map((name) => error.context.headers.get('x-ratelimit-' + name));
  return {
    status, code,
    limited: [limited.code, limited.retryAfter > 0, limited.requestId?.length],
    quota: [quota[0], Number(quota[1]) < 10, Number(quota[2]) > Date.now() / 1000],
  };
}`;
const OUTCOME = {
  status: 'completed',
  code: 'BACKUP_NOT_FOUND',
  limited: ['RATE_LIMIT_EXCEEDED', true, 36],
  quota: ['10', true, true],
};

const folder = temporaryFolder();
const { stack } = await openStack({ others: 'contract', limits: { 'pitr-rollback': 1 } });
let tarball: string;
let client: string;

before(async () => {
  tarball = await packClient(folder);
  client = await installClient(tarball, folder);
  writeFileSync(join(folder, 'program.js'), PROGRAM);
});

function settings(): string {
  const { email, password } = stack.users.find(({ role }) => role === 'owner')!;
  return JSON.stringify({ url: stack.url, anonKey: stack.anonKey, email, password });
}

/** The program in one file, as a bundler makes it for a place that is not Node. */
async function bundle(entry: string): Promise<string> {
  const {
    outputFiles: [file],
  } = await build({
    stdin: { contents: entry, resolveDir: folder },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    logLevel: 'silent',
  });
  return file!.text;
}

/** A site of its own: an empty page, and a script beside it. */
async function serve(script: string): Promise<Server> {
  const server = createServer(({ url }, response) => {
    const isScript = url === '/program.js';
    response
      .setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
      .end(isScript ? script : '<!doctype html>');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server;
}

describe('the generated types', () => {
  test('are those of the OpenAPI document and of the migrations', async () => {
    for (const [path, text] of await generate())
      assert.ok(readFileSync(path, 'utf8') === text, `${path} is out of date: run \`cargo xtask generate\``);
  });
});

describe('the package', () => {
  test('is built when it is packed, in a fresh clone too', async () => {
    const clone = join(folder, 'clone', 'client');
    mkdirSync(clone, { recursive: true });
    for (const name of ['package.json', 'tsconfig.json', 'src', 'README.md', 'LICENSE']) {
      cpSync(join(ROOT, 'client', name), join(clone, name), { recursive: true });
    }
    cpSync(join(ROOT, 'tsconfig.json'), join(clone, '..', 'tsconfig.json'));
    symlinkSync(join(ROOT, 'node_modules'), join(clone, '..', 'node_modules'));
    await run('npm', ['pack'], { cwd: clone });
    const { stdout } = await run('tar', ['-tf', join(clone, 'm23-client-0.1.0.tgz')]);
    assert.match(stdout, /^package\/dist\/index\.js$/m);
    assert.match(stdout, /^package\/dist\/index\.d\.ts$/m);
  });

  test('has nothing that publint would change', async () => {
    const { messages } = await publint({ pkgDir: client, strict: true });
    assert.deepEqual(messages, []);
  });

  test('has types that are right wherever it can be imported', async () => {
    // Of ES modules alone, as the package is: for the resolutions that reach it by require() there is nothing to be right about.
    const attw = join(ROOT, 'node_modules', '.bin', 'attw');
    await run(attw, [tarball, '--profile', 'esm-only', '--no-color'], { cwd: folder }).catch(
      ({ stdout }: { stdout: string }) => assert.fail(stdout),
    );
  });

  test('needs nothing at run time but what it is given', () => {
    const manifest = JSON.parse(readFileSync(join(client, 'package.json'), 'utf8')) as Record<string, object>;
    assert.equal(manifest['dependencies'], undefined);
    assert.deepEqual(manifest['peerDependencies'], { '@supabase/supabase-js': '^2.0.0' });
    for (const file of readdirSync(join(client, 'dist')).filter((name) => name.endsWith('.js'))) {
      assert.doesNotMatch(
        readFileSync(join(client, 'dist', file), 'utf8'),
        /from ['"][^.]/,
        `${file} imports its own files alone`,
      );
    }
  });

  test('contains no any', () => {
    for (const path of readdirSync(join(ROOT, 'client', 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    )) {
      assert.doesNotMatch(
        readFileSync(join(ROOT, 'client', 'src', path), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, ''),
        /\bany\b/,
        path,
      );
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
    writeFileSync(
      join(folder, 'consumer.ts'),
      `
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
    `,
    );
    const flags = [
      '--noEmit',
      '--strict',
      '--target',
      'es2022',
      '--module',
      'nodenext',
      '--skipLibCheck',
      '--lib',
      'es2024,dom,dom.iterable',
      '--types',
      '',
    ];
    await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), ...flags, 'consumer.ts'], {
      cwd: folder,
    }).catch(({ stdout }: { stdout: string }) => assert.fail(stdout));
  });
});

describe('the packed client', () => {
  test('exports its functions by name, and no more', async () => {
    const { stdout } = await run(
      'node',
      ['--input-type=module', '--eval', `console.log(Object.keys(await import('m23-client')).sort().join())`],
      { cwd: folder },
    );
    assert.deepEqual(stdout.trim().split(','), [...FUNCTIONS, 'M23Error', 'createM23', 'setClient'].sort());
  });

  for (const [name, node] of [
    ["the machine's own", 'node'],
    ['the pinned', process.execPath],
  ] as const) {
    test(`runs in ${name} Node`, async (t) => {
      const script = `import { backUp } from './program.js'; console.log(process.version, JSON.stringify(await backUp(${settings()})))`;
      const { stdout } = await run(node, ['--input-type=module', '--eval', script], { cwd: folder });
      const [version = '', outcome = ''] = stdout.split(/ (.*)/s);
      t.diagnostic(version);
      assert.deepEqual(JSON.parse(outcome), OUTCOME);
    });
  }

  test('runs in Deno', async () => {
    writeFileSync(
      join(folder, 'deno.js'),
      `import { backUp } from './program.js'; console.log(JSON.stringify(await backUp(${settings()})))`,
    );
    const args = ['run', '--allow-net', '--allow-env', '--node-modules-dir=manual', '--no-remote', 'deno.js'];
    const { stdout } = await run(join(ROOT, 'node_modules', '.bin', 'deno'), args, {
      cwd: folder,
      env: { ...process.env, DENO_DIR: join(folder, '.deno'), DENO_NO_UPDATE_CHECK: '1' },
    });
    assert.deepEqual(JSON.parse(stdout), OUTCOME);
  });

  test('runs in a Worker', async () => {
    const script = await bundle(
      `import { backUp } from './program.js'; export default { fetch: async (request) => Response.json(await backUp(await request.json())) };`,
    );
    const miniflare = new Miniflare({ modules: true, script, compatibilityDate: '2026-07-01', cf: false });
    try {
      const response = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body: settings() });
      assert.deepEqual(await response.json(), OUTCOME);
    } finally {
      await miniflare.dispose();
    }
  });

  test('runs in a browser, on a page of another origin', async () => {
    const server = await serve(await bundle(`export * from './program.js'`));
    const browser = await startBrowser();
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      assert.notEqual(await page.evaluate('location.origin'), new URL(stack.url).origin);
      assert.deepEqual(
        await page.evaluate(`import('/program.js').then(({ backUp }) => backUp(${settings()}))`),
        OUTCOME,
      );
    } finally {
      await browser.close();
      server.close();
    }
  });

  test('is bundled for browsers, small and without a part of Node', async () => {
    const script = await bundle(`export * from 'm23-client'`);
    assert.doesNotMatch(script, /\bnode:|\brequire\(|\bprocess\.|\bBuffer\b/);
    assert.ok(script.length < 40_000, `${script.length} bytes`);
  });
});
