import { bulkRows } from './capture/bulk.ts';
import { firstWriteRows } from './capture/first-write.ts';
import { logSizeRows } from './capture/log-size.ts';
import { singleRows, transactionRows } from './capture/single.ts';
import { tableOf } from './capture/statements.ts';
import { wideRows } from './capture/wide.ts';
import { Meter } from './meter.ts';
import type { Options } from './options.ts';
import type { Place } from './place.ts';
import type { Row, Section } from './report.ts';
import { createTable, tenantOf, values } from './rows.ts';

/** Rows that stand in the tables while single ones are written. */
const STANDING = 10_000;

/** What capture adds to statements: none, M23's and E-Maj's on tables of one shape. */
export async function capture(place: Place, { quick }: Options): Promise<Section> {
  const { client } = place;
  const capturers = ['plain', 'm23', ...(place.emaj === undefined ? [] : ['emaj'])];
  const count = quick ? 20_000 : 100_000;
  await createTables(place, capturers, count);
  const extent = { repetitions: quick ? 2 : 5, blocks: quick ? 5 : 10 };
  const ofStatements = { ...extent, blocks: 2 * extent.blocks };
  const rows: Row[] = await bulkRows(place, capturers, count, quick ? 3 : 5);
  await fillTables(place, capturers);
  rows.push(
    ...(await singleRows(place, capturers, ofStatements)),
    ...(await transactionRows(place, capturers, ofStatements)),
    ...(await firstWriteRows(place, capturers, extent)),
    ...(await logSizeRows(place, quick ? 1_000 : 4_000, quick ? 2 : 3)),
    ...(await wideRows(place, extent)),
  );
  const { readsCpu } = await Meter.of(client);
  return { title: `capture: what it costs the writer, by ${readsCpu ? "the server's CPU" : 'the clock'}`, rows };
}

async function createTables({ client, emaj }: Place, capturers: readonly string[], count: number): Promise<void> {
  for (const capturer of capturers) await createTable(client, `captured_${capturer}`);
  await client.query(`select m23.protect_table('${tableOf('m23')}')`);
  await emaj?.protect('captured_emaj');
  await client.query(`create unlogged table bench.source (like ${tableOf('plain')});
    insert into bench.source select ${values(`'${tenantOf(0)}'::uuid`)} from generate_series(1, ${count}) n;
    analyze bench.source`);
}

async function fillTables({ client }: Place, capturers: readonly string[]): Promise<void> {
  for (const capturer of capturers) {
    await client.query(`insert into ${tableOf(capturer)} select * from bench.source limit ${STANDING}`);
  }
}
