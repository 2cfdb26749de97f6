// Thousands of random transactions, and at random times M23's answers against a record of its own.
// `cargo xtask history` runs the same for as long as one likes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { startDatabase } from '../fixtures/database.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant } from '../fixtures/tenants.ts';
import { pause } from '../fixtures/time.ts';
import { Chain } from './chain.ts';
import { History } from './history.ts';
import { restoreOverHttp } from './http.ts';

const SEED = Number(process.env['M23_SEED'] ?? Math.floor(Math.random() * 1_000_000));

const { stack, client } = await openStack();

describe(`a random history (M23_SEED=${SEED})`, () => {
  let history: History;
  let chain: Chain;

  before(async () => {
    const tenants = [await newTenant(stack, client), await newTenant(stack, client), await newTenant(stack, client)];
    history = await History.open(
      () => stack.postgres.connect(),
      SEED,
      tenants.map((tenant) => ({ id: tenant.id, owner: tenant.userId('owner') })),
    );
    chain = new Chain(stack, history);
  });
  after(async () => {
    await history.close();
  });

  test('is written by several clients, and looked at and restored meanwhile', async (t) => {
    await history.writeAlone(2, 6);
    await history.write(4, 6, () => chain.grow(3, () => pause(700)));
    await history.checkRecord();
    await history.checkLooks();
    t.diagnostic(`M23_SEED=${SEED}: ${JSON.stringify(history.figures)}`);
    assert.ok(history.figures.committed > 200 && history.figures.looks > 3);
  });

  test('is the record at every time', async () => {
    for (let n = 0; n < 12; n += 1) await history.checkAsOf();
  });

  test('is restored to any time, and undone', async () => {
    for (let n = 0; n < 4; n += 1) await history.checkUndo();
    await history.checkSequence(6);
  });

  test('is restored to any time over HTTP, from the log and from an archive', async () => {
    const [at, tenant] = [history.randomTime(), history.draw.one(history.tenants)];
    await history.checkRestore(at, tenant, () => restoreOverHttp(stack, history, tenant, at));
    await chain.checkRestore(history.randomTime());
    await history.checkRecord();
  });

  test('is restored to any time inside a chain of backups, and is at each of its members what it was', async () => {
    await chain.checkCopies();
    for (let n = 0; n < 2; n += 1) await chain.checkRestore();
    await history.checkRecord();
  });

  test('is so as well when the log is long gone', async () => {
    await history.pruneLog();
    for (let n = 0; n < 3; n += 1) await chain.checkRestore();
    await chain.checkCopy();
    await history.checkRecord();
  });
});

test(`a random history without commit times is, at any time, the record at the tick that the answer names (M23_SEED=${SEED})`, async (t) => {
  const { postgres, close } = await startDatabase({ track_commit_timestamp: 'off' });
  t.after(close);
  const history = await History.open(() => postgres.connect(), SEED);
  await history.client.query('select m23.note_tick()'); // the first that sees the tables protected
  const from = await history.now();
  await history.writeAlone(4, 5);
  const until = await history.now();
  await history.checkRecord();
  for (let n = 0; n < 5; n += 1)
    await history.checkTick(from + ((until - from) * BigInt(history.draw.below(1000))) / 1000n);
  await history.close();
  t.diagnostic(`M23_SEED=${SEED}: ${JSON.stringify(history.figures)}`);
});
