import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import type pg from 'pg';

import { StackFailure } from '../stack/failure.ts';

/** dalibo/emaj 5, from a checkout outside the repository: tables whose changes it logs. */
export class Emaj {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async install(client: pg.Client, checkout: string): Promise<Emaj> {
    await client.query(readFileSync(scriptOf(checkout), 'utf8'));
    return new Emaj(client);
  }

  /** Logs a table of the schema bench from now on, in a group of its own. */
  async protect(table: string): Promise<void> {
    await this.#client.query('select emaj.emaj_create_group($1)', [table]);
    await this.#client.query(`select emaj.emaj_assign_table('bench', $1, $1)`, [table]);
    await this.#client.query(`select emaj.emaj_start_group($1, 'start')`, [table]);
  }

  async mark(table: string, name: string): Promise<void> {
    await this.#client.query('select emaj.emaj_set_mark_group($1, $2)', [table, name]);
  }

  async rollBack(table: string, mark: string, logged: boolean): Promise<void> {
    await this.#client.query(
      `select * from emaj.${logged ? 'emaj_logged_rollback_group' : 'emaj_rollback_group'}($1, $2)`,
      [table, mark],
    );
  }
}

/** Its installation script for psql, which needs no files in the server's folders. */
function scriptOf(checkout: string): string {
  const folder = join(resolve(checkout), 'sql');
  const scripts = existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => /^emaj-(5[.\d]*|devel)\.sql$/.test(file))
        .sort()
    : [];
  const script = scripts.at(0);
  if (script === undefined)
    throw new StackFailure(`${checkout} is no checkout of dalibo/emaj 5: it has no sql/emaj-5….sql`);
  return join(folder, script);
}
