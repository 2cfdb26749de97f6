import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ROOT } from '../../../stack/places.ts';

const run = promisify(execFile);
const OLDEST_PYTHON = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))';

/** Whether this machine has a Python that can make the environment; schemathesis is all that needs one. */
export async function hasPython(): Promise<boolean> {
  return await run('python3', ['-c', OLDEST_PYTHON]).then(
    () => true,
    () => false,
  );
}

/**
 * The schemathesis program, in a virtual environment under `target/` that is made at the first run
 * and again whenever requirements.txt changes.
 */
export async function schemathesis(): Promise<string> {
  const requirements = join(ROOT, 'tests', 'requests', 'schemathesis', 'requirements.txt');
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const place = join(process.env['CARGO_TARGET_DIR'] ?? join(ROOT, 'target'), `schemathesis-${digest}`);
  const done = join(place, 'done');
  if (!existsSync(done)) {
    rmSync(place, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', place]);
    await run(join(place, 'bin', 'pip'), [
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--no-deps',
      '-r',
      requirements,
    ]);
    writeFileSync(done, '');
  }
  return join(place, 'bin', 'schemathesis');
}
