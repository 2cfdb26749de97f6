// M23, as the random history calls it: its SQL, with the claims that the API would have set.
import { randomUUID } from 'node:crypto';

import type pg from 'pg';

import type { Restored } from './oracle.ts';

/** A tenant and the user in whose name it is restored. */
export interface Owned {
  id: string;
  owner: string;
}

interface Begun {
  work_id: string;
  lease: string;
}

/** What has become of a restore. */
export interface Done {
  workId: string;
  /** Why it was refused. */
  error?: { code: string; message: string; details?: string[]; cause?: string };
  /** The place of the restore in the record. */
  n: number;
  snapshotId: string;
  warnings: string[];
}

/** Begins work in the owner's name. */
async function begin(
  client: pg.Client,
  tenant: Owned,
  name: 'pitr-restore' | 'pitr-rollback',
  body: Record<string, unknown>,
): Promise<Begun> {
  const request = randomUUID();
  await client.query('begin');
  try {
    await client.query('insert into m23.requests (id, tenant_id, user_id, function) values ($1, $2, $3, $4)', [
      request,
      tenant.id,
      tenant.owner,
      name,
    ]);
    await client.query(`select set_config('request.jwt.claims', $1, true)`, [
      JSON.stringify({ sub: tenant.owner, role: 'authenticated' }),
    ]);
    const {
      rows: [row],
    } = await client.query<{ begun: Begun }>(
      `select public.m23_begin_${name === 'pitr-restore' ? 'pitr' : 'rollback'}($1, $2) as begun`,
      [request, { ...body, [name === 'pitr-restore' ? 'confirmRestore' : 'confirmRollback']: true }],
    );
    await client.query('commit');
    if (row === undefined) throw new Error('nothing was begun');
    return row.begun;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/** Executes what was begun, and enters it in the record, in one transaction. */
async function execute(client: pg.Client, { work_id, lease }: Begun, what: Restored): Promise<Done> {
  await client.query('begin');
  const {
    rows: [row],
  } = await client.query<{ outcome: { error?: Done['error']; snapshot_id: string; warnings: string[] } }>(
    'select public.m23_execute_restore($1, $2) as outcome',
    [work_id, lease],
  );
  if (row === undefined) throw new Error('nothing was executed');
  const { error, snapshot_id, warnings } = row.outcome;
  const {
    rows: [entry],
  } =
    error === undefined
      ? await client.query<{ n: string }>('insert into history.journal (what) values ($1) returning n', [
          JSON.stringify(what),
        ])
      : { rows: [{ n: '0' }] };
  await client.query('commit');
  return {
    workId: work_id,
    ...(error === undefined ? {} : { error }),
    n: Number(entry?.n ?? 0),
    snapshotId: snapshot_id,
    warnings,
  };
}

/** A restore of some tables (schema history) to a time, in microseconds. */
export async function restoreTo(client: pg.Client, tenant: Owned, at: bigint, tables: string[]): Promise<Done> {
  const begun = await begin(client, tenant, 'pitr-restore', {
    targetTimestamp: iso(at),
    tables: tables.map((name) => `history.${name}`),
  });
  return await execute(client, begun, { tenant: tenant.id, tables, at: String(at) });
}

export async function rollBack(
  client: pg.Client,
  tenant: Owned,
  snapshotId: string,
): Promise<Done & { position: string; tables: string[] }> {
  const {
    rows: [snapshot],
  } = await client.query<{ position: string; tables: string[] }>(
    `select snapshot_data ->> 'position' as position, affected_tables as tables from public.pitr_snapshots where id = $1`,
    [snapshotId],
  );
  if (snapshot === undefined) throw new Error(`no snapshot ${snapshotId}`);
  const tables = snapshot.tables.map((name) => name.replace('history.', ''));
  const begun = await begin(client, tenant, 'pitr-rollback', { snapshotId });
  return {
    ...(await execute(client, begun, { tenant: tenant.id, tables, position: snapshot.position })),
    position: snapshot.position,
    tables,
  };
}

/** A time of so many microseconds, as a caller writes it. */
export function iso(microseconds: bigint): string {
  const milliseconds = new Date(Number(microseconds / 1000n)).toISOString();
  return milliseconds.replace('Z', `${String(microseconds % 1000n).padStart(3, '0')}Z`);
}
