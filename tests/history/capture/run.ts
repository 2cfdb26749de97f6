// Histories of capture for as long as one likes. Started by `cargo xtask history --capture`.
// Shape after shape, on one version of PostgreSQL after the other; ends with 1 at the first wrong answer.
import { parseArgs } from 'node:util';

import type { PostgresMajor } from '../../../stack/places.ts';
import { stopRequested } from '../../../stack/supervised.ts';
import { type Database, startDatabase } from '../../fixtures/database.ts';
import { history } from './history.ts';
import { SHAPES, type Shape } from './shapes.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seconds: { type: 'string', default: '120' },
    clients: { type: 'string', default: '3' },
    major: { type: 'string' },
    shape: { type: 'string' },
    transactions: { type: 'string', default: '150' },
  },
});
const first = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const ends = Date.now() + Number(values.seconds) * 1000;
const majors = ([17, 15, 18, 16] as PostgresMajor[]).filter(
  (major) => values.major === undefined || major === Number(values.major),
);
const shapes = SHAPES.filter(({ name }) => values.shape === undefined || name === values.shape);
const databases = new Map<string, Database>();
const asked = stopRequested();

const code = await main();
for (const database of databases.values()) await database.close();
process.exit(code);

async function main(): Promise<number> {
  console.log(`seed ${first}, ${values.seconds} s`);
  try {
    return (await Promise.race([rounds(), asked])) ?? 130;
  } catch (error) {
    console.error(`error: ${(error as Error).stack}`);
    return 1;
  }
}

async function rounds(): Promise<number> {
  for (let seed = first; Date.now() < ends; seed += 1) {
    for (const shape of shapes) {
      for (const major of majors) {
        if (!(await isRight(seed, shape, major, (seed + major) % 3 === 0 ? 'off' : 'on'))) return 1;
      }
    }
  }
  return 0;
}

/** Writes one history; a failure is told. */
async function isRight(seed: number, shape: Shape, major: PostgresMajor, commitTimes: 'on' | 'off'): Promise<boolean> {
  const { postgres } = await databaseOf(major, commitTimes);
  const { tally, moments, wrong, report } = await history({
    connect: () => postgres.connect(),
    shape,
    seed,
    transactions: Number(values.transactions),
    writers: Number(values.clients),
  });
  const where = `seed ${seed}, ${shape.name} on ${major}, commit times ${commitTimes}`;
  const what = `${where}: ${moments} moments, ${JSON.stringify(tally)}`;
  if (wrong > 0) console.error(`✗ ${what}: ${wrong} are wrong\n${report}`);
  else console.log(`✓ ${what}`);
  return wrong === 0;
}

async function databaseOf(major: PostgresMajor, commitTimes: 'on' | 'off'): Promise<Database> {
  const name = `${major} ${commitTimes}`;
  const database = databases.get(name) ?? (await startDatabase({ track_commit_timestamp: commitTimes }, major));
  databases.set(name, database);
  return database;
}
