// The trials, in their order, and how long each goes on where nobody says otherwise.
import { runCuts } from './cuts.ts';
import { runHistories } from './histories.ts';
import { runHostile } from './hostile.ts';
import { runIsolation } from './isolation.ts';
import { runLoad } from './load.ts';
import type { Ends, Report } from './report.ts';

export interface Trial {
  name: string;
  seconds: number;
  run(stateDir: string, ends: Ends, seed: number, report: Report): Promise<void>;
}

export const TRIALS: readonly Trial[] = [
  { name: 'cuts', seconds: 3600, run: runCuts },
  { name: 'histories', seconds: 600, run: runHistories },
  { name: 'isolation', seconds: 7200, run: runIsolation },
  { name: 'hostile', seconds: 600, run: runHostile },
  { name: 'load', seconds: 600, run: runLoad },
];
