import type { Options } from './options.ts';
import { type Contender, addedRatio, interleaved, quantile, ratio, timed } from './measure.ts';
import type { Place } from './place.ts';
import type { Row, Section } from './report.ts';
import { createTable, tenantOf, values } from './rows.ts';

type Operation = 'insert' | 'update' | 'delete';
const OPERATIONS: readonly Operation[] = ['insert', 'update', 'delete'];

const SINGLE_BLOCK = 300;

/** Milliseconds of each repetition, by operation and table. */
type Measured = Record<Operation, Record<string, number[]>>;

/** What capture adds to statements: none, M23's and E-Maj's on tables of one shape. */
export async function capture(place: Place, { quick }: Options): Promise<Section> {
  const { client, emaj } = place;
  const tables = ['plain', 'm23', ...(emaj === undefined ? [] : ['emaj'])];
  for (const table of tables) await createTable(client, `captured_${table}`);
  await client.query(`select m23.protect_table('bench.captured_m23')`);
  await emaj?.protect('captured_emaj');

  const count = quick ? 20_000 : 100_000;
  await client.query(`create unlogged table bench.source (like bench.captured_plain);
    insert into bench.source select ${values(`'${tenantOf(0)}'::uuid`)} from generate_series(1, ${count}) n;
    analyze bench.source`);
  const bulk = await measureBulk(place, tables, quick ? 3 : 5);
  const single = await measureSingle(place, tables, quick ? 5 : 10);
  const rows = OPERATIONS.flatMap((operation) => rowsOf(`${operation}, ${count.toLocaleString('en')} rows`, bulk[operation], 0.5));
  return { title: 'capture: what it costs the writer', rows: [...rows, ...OPERATIONS.flatMap((operation) => rowsOf(`${operation}, single row, 1 client`, single[operation], 1))] };
}

function rowsOf(what: string, { plain, m23, emaj }: Record<string, number[]>, goal: number): Row[] {
  return [
    { what: `${what}: M23 / uncaptured`, ratio: ratio(m23, plain) },
    { what: `${what}: E-Maj / uncaptured`, ratio: ratio(emaj, plain), note: emaj === undefined ? 'no peer' : '' },
    { what: `${what}: added by M23 / added by E-Maj`, ratio: addedRatio(m23, emaj, plain), goal: { atMost: goal } },
  ];
}

function nothing(tables: readonly string[]): Measured {
  const empty = (): Record<string, number[]> => Object.fromEntries(tables.map((table) => [table, []]));
  return { insert: empty(), update: empty(), delete: empty() };
}

async function measureBulk({ client }: Place, tables: readonly string[], repetitions: number): Promise<Measured> {
  const measured = nothing(tables);
  const statements = (table: string): Record<Operation, string> => ({
    insert: `insert into bench.captured_${table} select * from bench.source`,
    update: `update bench.captured_${table} set price = price + 1, quantity = quantity + 1, updated_at = clock_timestamp()`,
    delete: `delete from bench.captured_${table}`,
  });
  const contenders = tables.map((table): Contender => ({
    name: table,
    prepare: async () => void await client.query(`vacuum bench.captured_${table}`),
    run: async () => {
      for (const operation of OPERATIONS) measured[operation][table]?.push(await timed(() => client.query(statements(table)[operation])));
    },
  }));
  await interleaved(1, contenders);  // warms up
  for (const operation of OPERATIONS) for (const table of tables) measured[operation][table] = [];
  await interleaved(repetitions, contenders);
  return measured;
}

/**
 * Prepared statements of one client, each a transaction of its own; the tables take turns statement
 * by statement. A repetition is the median of a block.
 */
async function measureSingle({ client }: Place, tables: readonly string[], blocks: number): Promise<Measured> {
  const measured = nothing(tables);
  for (const table of tables) {
    await client.query(`insert into bench.captured_${table} select * from bench.source limit 10000`);
    await client.query(`vacuum analyze bench.captured_${table}`);
  }
  let id = 1_000_000;
  for (let block = 0; block <= blocks; block++) {
    const latencies = nothing(tables);
    for (let n = 0; n < SINGLE_BLOCK; n++) {
      id++;
      for (const operation of OPERATIONS) {
        for (const table of n % 2 === 0 ? tables : tables.toReversed()) {
          const statement = { name: `${operation}_${table}`, text: single(operation, table), values: [id] };
          latencies[operation][table]?.push(await timed(() => client.query(statement)));
        }
      }
    }
    if (block === 0) continue;  // warms up
    for (const operation of OPERATIONS) for (const table of tables) measured[operation][table]?.push(quantile(latencies[operation][table] ?? [], 0.5));
  }
  return measured;
}

function single(operation: Operation, table: string): string {
  switch (operation) {
    case 'insert': return `insert into bench.captured_${table} values ($1, '${tenantOf(0)}', 'Item', 'A body of some length', 12.5, 3, true, '{all,n1}', '{"rank": 1}', clock_timestamp())`;
    case 'update': return `update bench.captured_${table} set quantity = quantity + 1, updated_at = clock_timestamp() where id = $1`;
    case 'delete': return `delete from bench.captured_${table} where id = $1`;
  }
}
