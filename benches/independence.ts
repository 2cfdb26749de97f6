import { type Contender, interleaved, ratio, type Times } from './measure.ts';
import type { Options } from './options.ts';
import type { Place } from './place.ts';
import { Recovery } from './recovery.ts';
import type { Row, Section } from './report.ts';
import { damage, fillTable, scattered, type TableShape, tenantOf } from './rows.ts';

const CHANGED = 1_000;
/** Flat, as far as a noisy machine can show it. */
const FLAT = { atMost: 1.5 };

/** The same small restore where something else is large: its time should stay what it was. */
export async function independence(place: Place, { quick }: Options): Promise<Section> {
  const { client } = place;
  const large = quick ? 100_000 : 1_000_000;
  const tenants = quick ? 1_000 : 10_000;
  const shapes: TableShape[] = [
    { name: 'small', rows: 10_000 },
    { name: 'large', rows: large },
    { name: 'shared', rows: large, tenants: 10 },
    { name: 'crowded', rows: large },
    { name: 'aged', rows: 10_000 },
  ];
  const contenders: Contender[] = [];
  for (const shape of shapes) {
    await fillTable(client, shape);
    if (shape.name === 'crowded') await crowd(place, shape, tenants);
    await client.query(`select m23.protect_table('bench.${shape.name}')`);
    if (shape.name === 'aged') await age(place, shape, 100);
    contenders.push(await contender(place, shape));
  }
  await interleaved(1, contenders); // warms up
  const times = await interleaved(quick ? 3 : 7, contenders);
  const name = large.toLocaleString('en');
  return {
    title: `independence: a restore of ${CHANGED.toLocaleString('en')} rows`,
    rows: [
      flat(`table of ${name} rows / table of 10,000`, times, 'large', 'small'),
      flat('ten tenants in it / one tenant', times, 'shared', 'large'),
      flat(`${tenants.toLocaleString('en')} tenants in it / one tenant`, times, 'crowded', 'large'),
      flat('log 100 times as large and older than the moment / fresh log', times, 'aged', 'small'),
    ],
  };
}

function flat(what: string, times: Times, one: string, other: string): Row {
  return { what, ratio: ratio(times[one], times[other]), goal: FLAT };
}

async function contender({ client }: Place, shape: TableShape): Promise<Contender> {
  const recovery = await Recovery.of(client, tenantOf(0), shape.name);
  let at = '';
  return {
    name: shape.name,
    prepare: async () => {
      await client.query(`vacuum bench.${shape.name}`);
      at = await recovery.moment();
      await damage(client, shape.name, scattered(shape, 0, CHANGED));
    },
    run: async () => void (await recovery.restore(at)),
  };
}

/** Gives all rows but those that will be changed to other tenants. */
async function crowd({ client }: Place, shape: TableShape, tenants: number): Promise<void> {
  await client.query(`update bench.${shape.name} set tenant_id = ('00000000-0000-4000-8000-' || lpad((1 + id % ${tenants - 1})::text, 12, '0'))::uuid
                       where not (${scattered(shape, 0, CHANGED)})`);
  await client.query(`vacuum full bench.${shape.name}`);
  await client.query(`vacuum analyze bench.${shape.name}`);
}

/** Writes as much log as so many damages do, all of it older than whatever is restored later. */
async function age({ client }: Place, shape: TableShape, times: number): Promise<void> {
  for (let n = 0; n < times; n++) await damage(client, shape.name, scattered(shape, 0, CHANGED));
  await client.query(`vacuum full bench.${shape.name}`);
  await client.query(`vacuum analyze bench.${shape.name}`);
}
