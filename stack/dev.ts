// The stack in the foreground. Started by `cargo xtask dev`, which sweeps up behind it; it stops
// when asked to, when a part ends by itself, and when its supervisor is gone.
import { parseArgs } from 'node:util';

import { StackFailure, sentence } from './failure.ts';
import { type Stack, startStack } from './stack.ts';
import { writeDevJson } from './state.ts';
import { stopRequested } from './supervised.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '54321' },
    'state-dir': { type: 'string', default: '.m23' },
    ephemeral: { type: 'boolean', default: false },
    'rate-limits': { type: 'string', default: '{}' },
  },
});

const asked = stopRequested();

process.exit(await main());

async function main(): Promise<number> {
  const started = performance.now();
  const starting = startStack({
    port: Number(values.port),
    stateDir: values['state-dir'],
    ephemeral: values.ephemeral,
    rateLimits: JSON.parse(values['rate-limits']) as Record<string, number>,
    vars: given('ARCHIVE_KEY', 'ARCHIVE_KEY_PREVIOUS', 'ALERT_WEBHOOK_URL', 'ALERT_WEBHOOK_SECRET'),
    cron: true,
    log: (line) => console.error(line),
  });
  let stack: Stack | undefined;
  try {
    // Who asks us to stop during the start does not wait for it to succeed.
    stack = await Promise.race([starting, asked.then(() => undefined)]);
  } catch (error) {
    console.error(`error: ${error instanceof StackFailure ? sentence(error) : (error as Error).stack}`);
    return 1;
  }
  if (stack === undefined) {
    await starting.then(
      (late) => late.close(),
      () => undefined,
    );
    return 0;
  }
  announce(stack, (performance.now() - started) / 1000);
  const crash = await Promise.race([stack.crashed, asked.then(() => undefined)]);
  if (crash !== undefined) console.error(`error: ${crash}; stopping the rest`);
  else console.error('stopping …');
  await stack.close();
  return crash === undefined ? 0 : 1;
}

/** Secrets of the functions that are taken from the environment where it has them. */
function given(...names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function announce(stack: Stack, seconds: number): void {
  writeDevJson(values['state-dir'], {
    url: stack.url,
    anonKey: stack.anonKey,
    serviceRoleKey: stack.serviceRoleKey,
    databaseUrl: stack.databaseUrl,
    users: stack.users.map(({ email, password, tenantId, role }) => ({ email, password, tenantId, role })),
  });
  console.log(`\nM23 is ready after ${seconds.toFixed(1)} s at ${stack.url} (development only)`);
  console.log(`console: ${stack.url}/m23/`);
  console.log(`database: ${stack.databaseUrl}`);
  console.log(`keys and users: ${values['state-dir']}/dev.json, logs: ${values['state-dir']}/*.log\n`);
  for (const user of stack.users) {
    console.log(
      `  ${user.email.padEnd(26)} ${user.password.padEnd(28)} ${user.role ?? '–'}  ${user.tenantId ?? (user.isPlatform ? 'operator of the platform' : 'no tenant')}`,
    );
  }
  console.log('\nCtrl-C stops everything.');
}
