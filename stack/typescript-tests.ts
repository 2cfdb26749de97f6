// Runs test files, two at once, those that last longest first: so that none of them is alone at the end.
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** Parts of the paths of the longest files, longest first. The order decides how long a run lasts, and nothing else. */
const LONGEST = [
  'torture/',
  'restores/durability',
  'history/',
  'log/gaps',
  'log/capture-history',
  'restores/chain-restores',
  'requests/openapi',
  'proof/recovery-tests',
  'restores/removal',
  'restores/pitr-crashes',
  'restores/data-types',
];

function rank(file: string): number {
  const found = LONGEST.findIndex((part) => file.includes(part));
  return found === -1 ? LONGEST.length : found;
}

const files = process.argv.slice(2).sort((one, other) => rank(one) - rank(other) || one.localeCompare(other));
// A file whose processes outlive a failure is ended, and fails; the longest takes a minute.
const tests = run({ files, concurrency: 2, timeout: 600_000 });
tests.on('test:fail', () => {
  process.exitCode = 1;
});
tests.compose(spec).pipe(process.stdout);
