import type pg from 'pg';

import { type Contender, interleaved, ratio, type Times } from './measure.ts';
import type { Options } from './options.ts';
import type { Place } from './place.ts';
import { Recovery } from './recovery.ts';
import type { Section } from './report.ts';
import { damage, fillTable, scattered, type TableShape, tenantOf } from './rows.ts';

const TENANT = 3;
const COLUMNS = ['tenant_id', 'title', 'body', 'price', 'quantity', 'active', 'tags', 'details', 'updated_at'];

/** Changed rows brought back: M23's restore, E-Maj's two rollbacks, and a plain UPDATE. */
export async function rewind(place: Place, { quick }: Options): Promise<Section> {
  const { client, emaj } = place;
  const shape: TableShape = { name: 'rewind_m23', rows: quick ? 100_000 : 1_000_000, tenants: 10 };
  await fillTable(client, shape);
  await client.query(`select m23.protect_table('bench.rewind_m23')`);
  if (emaj !== undefined) {
    await fillTable(client, { ...shape, name: 'rewind_emaj' });
    await emaj.protect('rewind_emaj');
  }
  const section: Section = { title: `rewind: changed rows of a table of ${shape.rows.toLocaleString('en')}`, rows: [] };
  for (const count of quick ? [1_000, 10_000] : [1_000, 10_000, 100_000]) {
    const times = await measure(place, shape, count, count === 1_000 && !quick ? 9 : 3); // the shortest scatter most
    const what = `${count.toLocaleString('en')} rows:`;
    const note = emaj === undefined ? 'no peer' : '';
    section.rows.push(
      {
        what: `${what} E-Maj's logged rollback / M23's restore`,
        ratio: ratio(times['emaj logged'], times['m23']),
        goal: { atLeast: 3 },
        note,
      },
      {
        what: `${what} M23's restore / E-Maj's unlogged rollback`,
        ratio: ratio(times['m23'], times['emaj unlogged']),
        goal: { atMost: 1.2 },
        note,
      },
      {
        what: `${what} M23's restore / UPDATE … FROM of the same rows`,
        ratio: ratio(times['m23'], times['update']),
        goal: { atMost: 2 },
      },
    );
  }
  return section;
}

async function measure({ client, emaj }: Place, shape: TableShape, count: number, repetitions: number): Promise<Times> {
  const where = scattered(shape, TENANT, count);
  const recovery = await Recovery.of(client, tenantOf(TENANT), 'rewind_m23');
  let at = '';
  let mark = 0;
  const contenders: Contender[] = [
    {
      name: 'm23',
      prepare: async () => {
        await client.query('vacuum bench.rewind_m23');
        at = await recovery.moment();
        expectRows(await damage(client, 'rewind_m23', where), count);
      },
      run: async () => expectRows(await recovery.restore(at), count),
    },
    {
      name: 'update',
      prepare: async () => {
        await keep(client, where);
        expectRows(await damage(client, 'rewind_m23', where), count);
      },
      run: async () =>
        void (await client.query(
          `update bench.rewind_m23 l set ${COLUMNS.map((c) => `${c} = k.${c}`).join(', ')} from bench.kept k where l.id = k.id`,
        )),
    },
  ];
  for (const logged of emaj === undefined ? [] : [true, false]) {
    contenders.push({
      name: logged ? 'emaj logged' : 'emaj unlogged',
      prepare: async () => {
        await client.query('vacuum bench.rewind_emaj');
        await emaj?.mark('rewind_emaj', `${count}-${logged}-${++mark}`);
        expectRows(await damage(client, 'rewind_emaj', where), count);
      },
      run: async () => void (await emaj?.rollBack('rewind_emaj', `${count}-${logged}-${mark}`, logged)),
    });
  }
  if (count === 1_000) await interleaved(1, contenders); // warms up
  return await interleaved(repetitions, contenders);
}

/** Copies the rows that are about to be changed. */
async function keep(client: pg.Client, where: string): Promise<void> {
  await client.query('vacuum bench.rewind_m23');
  await client.query(
    `drop table if exists bench.kept; create unlogged table bench.kept as select * from bench.rewind_m23 where ${where}; analyze bench.kept`,
  );
}

function expectRows(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`${found} rows instead of ${wanted}`);
}
