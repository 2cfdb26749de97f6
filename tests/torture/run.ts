// The trials that attack every promise, for as long as one likes. Started by `cargo xtask torture`, which builds first.
// Ends with 1 when anything did not hold.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { stopRequested } from '../../stack/supervised.ts';
import type { Ends } from './report.ts';
import { Report } from './report.ts';
import { TRIALS } from './trials.ts';

const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true }, seed: { type: 'string' }, seconds: { type: 'string' } },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const asked: Ends = { at: Infinity, asked: false };
void stopRequested().then(() => {
  asked.asked = true;
});
const folder = mkdtempSync(join(tmpdir(), 'm23-torture-'));

console.log(`seed ${seed}`);
const outcomes: { report: Report; took: number; error?: Error }[] = [];
for (const { name, seconds, run } of TRIALS) {
  if (asked.asked || values.only?.includes(name) === false) continue;
  const report = new Report(name, (line) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`));
  const began = Date.now();
  const ends: Ends = {
    get asked() {
      return asked.asked;
    },
    at: began + Number(values.seconds ?? seconds) * 1000,
  };
  const stateDir = join(folder, name);
  mkdirSync(stateDir);
  report.say('begins');
  const error = await run(stateDir, ends, seed, report).then(
    () => undefined,
    (failure: Error) => failure,
  );
  if (error !== undefined)
    console.error(`${name}: ${error.stack}${error.cause instanceof Error ? `\nbecause of ${error.cause.stack}` : ''}`);
  outcomes.push({ report, took: (Date.now() - began) / 1000, ...(error === undefined ? {} : { error }) });
}
rmSync(folder, { recursive: true, force: true });

console.log(`\nseed ${seed}${asked.asked ? ', ended before its time' : ''}`);
for (const { report, took, error } of outcomes) {
  console.log(
    `${report.name.padEnd(10)} ${error === undefined ? 'held  ' : 'FAILED'} ${took.toFixed(0).padStart(6)} s`,
  );
  for (const line of report.lines) console.log(`           ${line}`);
}
process.exit(outcomes.length > 0 && outcomes.every(({ error }) => error === undefined) ? 0 : 1);
