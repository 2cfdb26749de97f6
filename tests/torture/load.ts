// Load: many tenants at once, each with a record of its own, over HTTP.
import assert from 'node:assert/strict';

import { startStack } from '../../stack/stack.ts';
import { newTenant } from '../fixtures/tenants.ts';
import { pause, randomNumbers } from '../fixtures/time.ts';
import { Calls } from './calls.ts';
import { Customer } from './customer.ts';
import { memoryOf } from './memory.ts';
import { type Ends, going, type Report } from './report.ts';
import { RATE_LIMITS } from './world.ts';

/** How many tenants there are, for how long each may rest between two things, and how many it does at most. */
export interface Bounds {
  tenants?: number;
  restMs?: number;
  acts?: number;
}

export async function runLoad(
  stateDir: string,
  ends: Ends,
  seed: number,
  report: Report,
  { tenants = 200, restMs = 6_000, acts = Infinity }: Bounds = {},
): Promise<void> {
  const stack = await startStack({ stateDir, ephemeral: true, rateLimits: RATE_LIMITS, cron: true });
  const client = await stack.postgres.connect();
  try {
    await client.query(`update m23.settings set value = '1000000' where name = 'limit.pitr-rollback'`);
    const calls = new Calls(stack);
    const customers: Customer[] = [];
    for (let n = 0; n < tenants; n += 1)
      customers.push(await Customer.open(await newTenant(stack, client), calls, randomNumbers(seed + n)));
    const [before, began] = [memory(), Date.now()];
    await Promise.all(
      customers.map((customer, n) => live(customer, ends, { restMs, acts }, randomNumbers(seed - n), calls, report)),
    );
    const seconds = (Date.now() - began) / 1000;
    report.note('tenants', String(tenants));
    report.note('calls', `${calls.count}, ${(calls.count / seconds).toFixed(1)} a second`);
    report.note('errors', calls.errors);
    for (const [name, times] of calls.times) report.note(name, times);
    report.note('memory', `${before} at the beginning, ${memory()} at the end`);
    for (const { tenant, rows } of customers) {
      const found = await client.query<{ name: string; email: string }>(
        'select name, email from public.customers where tenant_id = $1 order by name',
        [tenant.id],
      );
      assert.deepEqual(
        Object.fromEntries(found.rows.map(({ name, email }) => [name, email])),
        Object.fromEntries(rows),
        `the rows of ${tenant.id}`,
      );
    }
    assert.deepEqual(calls.unexpected.slice(0, 20), [], 'unexpected answers');
  } finally {
    await client.end();
    await stack.close();
  }
}

/** One thing after the other, until the time is over. */
async function live(
  customer: Customer,
  ends: Ends,
  { restMs, acts }: Required<Omit<Bounds, 'tenants'>>,
  random: () => number,
  calls: Calls,
  report: Report,
): Promise<void> {
  for (let n = 0; n < acts && going(ends); n += 1) {
    await pause(random() * restMs);
    await customer.act();
    report.progress(() => `${calls.count} calls; errors: ${calls.errors}`);
  }
}

function memory(): string {
  return `workerd ${memoryOf('workerd') ?? '?'} MB, Postgres ${memoryOf('postgres') ?? '?'} MB`;
}
