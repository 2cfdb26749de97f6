import type pg from 'pg';

import { spread, timed } from './measure.ts';
import type { Options } from './options.ts';
import type { Place } from './place.ts';
import type { Row, Section } from './report.ts';

const HOUR_MS = 3_600_000;
const TABLES = ['accounts', 'orders', 'notes'];
/** What a call may take, in milliseconds: an API role's statements end after eight seconds. */
const CALL = { atMost: 2_000 };

interface Calls {
  total: number;
  longest: number;
}

/** Plans of very many tenants, all due at once as after an outage, begun as the clock begins them: call after call. */
export async function fleet({ client }: Place, { quick }: Options): Promise<Section> {
  const [daily, hourly] = quick ? [1_000, 100] : [10_000, 1_000];
  await populate(client, daily, hourly);
  const crowded = await mostInAMinute(client);
  await client.query(`update public.dr_plans set next_backup_date = now() - interval '1 hour'`);
  const full = await calls(client, 'm23_begin_scheduled_backups');
  await expectJobs(client, daily + hourly);
  await complete(client);
  await client.query(`update public.dr_plans set next_backup_date = now() - interval '1 minute'
                       where backup_frequency = 'hourly'`);
  const incremental = await calls(client, 'm23_begin_scheduled_backups');
  await expectJobs(client, daily + 2 * hourly);
  const health = await calls(client, 'm23_go_rounds');
  const name = `${daily.toLocaleString('en')} daily and ${hourly.toLocaleString('en')} hourly plans`;
  const perMinute = ((daily + hourly) / full.total) * 60_000;
  return {
    title: `fleet: ${name}`,
    rows: [
      {
        what: 'all begun, full backups / an hour',
        ratio: spread([full.total / HOUR_MS]),
        goal: { atMost: 1 },
        note: `${Math.round(perMinute).toLocaleString('en')} a minute`,
      },
      {
        what: 'most that are due in one minute / begun in a minute',
        ratio: spread([crowded / perMinute]),
        goal: { atMost: 1 },
        note: `${crowded} in the fullest minute`,
      },
      longest('longest call, full backups', full),
      longest('longest call, incrementals of the hourly plans', incremental),
      longest('longest call, the health of the day', health),
      { what: 'health of all tenants / an hour', ratio: spread([health.total / HOUR_MS]) },
    ],
  };
}

function longest(what: string, { longest: amount }: Calls): Row {
  return { what, amount: spread([amount]), unit: 'ms', goal: CALL };
}

/** Tenants with a row in each of three protected tables, and a plan each. */
async function populate(client: pg.Client, daily: number, hourly: number): Promise<void> {
  await client.query(`create schema fleet; create temp table tenant as
    select gen_random_uuid() as id, n <= ${hourly} as hourly from generate_series(1, ${daily + hourly}) n`);
  for (const table of TABLES) {
    await client.query(`create table fleet.${table} (
        id bigint generated always as identity primary key, tenant_id uuid not null, title text not null);
      create index on fleet.${table} (tenant_id);
      insert into fleet.${table} (tenant_id, title) select id, 'a title' from tenant;
      select m23.protect_table('fleet.${table}')`);
  }
  await client.query(`insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency,
                                                   backup_types, test_frequency)
    select id, 'fleet', 60, case when hourly then 60 else 1440 end, case when hourly then 'hourly' else 'daily' end,
           '{full,incremental}', 'weekly' from tenant;
    analyze`);
}

/** How many plans are due in the minute of the day that has most of them. */
async function mostInAMinute(client: pg.Client): Promise<number> {
  const {
    rows: [row],
  } = await client.query<{ count: number }>(`
    select (max(daily) + max(hourly))::int as count from (
      select count(*) filter (where backup_frequency = 'daily') as daily,
             count(*) filter (where backup_frequency = 'hourly') as hourly
        from public.dr_plans group by date_trunc('minute', next_backup_date)) m`);
  return row?.count ?? 0;
}

/** Calls a function until it has nothing left to do. */
async function calls(client: pg.Client, name: string): Promise<Calls> {
  const times: number[] = [];
  for (let left = true; left; ) {
    times.push(
      await timed(async () => {
        const {
          rows: [row],
        } = await client.query<{ done: number }>(`select public.${name}() as done`);
        left = (row?.done ?? 0) > 0;
      }),
    );
  }
  return { total: times.reduce((sum, time) => sum + time, 0), longest: Math.max(...times) };
}

/** Some plans may have become due once more meanwhile. */
async function expectJobs(client: pg.Client, count: number): Promise<void> {
  const {
    rows: [row],
  } = await client.query<{ begun: number }>(
    'select count(*)::int as begun from public.backup_jobs j join m23.backup_work w on w.job_id = j.id',
  );
  if ((row?.begun ?? 0) < count) throw new Error(`${row?.begun} of ${count} backups were begun`);
}

/** Ends all that runs, as Workers would; what they write is measured elsewhere. */
async function complete(client: pg.Client): Promise<void> {
  await client.query(`alter table public.backup_jobs disable trigger follow_job;
    update public.backup_jobs set status = 'completed', started_at = clock_timestamp(), completed_at = clock_timestamp(),
           duration_seconds = 1 where status = 'pending';
    alter table public.backup_jobs enable trigger follow_job; analyze`);
}
