import type pg from 'pg';

import { type Contender, interleaved, ratio } from './measure.ts';
import type { Options } from './options.ts';
import type { Place } from './place.ts';
import { Recovery } from './recovery.ts';
import type { Section } from './report.ts';
import { tenantOf } from './rows.ts';

/** Parents of the tenants that stay as they are, each with a child. */
const STANDING = 200_000;
/** Ten times as many rows should take ten times as long, less what every restore costs. */
const LINEAR = { atMost: 15 };

/** What has happened to the parents and children from 1 to `count` of a tenant. */
interface Way {
  name: string;
  tenant: number;
  there: boolean;
  change: (client: pg.Client, count: number) => Promise<void>;
}

const WAYS: readonly Way[] = [
  { name: 'deleted', tenant: 2, there: true, change: (client) => remove(client, 2) },
  { name: 'new', tenant: 3, there: false, change: (client, count) => fill(client, 3, count) },
  {
    name: "deleted, and half of the parents' keys taken by another tenant",
    tenant: 4,
    there: true,
    change: async (client, count) => {
      await remove(client, 4);
      await client.query(
        `insert into bench.parent select ${idOf(4)}, '${tenantOf(5)}', 'taken' from generate_series(1, $1, 2) n`,
        [count],
      );
    },
  },
];

/** Restores of parents and their children, many against few: the time should grow with the rows. */
export async function references(place: Place, { quick }: Options): Promise<Section> {
  const { client } = place;
  await client.query(`create schema if not exists bench;
    create table bench.parent (id bigint primary key, tenant_id uuid not null, v text not null);
    create table bench.child (id bigint primary key, tenant_id uuid not null, parent bigint not null references bench.parent on delete cascade, v text not null);
    create index on bench.parent (tenant_id); create index on bench.child (tenant_id); create index on bench.child (parent);
    select m23.protect_table('bench.parent'), m23.protect_table('bench.child')`);
  await fill(client, 1, STANDING);
  const [few, many] = quick ? [1_000, 10_000] : [5_000, 50_000];
  const section: Section = { title: 'references: parents and their children restored', rows: [] };
  for (const way of WAYS) {
    const times = await interleaved(3, [
      await contender(client, way, few, 'few'),
      await contender(client, way, many, 'many'),
    ]);
    section.rows.push({
      what: `${way.name}: ${many.toLocaleString('en')} of each / ${few.toLocaleString('en')}`,
      ratio: ratio(times['many'], times['few']),
      goal: LINEAR,
    });
  }
  return section;
}

async function contender(client: pg.Client, way: Way, count: number, name: string): Promise<Contender> {
  const recovery = await Recovery.of(client, tenantOf(way.tenant), 'parent', 'child');
  let at = '';
  return {
    name,
    prepare: async () => {
      await remove(client, way.tenant, 5);
      if (way.there) await fill(client, way.tenant, count);
      await client.query('vacuum analyze bench.parent');
      await client.query('vacuum analyze bench.child');
      at = await recovery.moment();
      await way.change(client, count);
    },
    run: async () => void (await recovery.restore(at)),
  };
}

/** The key for a number `n` of a tenant. */
function idOf(tenant: number): string {
  return `${tenant * 1_000_000} + n`;
}

async function fill(client: pg.Client, tenant: number, count: number): Promise<void> {
  for (const [table, columns] of [
    ['parent', `${idOf(tenant)}, '${tenantOf(tenant)}'`],
    ['child', `${idOf(tenant)}, '${tenantOf(tenant)}', ${idOf(tenant)}`],
  ] as const) {
    await client.query(`insert into bench.${table} select ${columns}, 'v' from generate_series(1, $1::bigint) n`, [
      count,
    ]);
  }
}

async function remove(client: pg.Client, ...tenants: number[]): Promise<void> {
  await client.query('delete from bench.parent where tenant_id = any ($1)', [tenants.map(tenantOf)]);
}
