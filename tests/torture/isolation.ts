// Isolation: everybody who should not tries everything that the catalogue lists, with another tenant's names and ids.
import { readFileSync } from 'node:fs';

import type pg from 'pg';

import { startMigrated } from '../../stack/migrated.ts';
import { INSIDE } from '../fixtures/functions.ts';
import { randomNumbers } from '../fixtures/time.ts';
import { type Attacker, attackersOf, type Neighbours, openNeighbours } from './neighbours.ts';
import { type Ends, going, type Report, shuffled } from './report.ts';
import { onRelation, onRoutine, readCatalogue } from './statements.ts';

interface Probe {
  attacker: Attacker;
  statement: string;
  /** Whether clients can reach it: its errors are read by them. */
  open: boolean;
}

interface Came {
  state?: string;
  words?: string;
  read?: string | null;
  written?: string[];
}

/** How many statements are tried in one go. */
const BATCH = 50;
/** What a statement that was not generated well comes to. */
const MALFORMED = new Set(['42601', '42846', '42883', '42P18', '42703']);

/** What else there is to be found in the database, and how many statements are tried. */
export interface Bounds {
  most?: number;
  only?: RegExp;
  extra?: string;
  /** So many faults are told in full. */
  told?: number;
}

/** Tries everything once, in the order of a seed. */
export async function runIsolation(
  stateDir: string,
  ends: Ends,
  seed: number,
  report: Report,
  { most, only, extra = '', told = 20 }: Bounds = {},
): Promise<void> {
  const postgres = await startMigrated({ stateDir, ephemeral: true, onCrash: () => undefined });
  const client = await postgres.connect();
  try {
    await client.query('set client_min_messages = error');
    const neighbours = await openNeighbours(client);
    await client.query(extra);
    const attackers = await attackersOf(client);
    const all = (await probesOf(client, neighbours, attackers)).filter(
      ({ statement }) => only?.test(statement) !== false,
    );
    const probes = shuffled(all, randomNumbers(seed)).slice(0, most);
    await client.query(readFileSync(new URL('probe.sql', import.meta.url), 'utf8'));
    await client.query('update torture.digests set digest = torture.digest(relid, $1)', [marksOf(neighbours)]);
    report.count('attackers', attackers.length);
    report.count('statements', probes.length);
    const faults = await tryAll(client, neighbours, probes, ends, report);
    if (faults.length > 0)
      throw new Error(`${faults.length} statements came through:\n${faults.slice(0, told).join('\n')}`);
  } finally {
    await client.end();
    await postgres.stop();
  }
}

async function probesOf(client: pg.Client, neighbours: Neighbours, attackers: readonly Attacker[]): Promise<Probe[]> {
  const { relations, routines } = await readCatalogue(client);
  return attackers.flatMap((attacker) => [
    ...relations.flatMap((relation) =>
      onRelation(relation, neighbours).map((statement) => ({
        attacker,
        statement,
        open: relation.schema === 'public',
      })),
    ),
    ...routines.flatMap((routine) =>
      onRoutine(routine, neighbours, attacker).map((statement) => ({
        attacker,
        statement,
        open: routine.schema === 'public',
      })),
    ),
  ]);
}

function marksOf({ secrets }: Neighbours): string {
  return secrets.join('|');
}

async function tryAll(
  client: pg.Client,
  neighbours: Neighbours,
  probes: readonly Probe[],
  ends: Ends,
  report: Report,
): Promise<string[]> {
  const faults: string[] = [];
  for (let from = 0; from < probes.length && going(ends); from += BATCH) {
    const batch = probes.slice(from, from + BATCH);
    const { rows } = await client.query<{ came: Came }>(
      `select torture.probe(role, claims, statement, $4) as came
         from unnest($1::text[], $2::jsonb[], $3::text[]) p (role, claims, statement)`,
      [
        batch.map(({ attacker }) => attacker.role),
        batch.map(({ attacker }) => JSON.stringify(attacker.claims)),
        batch.map(({ statement }) => statement),
        marksOf(neighbours),
      ],
    );
    rows.forEach(({ came }, n) => {
      const probe = batch[n] as Probe;
      report.count(came.state === undefined ? 'answered' : `refused with ${came.state}`);
      const fault = faultOf(came, probe, neighbours);
      if (fault !== undefined) faults.push(`${probe.attacker.name}: ${probe.statement}\n    ${fault}`);
    });
    report.progress(() => `${from + BATCH} of ${probes.length} statements`);
  }
  return faults;
}

function faultOf(
  { state, words = '', read, written = [] }: Came,
  { attacker, statement, open }: Probe,
  { secrets }: Neighbours,
): string | undefined {
  const sent = `${statement} ${JSON.stringify(attacker.claims)}`;
  const shown = secrets.find((secret) => `${read ?? ''} ${words}`.includes(secret) && !sent.includes(secret));
  if (shown !== undefined && attacker.reads !== true) return `shows ${shown}: ${read ?? words}`;
  if (written.length > 0) return `writes into ${written.join(', ')}`;
  const inner = open && state !== undefined ? INSIDE.exec(words) : null;
  if (inner !== null && !statement.includes(inner[0])) return `names ${inner[0]}: ${state} ${words}`;
  return open && MALFORMED.has(state ?? '') ? `was not tried: ${state} ${words}` : undefined;
}
