// M23's main job, end to end, on the real stack. Started by `cargo xtask demo`, which builds first.
// Ends with 0 when everything is as promised, with 1 when not, with 130 when it was interrupted.
import { setTimeout } from 'node:timers/promises';

import { StackFailure, sentence } from '../stack/failure.ts';
import { type Stack, startStack } from '../stack/stack.ts';
import { stopRequested } from '../stack/supervised.ts';
import { seconds, stopwatch } from './figures.ts';
import { close, figure, heading, say } from './screen.ts';
import { lastWords, newStateFolder, removeStateFolder } from './state.ts';
import { tell } from './story.ts';

const INTERRUPTED = 130;

const asked = stopRequested();
const watch = stopwatch();

if (process.argv.length > 2) {
  say('error: the demo takes no arguments');
  process.exit(2);
}
const stateDir = newStateFolder();
const code = await main();
removeStateFolder(stateDir);
process.exit(code);

async function main(): Promise<number> {
  say('M23: one tenant of a shared database is backed up, damaged and restored, and every row is checked.');
  heading('The whole stack starts');
  const starting = startStack({ stateDir, ephemeral: true, cron: true, log: (line) => say(`   ${line}`) });
  try {
    const stack = await Promise.race([starting, asked]);
    if (stack === undefined) return interrupted();
    // A part that ends by itself breaks what is under way too: its own sentence says more.
    const ended = run(stack).catch(async (error: unknown) => {
      await setTimeout(300);
      throw error;
    });
    return (await Promise.race([ended, stack.crashed.then(fail), asked])) ?? interrupted();
  } catch (error) {
    say(`\nerror: ${error instanceof StackFailure ? sentence(error) : (error as Error).stack}`);
    for (const line of lastWords(stateDir)) say(line);
    close();
    return 1;
  } finally {
    // Who asks us to stop during the start does not wait for it to succeed.
    await starting.then(
      (stack) => stack.close(),
      () => undefined,
    );
  }
}

async function run(stack: Stack): Promise<number> {
  const client = await stack.postgres.connect();
  const failed = await tell(stack, client);
  await client.end();
  figure('everything together', seconds(watch()));
  if (failed.length === 0) {
    say('\n✓ The tenant is back exactly as it was, and nobody else noticed.');
    return 0;
  }
  say(`\n✗ Not as promised: ${failed.join('; ')}.`);
  return 1;
}

function fail(reason: string): never {
  throw new StackFailure(reason);
}

function interrupted(): number {
  say('\nstopping …');
  close();
  return INTERRUPTED;
}
