// The random history for as long as one likes. Started by `cargo xtask history`, which builds first.
// Round after round is written, compared, restored and undone; ends with 1 at the first mismatch.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { StackFailure, sentence } from '../../stack/failure.ts';
import { type Stack, startStack } from '../../stack/stack.ts';
import { stopRequested } from '../../stack/supervised.ts';
import { LIMITS, runRounds } from './rounds.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seconds: { type: 'string', default: '120' },
    clients: { type: 'string', default: '6' },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const ends = Date.now() + Number(values.seconds) * 1000;
const asked = stopRequested();
const stateDir = mkdtempSync(join(tmpdir(), 'm23-history-'));

const code = await main();
rmSync(stateDir, { recursive: true, force: true });
process.exit(code);

async function main(): Promise<number> {
  console.log(`seed ${seed}, ${values.seconds} s, ${values.clients} clients`);
  const starting = startStack({ stateDir, ephemeral: true, rateLimits: LIMITS });
  try {
    const stack = await Promise.race([starting, asked]);
    if (stack === undefined) return 130;
    return (
      (await Promise.race([
        run(stack),
        stack.crashed.then((reason) => {
          throw new StackFailure(reason);
        }),
        asked,
      ])) ?? 130
    );
  } catch (error) {
    console.error(`error: ${error instanceof StackFailure ? sentence(error) : (error as Error).stack}`);
    for (const line of serverWords()) console.error(line);
    return 1;
  } finally {
    await starting.then(
      (stack) => stack.close(),
      () => undefined,
    );
  }
}

async function run(stack: Stack): Promise<number> {
  await runRounds(stack, {
    seed,
    clients: Number(values.clients),
    going: () => Date.now() < ends,
    say: (line) => console.log(line),
  });
  return 0;
}

/** What Postgres has said of restores that failed. */
function serverWords(): string[] {
  try {
    return readFileSync(join(stateDir, 'postgres.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('m23: restore failed'))
      .slice(-5);
  } catch {
    return [];
  }
}
