// Writes client/src/generated: the types of the five functions, from the OpenAPI document, and those
// of the database, from the migrations by the Supabase CLI. `cargo xtask generate` runs it.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import openapiTypes from 'openapi-typescript';

import { migrate } from '../stack/migrations.ts';
import { ROOT } from '../stack/places.ts';
import { Postgres, removeData } from '../stack/postgres.ts';

const FOLDER = join(ROOT, 'client', 'src', 'generated');
const HEAD = '// Generated: run `cargo xtask generate`.\n';

/** The generated files as they should be, by path. */
export async function generate(): Promise<Map<string, string>> {
  const texts = { 'openapi.ts': await functionTypes(), 'database.ts': await databaseTypes() };
  return new Map(Object.entries(texts).map(([name, text]) => [join(FOLDER, name), formatted(name, HEAD + text)]));
}

/** As biome writes every other file. */
function formatted(name: string, text: string): string {
  const biome = join(ROOT, 'node_modules', '.bin', 'biome');
  const path = join('client', 'src', 'generated', name);
  return execFileSync(biome, ['format', `--stdin-file-path=${path}`], { cwd: ROOT, input: text, encoding: 'utf8' });
}

async function functionTypes(): Promise<string> {
  return await openapiTypes(new URL('../docs/openapi.json', import.meta.url), {
    commentHeader: '',
    immutableTypes: true,
  });
}

async function databaseTypes(): Promise<string> {
  const stateDir = mkdtempSync(join(tmpdir(), 'm23-types-'));
  try {
    const postgres = await Postgres.start({
      stateDir,
      ephemeral: true,
      onCrash: (part, reason) => console.error(`${part} ended: ${reason}`),
    });
    try {
      return await typesOf(postgres);
    } finally {
      await postgres.stop();
    }
  } finally {
    removeData(stateDir);
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function typesOf(postgres: Postgres): Promise<string> {
  const client = await postgres.connect();
  await client.query(readFileSync(join(ROOT, 'stack', 'supabase-shape.sql'), 'utf8'));
  await migrate(client);
  await client.end();
  const cli = join(ROOT, 'node_modules', '.bin', 'supabase');
  const args = [
    'gen',
    'types',
    'typescript',
    `--remote=${postgres.url}?sslmode=disable`,
    '--schema',
    'public',
    '--workdir',
    ROOT,
  ];
  const { stdout } = await promisify(execFile)(cli, args, {
    env: { ...process.env, SUPABASE_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
  });
  return stdout;
}

if (import.meta.main) {
  for (const [path, text] of await generate()) writeFileSync(path, text);
}
