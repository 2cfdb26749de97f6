import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type pg from 'pg';

import { StackFailure, sentence } from './failure.ts';
import { ROOT } from './places.ts';

const FOLDER = join(ROOT, 'supabase', 'migrations');

/** A migration: `<version>_<name>.sql`. */
export interface Migration {
  version: string;
  name: string;
  sql: string;
}

/** The repository's migrations, in their order. */
export function readMigrations(folder = FOLDER): Migration[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .flatMap((file) => {
      const match = /^(\d+)_(.*)\.sql$/.exec(file);
      if (match === null) return [];
      return [{ version: match[1]!, name: match[2]!, sql: readFileSync(join(folder, file), 'utf8') }];
    });
}

/**
 * Applies what is not yet applied, each in a transaction, recorded as the Supabase CLI records it,
 * so that `supabase migration list` and `supabase db push` agree with what happened here.
 * Returns the versions that were applied now.
 */
export async function migrate(client: pg.Client, migrations = readMigrations()): Promise<string[]> {
  await client.query(`
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
    alter table supabase_migrations.schema_migrations add column if not exists statements text[];
    alter table supabase_migrations.schema_migrations add column if not exists name text;`);
  const { rows } = await client.query<{ version: string }>('select version from supabase_migrations.schema_migrations');
  const done = new Set(rows.map((row) => row.version));
  refuseUnknown(done, migrations);
  const missing = migrations.filter((migration) => !done.has(migration.version));
  for (const migration of missing) await apply(client, migration);
  return missing.map((migration) => migration.version);
}

function refuseUnknown(done: Set<string>, migrations: Migration[]): void {
  const known = new Set(migrations.map((migration) => migration.version));
  const unknown = [...done].filter((version) => !known.has(version));
  if (unknown.length > 0) {
    throw new StackFailure(
      `the database has migrations that this version does not know (${unknown.join(', ')}): choose another state folder with --state-dir, or remove it`,
    );
  }
}

async function apply(client: pg.Client, { version, name, sql }: Migration): Promise<void> {
  try {
    await client.query('begin');
    await client.query(sql);
    await client.query(
      'insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)',
      [version, name, [sql]],
    );
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw new StackFailure(`the migration ${version}_${name} failed${placeIn(sql, error)}: ${sentence(error)}`);
  }
}

function placeIn(sql: string, error: unknown): string {
  const position = Number((error as { position?: string }).position);
  return position > 0 ? ` at line ${sql.slice(0, position).split('\n').length}` : '';
}
