// Round after round is written, compared, restored and undone; throws at the first mismatch.
import type { Stack } from '../../stack/stack.ts';
import { pause } from '../fixtures/time.ts';
import { Chain } from './chain.ts';
import { type Figures, History, newTenants } from './history.ts';
import { restoreOverHttp } from './http.ts';

/** Room for every call of a run. */
export const LIMITS = { 'pitr-restore': 1_000_000, 'backup-create': 1_000_000, 'backup-restore': 1_000_000 };

export interface Rounds {
  seed: number;
  /** How many connections write at once. */
  clients: number;
  /** Whether another round is begun. */
  going: () => boolean;
  say: (line: string) => void;
}

/** Gives how much was done and compared, and how many transactions the record has. */
export async function runRounds(
  stack: Stack,
  { seed, clients, going, say }: Rounds,
): Promise<Figures & { transactions: number }> {
  const history = await History.open(() => stack.postgres.connect(), seed, newTenants(3));
  let chain = new Chain(stack, history);
  for (let round = 1; going(); round += 1) {
    if (history.draw.chance(0.4)) chain = new Chain(stack, history);
    await history.writeAlone(2, clients);
    await history.write(6, clients, () => chain.grow(1 + history.draw.below(3), () => pause(history.draw.below(1500))));
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
    say(`round ${round}: ${JSON.stringify(history.figures)}`);
  }
  await history.pruneLog();
  for (let n = 0; n < 10; n += 1) await chain.checkRestore();
  await history.close();
  say(`✓ seed ${seed}: ${history.oracle.transactions} transactions, and every answer was the record's`);
  return { ...history.figures, transactions: history.oracle.transactions };
}
