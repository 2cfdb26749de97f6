import type pg from 'pg';

import { startStack } from '../stack/stack.ts';
import { backUp } from '../tests/fixtures/functions.ts';
import { newTenant } from '../tests/fixtures/tenants.ts';
import { bulkCosts } from './capture/bulk.ts';
import type { Costs, Extent } from './capture/costs.ts';
import { singleCosts } from './capture/single.ts';
import { OPERATIONS, type Operation, tableOf } from './capture/statements.ts';
import { interleaved, ratio } from './measure.ts';
import type { Options } from './options.ts';
import { newStateFolder, type Place, removeStateFolder } from './place.ts';
import type { Goal, Row, Section } from './report.ts';
import { createTable, tenantOf, values } from './rows.ts';

/** How tables of one shape and one foreign key find their tenants: by a column, or through one parent or two. */
const WAYS = ['direct', 'one', 'two'] as const;
const PARENTS = 1_000;
const STANDING = 10_000;
const HOPS: readonly { way: 'one' | 'two'; name: string; goal: Goal }[] = [
  { way: 'one', name: 'one hop', goal: { atMost: 1.3 } },
  { way: 'two', name: 'two hops', goal: { atMost: 1.6 } },
];

/** What a path costs, compared with a tenant column of the table's own. */
export async function paths(place: Place, { quick }: Options): Promise<Section> {
  const count = quick ? 20_000 : 50_000;
  const extent: Extent = { repetitions: quick ? 3 : 5, blocks: quick ? 10 : 20 };
  await createTables(place.client, tenantOf(0));
  await createSources(place.client, tenantOf(0), count);
  const ofBulk = await bulkCosts(place, WAYS, quick ? 3 : 7, sourceOf);
  for (const way of WAYS) {
    await place.client.query(`insert into ${tableOf(way)} select * from bench.${sourceOf(way)} limit ${STANDING}`);
  }
  const ofSingle = await singleCosts(place, WAYS, extent);
  const rows = [
    ...captureRows(`${count.toLocaleString('en')} rows`, ofBulk),
    ...captureRows('single row', ofSingle),
    ...(await backupRows(count, quick ? 3 : 7)),
  ];
  return { title: 'paths: compared with a tenant column', rows };
}

function captureRows(what: string, costs: Record<Operation, Costs>): Row[] {
  return OPERATIONS.flatMap((operation) =>
    HOPS.map(
      ({ way, name, goal }): Row => ({
        what: `${operation}, ${what}: ${name} / column`,
        ratio: ratio(costs[operation][way], costs[operation]['direct']),
        goal,
      }),
    ),
  );
}

/** Full backups of as many rows, over HTTP. */
async function backupRows(count: number, repetitions: number): Promise<Row[]> {
  const stateDir = newStateFolder();
  const stack = await startStack({ stateDir, ephemeral: true, rateLimits: { 'backup-create': 1_000 } });
  const client = await stack.postgres.connect();
  try {
    const tenant = await newTenant(stack, client);
    await createTables(client, tenant.id);
    await createSources(client, tenant.id, count);
    for (const way of WAYS) {
      await client.query(`insert into ${tableOf(way)} select * from bench.${sourceOf(way)}`);
      await client.query(`vacuum analyze ${tableOf(way)}`);
    }
    const body = (way: string): Record<string, unknown> => ({ jobType: 'full', tables: [tableOf(way)] });
    const contenders = WAYS.map((way) => ({
      name: way,
      run: async () => void (await backUp(stack, client, tenant, body(way))),
    }));
    await interleaved(1, contenders); // warms up
    const times = await interleaved(repetitions, contenders);
    return HOPS.map(({ way, name }) => ({
      what: `full backup of ${count.toLocaleString('en')} rows: ${name} / column`,
      ratio: ratio(times[way], times['direct']),
      goal: { atMost: 1.3 },
    }));
  } finally {
    await client.end();
    await stack.close();
    removeStateFolder(stateDir);
  }
}

/** The column `tenant_id` names the tenant, or a parent: in all tables it refers to one, and is indexed. */
async function createTables(client: pg.Client, tenant: string): Promise<void> {
  for (const way of WAYS) await createTable(client, `captured_${way}`);
  await client.query(`
    create table bench.parents (id uuid primary key, tenant_id uuid not null);
    create table bench.between (id uuid primary key, parent_id uuid not null references bench.parents);
    create index on bench.parents (tenant_id);
    create index on bench.between (parent_id);
    insert into bench.parents select ${parent('n')}, '${tenant}' from generate_series(0, ${PARENTS} - 1) n;
    insert into bench.between select id, id from bench.parents;
    insert into bench.parents values ('${tenant}', '${tenant}') on conflict do nothing;
    insert into bench.between values ('${tenant}', '${tenant}') on conflict do nothing;
    alter table ${tableOf('direct')} add foreign key (tenant_id) references bench.parents;
    alter table ${tableOf('one')} add foreign key (tenant_id) references bench.parents;
    alter table ${tableOf('two')} add foreign key (tenant_id) references bench.between;
    analyze bench.parents; analyze bench.between`);
  await client.query(`select m23.protect_table('bench.parents'), m23.protect_table('${tableOf('direct')}')`);
  await client.query(`select m23.protect_table('bench.between', via => 'parent_id')`);
  for (const { way } of HOPS) await client.query(`select m23.protect_table('${tableOf(way)}', via => 'tenant_id')`);
}

async function createSources(client: pg.Client, tenant: string, count: number): Promise<void> {
  for (const [source, owner] of [
    ['source_direct', `'${tenant}'::uuid`],
    ['source_path', parent(`n % ${PARENTS}`)],
  ]) {
    await client.query(`create unlogged table bench.${source} (like ${tableOf('direct')});
      insert into bench.${source} select ${values(owner ?? '')} from generate_series(1, ${count}) n;
      analyze bench.${source}`);
  }
}

const sourceOf = (way: string): string => (way === 'direct' ? 'source_direct' : 'source_path');

/** The key of the parent with a number. */
function parent(number: string): string {
  return `('00000000-0000-4000-8000-' || lpad((${number})::text, 12, '0'))::uuid`;
}
