// Runs supabase/tests/*.sql with pgTAP against a fresh database with all migrations. Each file runs
// in a connection of its own, begins with `begin; select plan(n);` (or no_plan()) and ends with
// `select * from finish(); rollback;`. Arguments: [text that a file's name contains] [--major 15…18]
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import type pg from 'pg';

import { StackFailure, sentence } from './failure.ts';
import { supabaseShape } from './migrated.ts';
import { migrate } from './migrations.ts';
import { installPgtap } from './pgtap.ts';
import { type PostgresMajor, ROOT } from './places.ts';
import { Postgres, removeData } from './postgres.ts';
import { readTap, type TapResult } from './tap.ts';

const FOLDER = join(ROOT, 'supabase', 'tests');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { major: { type: 'string', default: '17' } },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const only = positionals[0] ?? '';
  const files = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.sql') && file.includes(only))
    .sort();
  if (files.length === 0) {
    console.log('no SQL test matches');
    return only === '' ? 1 : 0;
  }
  const stateDir = mkdtempSync(join(tmpdir(), 'm23-sql-'));
  const major = Number(values.major) as PostgresMajor;
  try {
    const postgres = await Postgres.start({
      stateDir,
      ephemeral: true,
      major,
      onCrash: (part, reason) => console.error(`${part} ended: ${reason}`),
    });
    try {
      await prepare(postgres);
      return await runAll(postgres, files);
    } finally {
      await postgres.stop();
    }
  } catch (error) {
    console.error(`error: ${error instanceof StackFailure ? error.message : (error as Error).stack}`);
    return 1;
  } finally {
    removeData(stateDir);
    rmSync(stateDir, { recursive: true });
  }
}

async function prepare(postgres: Postgres): Promise<void> {
  const client = await postgres.connect();
  await supabaseShape(client);
  await installPgtap(client);
  await migrate(client);
  await client.query('alter database postgres set search_path = public, extensions');
  await client.end();
}

async function runAll(postgres: Postgres, files: string[]): Promise<number> {
  let passed = 0;
  let failed = 0;
  for (const file of files) {
    const started = performance.now();
    const result = await runFile(postgres, file);
    passed += result.passed;
    failed += result.failures.length;
    const mark = result.failures.length === 0 ? '✔' : '✖';
    console.log(
      `${mark} ${file}: ${result.passed} passed, ${result.failures.length} failed (${Math.round(performance.now() - started)} ms)`,
    );
    for (const failure of result.failures) console.log(`  ${failure}`);
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function runFile(postgres: Postgres, file: string): Promise<TapResult> {
  const sql = readFileSync(join(FOLDER, file), 'utf8');
  const client = await postgres.connect();
  try {
    const results = (await client.query({ text: sql, rowMode: 'array' })) as unknown as
      | pg.QueryArrayResult
      | pg.QueryArrayResult[];
    return readTap([results].flat().flatMap(textsOf));
  } catch (error) {
    return { passed: 0, failures: [`${file}${lineOf(sql, error)}: ${sentence(error)}${contextOf(error)}`] };
  } finally {
    await client.end();
  }
}

function textsOf(result: pg.QueryArrayResult): string[] {
  return result.rows.flatMap((row: unknown[]) => (typeof row[0] === 'string' ? [row[0]] : []));
}

function lineOf(sql: string, error: unknown): string {
  const position = Number((error as { position?: string }).position);
  return position > 0 ? `:${sql.slice(0, position).split('\n').length}` : '';
}

function contextOf(error: unknown): string {
  const { where, detail } = error as { where?: string; detail?: string };
  return [detail, where]
    .filter((text) => text !== undefined)
    .map((text) => `\n    ${text.replaceAll('\n', '\n    ')}`)
    .join('');
}
