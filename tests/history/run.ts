// The random history for as long as one likes. Started by `cargo xtask history`, which builds first.
// Round after round is written, compared, restored and undone; ends with 1 at the first mismatch.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { StackFailure, sentence } from '../../stack/failure.ts';
import { type Stack, startStack } from '../../stack/stack.ts';
import { stopRequested } from '../../stack/supervised.ts';
import { pause } from '../fixtures/time.ts';
import { History, newTenants } from './history.ts';
import { Chain } from './chain.ts';
import { restoreOverHttp } from './http.ts';

const { values } = parseArgs({ options: { seed: { type: 'string' }, seconds: { type: 'string', default: '120' }, clients: { type: 'string', default: '6' } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const ends = Date.now() + Number(values.seconds) * 1000;
const asked = stopRequested();
const stateDir = mkdtempSync(join(tmpdir(), 'm23-history-'));

const code = await main();
rmSync(stateDir, { recursive: true, force: true });
process.exit(code);

async function main(): Promise<number> {
  console.log(`seed ${seed}, ${values.seconds} s, ${values.clients} clients`);
  const starting = startStack({ stateDir, ephemeral: true, rateLimits: { 'pitr-restore': 1_000_000, 'backup-create': 1_000_000, 'backup-restore': 1_000_000 } });
  try {
    const stack = await Promise.race([starting, asked]);
    if (stack === undefined) return 130;
    return (await Promise.race([run(stack), stack.crashed.then((reason) => { throw new StackFailure(reason); }), asked])) ?? 130;
  } catch (error) {
    console.error(`error: ${error instanceof StackFailure ? sentence(error) : (error as Error).stack}`);
    for (const line of serverWords()) console.error(line);
    return 1;
  } finally {
    await starting.then((stack) => stack.close(), () => undefined);
  }
}

async function run(stack: Stack): Promise<number> {
  const history = await History.open(() => stack.postgres.connect(), seed, newTenants(3));
  let chain = new Chain(stack, history);
  for (let round = 1; Date.now() < ends; round += 1) {
    if (history.draw.chance(0.4)) chain = new Chain(stack, history);
    await history.writeAlone(2, Number(values.clients));
    await history.write(6, Number(values.clients), () => chain.grow(1 + history.draw.below(3), () => pause(history.draw.below(1500))));
    await history.checkRecord();
    await history.checkLooks();
    for (let n = 0; n < 8; n += 1) await history.checkAsOf();
    for (let n = 0; n < 3; n += 1) await history.checkUndo();
    const [at, tenant] = [history.randomTime(), history.draw.one(history.tenants)];
    await history.checkRestore(at, tenant, () => restoreOverHttp(stack, history, tenant, at));
    await chain.checkRestore(history.randomTime());
    await chain.checkCopies();
    for (let n = 0; n < 4; n += 1) await chain.checkRestore();
    await history.checkSequence(6);
    console.log(`round ${round}: ${JSON.stringify(history.figures)}`);
  }
  await history.pruneLog();
  for (let n = 0; n < 10; n += 1) await chain.checkRestore();
  await history.close();
  console.log(`✓ seed ${seed}: ${history.oracle.transactions} transactions, and every answer was the record's`);
  return 0;
}

/** What Postgres has said of restores that failed. */
function serverWords(): string[] {
  try {
    return readFileSync(join(stateDir, 'postgres.log'), 'utf8').split('\n').filter((line) => line.includes('m23: restore failed')).slice(-5);
  } catch {
    return [];
  }
}
