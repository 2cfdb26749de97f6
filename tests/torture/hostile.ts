// Hostile archives and tokens: random mutations from a seed. What is not what it was is refused, or changes nothing
// that it should not.
import assert from 'node:assert/strict';

import { tamperedWith } from '../fixtures/archive.ts';
import { type BackedUpShop, startBackedUpShop } from '../fixtures/backed-up-shop.ts';
import { call, restore } from '../fixtures/functions.ts';
import { leftovers } from '../fixtures/recovery.ts';
import { damage, placesOf, placesOfOthers, rowsOf } from '../fixtures/shop.ts';
import { randomNumbers } from '../fixtures/time.ts';
import { MUTATIONS, type Mutation } from './mutations.ts';
import { type Ends, going, oneOf, type Report } from './report.ts';
import { TOKENS } from './tokens.ts';

/** Archives and tokens by turns, until the time is over or `most` of each were tried. */
export async function runHostile(
  _stateDir: string,
  ends: Ends,
  seed: number,
  report: Report,
  most = Infinity,
): Promise<void> {
  const shop = await startBackedUpShop();
  try {
    const random = randomNumbers(seed);
    const wanted = await rowsOf(shop.client, shop.tenant);
    await damage(shop.client, shop.tenant);
    for (let n = 0; n < most && going(ends); n += 1) {
      await tryArchive(shop, wanted, oneOf(MUTATIONS, random), random, report);
      for (let left = 5; left > 0; left -= 1) await tryToken(shop, random, report);
      report.progress(() => `${report.counted('archives')} archives, ${report.counted('tokens')} tokens`);
    }
  } finally {
    await shop.close();
  }
}

type Rows = Awaited<ReturnType<typeof rowsOf>>;

/** A restore of a mutated archive is refused and changes nothing, or gives the rows that were backed up. */
async function tryArchive(
  shop: BackedUpShop,
  wanted: Rows,
  { name, forged, mutate }: Mutation,
  random: () => number,
  report: Report,
): Promise<void> {
  const { stack, client, tenant, other, backup } = shop;
  const [live, others] = [await placesOf(client, tenant), await placesOfOthers(client, tenant)];
  await tamperedWith(stack, client, tenant, backup, async () => {
    const what = `${name} ${await mutate({ stack, client, tenant, other, backup }, random)}`;
    const { status, body } = await restore(stack, tenant, backup);
    report.count('archives');
    report.count(status === 200 ? 'archives that were restored all the same' : `archives refused with ${body.code}`);
    assert.deepEqual(await placesOfOthers(client, tenant), others, `${what}: rows of others were written`);
    if (status === 200) {
      // Whoever can write the database, too, can write other rows into a backup: but never another tenant's.
      if (!forged) assert.deepEqual(await rowsOf(client, tenant), wanted, `${what}: restored, and the rows are others`);
    } else {
      assert.ok(
        ['BACKUP_UNUSABLE', 'CONFLICT'].includes(String(body.code)) && status === 409,
        `${what}: ${status} ${JSON.stringify(body)}`,
      );
      assert.deepEqual(await placesOf(client, tenant), live, `${what}: refused, and rows were written`);
    }
    assert.deepEqual(await leftovers(client), [], `${what}: something is left over`);
    if (status === 200) await damageAgain(shop, wanted);
  });
}

/** The backup's own restore, and the damage that there is to be for the next one. */
async function damageAgain({ client, tenant }: BackedUpShop, wanted: Rows): Promise<void> {
  if (JSON.stringify(await rowsOf(client, tenant)) === JSON.stringify(wanted)) await damage(client, tenant);
}

/** A token that says anything else than its issuer has signed is nobody's. */
async function tryToken({ stack, tenant, backup }: BackedUpShop, random: () => number, report: Report): Promise<void> {
  const { name, make } = oneOf(TOKENS, random);
  const token = await make(stack.issuer, tenant.userId('owner'), await tenant.token('owner'), random);
  const [path, body] = oneOf(
    [
      ['backup-restore', { backupJobId: backup, confirmRestore: true }],
      ['backup-create', { jobType: 'full' }],
      ['pitr-restore', { targetTimestamp: new Date(0).toISOString(), confirmRestore: true }],
      ['recovery-test', { test_name: 'x', test_type: 'manual', validation_level: 'basic' }],
    ] as const,
    random,
  );
  const { status, body: answer } = await call(stack, path, token, body);
  report.count('tokens');
  assert.deepEqual([status, answer.code], [401, 'AUTH_REQUIRED'], `${name}: ${path} with ${token}`);
}
