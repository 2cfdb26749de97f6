// Random histories, as `cargo xtask history` writes them: the first with the seed, each later one with the next.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { startStack } from '../../stack/stack.ts';
import { LIMITS, runRounds } from '../history/rounds.ts';
import { type Ends, going, type Report } from './report.ts';

const CLIENTS = 6;
/** After so many another history begins, with tables that nobody has altered yet. */
const ROUNDS = 10;

export async function runHistories(stateDir: string, ends: Ends, seed: number, report: Report): Promise<void> {
  for (let n = 0; n === 0 || going(ends); n += 1) {
    const folder = join(stateDir, String(n));
    mkdirSync(folder);
    const stack = await startStack({ stateDir: folder, ephemeral: true, rateLimits: LIMITS });
    try {
      let rounds = 0;
      const another = (): boolean => {
        const goesOn = rounds === 0 || (rounds < ROUNDS && going(ends));
        if (goesOn) rounds += 1;
        return goesOn;
      };
      const { transactions, restores, compared, looks } = await runRounds(stack, {
        seed: seed + n,
        clients: CLIENTS,
        going: another,
        say: (line) => report.say(line),
      });
      report.count('histories');
      report.count('transactions', transactions);
      report.count('restores and rollbacks', restores);
      report.count('answers compared', compared + looks);
    } finally {
      await stack.close();
    }
  }
}
