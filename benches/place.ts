import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type pg from 'pg';

import { migrate } from '../stack/migrations.ts';
import { ROOT } from '../stack/places.ts';
import { Postgres, removeData } from '../stack/postgres.ts';
import { Emaj } from './peer.ts';

/** A database to measure in. */
export interface Place {
  postgres: Postgres;
  client: pg.Client;
  emaj: Emaj | undefined;
  close(): Promise<void>;
}

/** What would disturb a measurement now and then is off for everybody; vacuum is run by hand. */
const SETTINGS = { autovacuum: 'off', shared_buffers: '512MB', max_wal_size: '8GB', checkpoint_timeout: '1h' };

export function newStateFolder(): string {
  return mkdtempSync(join(tmpdir(), `m23-bench-${process.pid}-`));
}

export function removeStateFolder(folder: string): void {
  removeData(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** Starts PostgreSQL 17 with M23 in it, and with the peer where there is a checkout. */
export async function openPlace(
  stateDir: string,
  checkout: string | undefined,
  settings: Record<string, string> = {},
): Promise<Place> {
  const postgres = await Postgres.start({
    stateDir,
    ephemeral: true,
    settings: { ...SETTINGS, ...settings },
    onCrash: (part, reason) => console.error(`error: ${part} ended by itself (${reason})`),
  });
  try {
    const client = await postgres.connect();
    await client.query(readFileSync(join(ROOT, 'stack', 'supabase-shape.sql'), 'utf8'));
    await migrate(client);
    const emaj = checkout === undefined ? undefined : await Emaj.install(client, checkout);
    const close = async (): Promise<void> => {
      await client.end();
      await postgres.stop();
    };
    return { postgres, client, emaj, close };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}
