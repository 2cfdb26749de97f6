// A database with all that a project has before M23, and M23's migrations. Tests start some hundred of them: where the variable
// M23_TEMPLATES names a folder, the first is made there, and the others are copies of it.
import { createHash, randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import pg from 'pg';

import { migrate, readMigrations } from './migrations.ts';
import { ROOT } from './places.ts';
import { Postgres, type PostgresOptions, removeData } from './postgres.ts';

/** What the copied database is called until it is a copy's own. */
const MIGRATED = 'm23_migrated';

/** Starts a PostgreSQL whose database has the migrations. A copy is a life of its own, as any other database. */
export async function startMigrated(options: PostgresOptions): Promise<Postgres> {
  const folder = process.env['M23_TEMPLATES'];
  if (folder === undefined || !options.ephemeral) return await start(options);
  const postgres = await Postgres.start({ ...options, copyOf: await template(folder, options) });
  await makeOwn(postgres);
  return postgres;
}

/** What every Supabase project has before the first migration. */
export async function supabaseShape(client: pg.Client): Promise<void> {
  await client.query(shape());
}

async function start(options: PostgresOptions): Promise<Postgres> {
  const postgres = await Postgres.start(options);
  try {
    const client = await postgres.connect();
    await supabaseShape(client);
    await migrate(client);
    await client.end();
  } catch (error) {
    await postgres.stop();
    throw error;
  }
  return postgres;
}

/** The state folder of a stopped PostgreSQL with today's migrations. */
async function template(folder: string, { major = 17, onCrash }: PostgresOptions): Promise<string> {
  const content = createHash('sha256')
    .update(JSON.stringify([shape(), readMigrations()]))
    .digest('hex')
    .slice(0, 16);
  const place = join(folder, `${major}-${content}`);
  if (existsSync(place)) return place;
  const fresh = `${place}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  const postgres = await start({ stateDir: fresh, ephemeral: true, major, onCrash });
  await besides(postgres, `alter database postgres rename to ${MIGRATED}`);
  await postgres.stop();
  removeOlder(folder, `${major}-`, place);
  try {
    renameSync(fresh, place);
  } catch {
    // Somebody else was quicker; theirs is the same.
    remove(fresh);
  }
  return place;
}

/** A database with a number of its own tells this life from that of other copies. */
async function makeOwn(postgres: Postgres): Promise<void> {
  await besides(postgres, `create database postgres oid ${randomInt(100_000, 2 ** 32 - 1)} template ${MIGRATED}`);
  await besides(postgres, `drop database ${MIGRATED}`);
}

async function besides(postgres: Postgres, statement: string): Promise<void> {
  const address = new URL(postgres.url);
  address.pathname = '/template1';
  const client = new pg.Client({ connectionString: address.href });
  await client.connect();
  await client.query(statement);
  await client.end();
}

/** Removes what was made of former migrations; what somebody else has just made of today's is `but`, and in use. */
function removeOlder(folder: string, prefix: string, but: string): void {
  for (const name of readdirSync(folder)) {
    const older = join(folder, name);
    if (name.startsWith(prefix) && !/\.\d+$/.test(name) && older !== but) remove(older);
  }
}

function remove(stateDir: string): void {
  removeData(stateDir);
  rmSync(stateDir, { recursive: true, force: true });
}

function shape(): string {
  return readFileSync(join(ROOT, 'stack', 'supabase-shape.sql'), 'utf8');
}
