import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { type Account, canReach } from './account.ts';
import { StackFailure } from './failure.ts';
import { type PostgresMajor, postgresDistribution } from './places.ts';

/** A PostgreSQL distribution that is complete and that the account can run. */
export function usableDistribution(major: PostgresMajor, account: Account | undefined): string {
  const packaged = postgresDistribution(major);
  restoreSymlinks(packaged);
  return canReach(packaged, account) ? packaged : copyOutside(packaged);
}

/**
 * A folder outside the repository that everybody can pass through, for the case that root works in
 * a folder that is closed to others (`/root`, a fresh `mktemp -d`).
 */
export function outsideFolder(purpose: string, key: string): string {
  const folder = join('/var/tmp', `m23-${purpose}-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`);
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  if (statSync(folder).uid !== process.getuid?.()) {
    throw new StackFailure(
      `${folder} belongs to somebody else: remove it, or work in a folder that other accounts can pass through`,
    );
  }
  chmodSync(folder, 0o711);
  return folder;
}

/** npm packages cannot hold symbolic links; their install script makes them, where scripts may run. */
function restoreSymlinks(distribution: string): void {
  const list = join(distribution, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const place = join(dirname(distribution), target);
    if (existsSync(place)) continue;
    rmSync(place, { force: true });
    // Libraries lie side by side, so the name alone is the way.
    if (dirname(source) === dirname(target)) symlinkSync(basename(source), place);
  }
}

function copyOutside(distribution: string): string {
  const packageFile = readFileSync(join(distribution, '..', 'package.json'), 'utf8');
  const outside = outsideFolder('postgres', packageFile);
  const copy = join(outside, 'native');
  if (existsSync(copy)) return copy;
  const fresh = join(outside, `new-${process.pid}`);
  cpSync(distribution, fresh, { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(fresh, copy);
  } catch {
    // Somebody else was quicker; theirs is the same.
    rmSync(fresh, { recursive: true });
  }
  return copy;
}
