import type pg from 'pg';

import { type Contender, interleaved, ratio, spread } from './measure.ts';
import type { Options } from './options.ts';
import type { Place } from './place.ts';
import type { Row, Section } from './report.ts';
import { fillTable, tenantOf } from './rows.ts';

const USER = 'bbbbbbbb-0000-4000-8000-000000000001';
/** Transactions between two runs of the upkeep. */
const BETWEEN_UPKEEP = 20_000;
/** So that a log of a million rows has several parts that are closed, as that of some days has. */
const PART_BYTES = 24 * 1024 * 1024;
/** What nobody should have to wait for longer. */
const PATIENCE = { atMost: 400 };

/** A tenant with a table of its own and some rows in its log. */
interface Logged {
  tenant: string;
  table: string;
  rows: number;
  since: string;
  until: string;
}

/** Searches of the history of a tenant, with a long log against a short one. */
export async function find({ client }: Place, { quick }: Options): Promise<Section> {
  const section: Section = { title: 'find: what happened', rows: [] };
  const [few, many] = quick ? [10_000, 100_000] : [10_000, 1_000_000];
  const [short, long] = [await log(client, 70, few), await log(client, 71, many)];
  await client.query(`select set_config('request.jwt.claims', '{"role": "service_role"}', false)`);
  for (const [what, search] of Object.entries(SEARCHES)) {
    const times = await interleaved(7, [contender(client, search, short), contender(client, search, long)]);
    const [ones, others] = [times[name(long)] ?? [], times[name(short)] ?? []];
    const rows: Row[] = [
      { what: `${what}, ${name(long)}`, amount: spread(ones), unit: 'ms', goal: PATIENCE },
      { what: `${what}, ${name(short)}`, amount: spread(others), unit: 'ms' },
      { what: `${what}, the long one / the short one`, ratio: ratio(ones, others) },
    ];
    section.rows.push(...rows);
  }
  return section;
}

const name = ({ rows }: Logged): string => `${rows.toLocaleString('en')} log rows`;

type Search = (of: Logged) => [sql: string, values: unknown[]];

const SEARCHES: Record<string, Search> = {
  'ten rows by key': ({ tenant, table }) => [
    'select * from public.find_rows($1, $2, $3)',
    [tenant, table, { id: { in: [5, 17, 99, 250, 333, 421, 480, 512, 777, 901] } }],
  ],
  "a row's history": ({ tenant, table }) => [
    'select * from public.get_row_history($1, $2, $3)',
    [tenant, table, { id: 421 }],
  ],
  'the twenty largest transactions': ({ tenant, since, until }) => [
    `select * from public.get_transactions($1, $2, $3, 'rows', p_limit => 20)`,
    [tenant, since, until],
  ],
  'the newest hundred transactions': ({ tenant }) => ['select * from public.get_transactions($1)', [tenant]],
  'a histogram of 60 buckets': ({ tenant, since }) => [
    `select * from public.get_change_histogram($1, $2::timestamptz - interval '1 hour', $2::timestamptz + interval '1 hour', 60)`,
    [tenant, since],
  ],
};

function contender(client: pg.Client, search: Search, of: Logged): Contender {
  const [sql, values] = search(of);
  return {
    name: name(of),
    run: async () => {
      const { rowCount } = await client.query(sql, values);
      if (rowCount === 0) throw new Error(`nothing was found: ${sql}`);
    },
  };
}

/** Fills a tenant's log by updates of five rows, and of many now and then, with the upkeep that runs meanwhile. */
async function log(client: pg.Client, number: number, rows: number): Promise<Logged> {
  const [tenant, table, size] = [tenantOf(number), `bench.found_${number}`, Math.max(3000, rows / 50)];
  await fillTable(client, { name: `found_${number}`, rows: size });
  await client.query(`update ${table} set tenant_id = '${tenant}'`);
  await client.query(`select m23.protect_table('${table}')`);
  await client.query(`update m23.settings set value = '${PART_BYTES}' where name = 'log_part_bytes'`);
  await client.query(`select set_config('request.jwt.claims', '{"sub": "${USER}", "role": "authenticated"}', false)`);
  const since = await now(client);
  const transactions = rows / 10;
  for (let done = 0; done < transactions; done += BETWEEN_UPKEEP) {
    await client.query(`do $$ begin
      for n in ${done + 1}..${Math.min(done + BETWEEN_UPKEEP, transactions)} loop
        update ${table} set price = n % 100, quantity = n where id between n * 37 % ${size - 5} and n * 37 % ${size - 5} + 4;
        if n % 200 = 0 then
          update ${table} set active = not active where id between n % (${size} - 1000) + 1 and n % (${size} - 1000) + 1000;
        end if;
        commit;
      end loop; end $$`);
    await client.query('select m23.note_tick()');
    for (const step of ['prune_logs', 'prune_logs', 'sweep_summaries']) await client.query(`select m23.${step}()`);
  }
  await client.query('analyze');
  return { tenant, table, rows, since, until: await now(client) };
}

async function now(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ at: string }>('select m23.iso(clock_timestamp()) as at');
  return rows[0]!.at;
}
