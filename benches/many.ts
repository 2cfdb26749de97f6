import { randomUUID } from 'node:crypto';

import type pg from 'pg';

import { type Contender, interleaved, ratio, spread } from './measure.ts';
import type { Options } from './options.ts';
import { newStateFolder, openPlace, type Place, removeStateFolder } from './place.ts';
import type { Section } from './report.ts';
import { tenantOf } from './rows.ts';

/** Who is restored, and who has written everywhere. */
const TENANT = tenantOf(1);
const OTHERS = tenantOf(2);
/** The defaults otherwise: room for 64 locks a connection. */
const SETTINGS = { max_connections: '60', shared_buffers: '128MB', event_triggers: 'off' };
const LOCKS = { atMost: 500 };
const TIME = { atMost: 3 };

interface Size {
  tables: number;
  parts: number;
}

/** A dry run for two changed rows where there are many tables with a month of log, against few with a day's. */
export async function many({ quick }: Options): Promise<Section> {
  const sizes: Size[] = [{ tables: 5, parts: 1 }, quick ? { tables: 60, parts: 10 } : { tables: 300, parts: 30 }];
  const dryRuns: DryRun[] = [];
  try {
    for (const size of sizes) dryRuns.push(await DryRun.of(size));
    for (const run of dryRuns) await run.run(); // plans are made
    const times = await interleaved(
      quick ? 5 : 11,
      dryRuns.map((run) => run.contender),
    );
    const [few, large] = dryRuns as [DryRun, DryRun];
    return {
      title: 'many: a dry run for two changed rows',
      rows: [
        { what: `${large.name} / ${few.name}`, ratio: ratio(times[large.name], times[few.name]), goal: TIME },
        { what: `locks, ${large.name}`, amount: spread([await large.locks()]), unit: 'locks', goal: LOCKS },
        { what: `locks, ${few.name}`, amount: spread([await few.locks()]), unit: 'locks' },
      ],
    };
  } finally {
    for (const run of dryRuns) await run.close();
  }
}

class DryRun {
  readonly name: string;
  readonly contender: Contender;
  readonly #client: pg.Client;
  readonly #user = randomUUID();
  readonly #close: () => Promise<void>;
  #at = '';

  private constructor({ tables, parts }: Size, place: Place, stateDir: string) {
    this.name = `${tables} tables of ${parts} ${parts === 1 ? 'part' : 'parts'}`;
    this.#client = place.client;
    this.contender = { name: this.name, run: () => this.run() };
    this.#close = async () => {
      await place.close();
      removeStateFolder(stateDir);
    };
  }

  static async of(size: Size): Promise<DryRun> {
    const stateDir = newStateFolder();
    const run = new DryRun(size, await openPlace(stateDir, undefined, SETTINGS), stateDir);
    await run.#make(size);
    return run;
  }

  async close(): Promise<void> {
    await this.#close();
  }

  /** Each part of each log has something, and nothing of the tenant but for the last two rows. */
  async #make({ tables, parts }: Size): Promise<void> {
    const client = this.#client;
    await client.query(`create schema bench;
      insert into public.tenant_members values ('${TENANT}', '${this.#user}', 'owner')`);
    for (let table = 1; table <= tables; table += 1) {
      const reference = table === 1 ? '' : `references bench.t${table - 1}`;
      await client.query(`
        create table bench.t${table} (id int primary key, tenant_id uuid not null, up int ${reference}, note text);
        create index on bench.t${table} (tenant_id); select m23.protect_table('bench.t${table}');
        insert into bench.t${table}
          select n, case when n <= 10 then '${TENANT}' else '${OTHERS}' end::uuid, null, 'note' from generate_series(1, 20) n`);
    }
    await client.query('select m23.note_tick()');
    for (let table = 1; table <= tables; table += 1) {
      await client.query(`do $$
        declare v_table m23.protected_tables;
        begin
          select t.* into v_table from m23.protected_tables t where t.relid = 'bench.t${table}'::regclass;
          for n in 2..${parts} loop
            perform m23.open_log_part(v_table.id);
            execute format('insert into %s (tenant_id, op, c1) select %L, ''U'', n from generate_series(16, 20) n',
                           m23.log_part(v_table.id), '${OTHERS}');
          end loop;
          perform m23.write_capture_functions(v_table);
        end $$;
        select m23.seal_log_part(p.table_id, p.part) from m23.log_parts p where p.closed_at is not null and not p.sealed`);
      await client.query(`update bench.t${table} set note = 'open' where id > 15`);
    }
    const {
      rows: [now],
    } = await client.query<{ at: string }>('select clock_timestamp()::text as at');
    this.#at = now?.at ?? '';
    await client.query(`update bench.t2 set note = 'changed' where id = 1;
      update bench.t3 set note = 'changed' where id = 1`);
    await client.query('analyze'); // by itself: in a transaction it would hold the locks of all tables
  }

  async run(): Promise<void> {
    await this.#preview();
    await this.#client.query('rollback');
  }

  /** How many locks the transaction of a dry run holds at its end. */
  async locks(): Promise<number> {
    await this.#preview();
    const {
      rows: [held],
    } = await this.#client.query<{ count: number }>(
      'select count(*)::int as count from pg_locks where pid = pg_backend_pid()',
    );
    await this.#client.query('rollback');
    return held?.count ?? NaN;
  }

  async #preview(): Promise<void> {
    const request = randomUUID();
    await this.#client.query(`begin;
      set local request.jwt.claims = '${JSON.stringify({ sub: this.#user, role: 'authenticated' })}';
      insert into m23.requests (id, tenant_id, user_id, function)
        values ('${request}', '${TENANT}', '${this.#user}', 'pitr-restore')`);
    const {
      rows: [row],
    } = await this.#client.query<{ preview: { stats: { totalOperations: number } } }>(
      'select public.m23_preview_pitr($1, $2) as preview',
      [request, { targetTimestamp: this.#at, dryRun: true }],
    );
    if (row?.preview.stats.totalOperations !== 2) {
      throw new Error(`the dry run is not of two rows: ${JSON.stringify(row?.preview)}`);
    }
  }
}
