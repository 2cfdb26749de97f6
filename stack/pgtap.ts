import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type pg from 'pg';

import { pgtapArchive } from './places.ts';

const FOLDER = 'share/postgresql/extension';

/**
 * Installs pgTAP into the schema `extensions`, as hosted projects have it. Its SQL is run as it
 * is: the distribution's own folder of extensions stays untouched.
 */
export async function installPgtap(client: pg.Client): Promise<void> {
  await client.query(`
    create schema if not exists extensions;
    grant usage on schema extensions to public;
    set search_path = extensions, public;
    set client_min_messages = warning;`);
  await client.query(pgtapSql());
  await client.query('reset search_path; reset client_min_messages');
}

function pgtapSql(): string {
  const folder = mkdtempSync(join(tmpdir(), 'm23-pgtap-'));
  try {
    execFileSync('tar', ['-xzf', pgtapArchive(), '-C', folder]);
    const files = readdirSync(join(folder, FOLDER));
    const whole = files.find((file) => /^pgtap--\d+(\.\d+)*\.sql$/.test(file));
    if (whole === undefined) throw new Error('the pgTAP package has no pgtap--<version>.sql');
    // Its first line is for psql: it keeps people from running the file by hand.
    return readFileSync(join(folder, FOLDER, whole), 'utf8').replace(/^\\.*$/gm, '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
