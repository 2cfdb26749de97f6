// Three writers with everything that an application's triggers, foreign keys and statements do, and a fourth session
// that keeps positions with the rows of their moment: capture alone must give each of them.
// `cargo xtask history --capture` runs the same for as long as one likes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type { PostgresMajor } from '../../stack/places.ts';
import { type Database, startDatabase } from '../fixtures/database.ts';
import { history } from '../history/capture/history.ts';
import { SHAPES } from '../history/capture/shapes.ts';

const SEED = Number(process.env['M23_SEED'] ?? Math.floor(Math.random() * 1_000_000));

/** With the transactions of each writer, for each shape. */
const RUNS: { major: PostgresMajor; commitTimes: 'on' | 'off'; transactions: number }[] = [
  { major: 17, commitTimes: 'on', transactions: 30 },
  { major: 15, commitTimes: 'on', transactions: 6 },
  { major: 16, commitTimes: 'off', transactions: 6 },
  { major: 18, commitTimes: 'on', transactions: 6 },
];

for (const { major, commitTimes, transactions } of RUNS) {
  describe(`on PostgreSQL ${major}, commit times ${commitTimes} (M23_SEED=${SEED})`, { concurrency: 2 }, () => {
    let database: Database;
    before(async () => {
      database = await startDatabase({ track_commit_timestamp: commitTimes }, major);
      await database.client.query('select m23.incarnation()');
    });
    after(() => database.close());

    for (const shape of SHAPES) {
      test(`every position gives back the rows that were there: ${shape.name}`, async (t) => {
        const { tally, moments, wrong, report } = await history({
          connect: () => database.postgres.connect(),
          shape,
          seed: SEED,
          transactions,
        });
        t.diagnostic(`${moments} moments, ${JSON.stringify(tally)}`);
        assert.ok(tally.committed > transactions && moments > 1);
        assert.equal(wrong, 0, `M23_SEED=${SEED}: ${wrong} of ${moments} moments are wrong\n${report}`);
      });
    }
  });
}
