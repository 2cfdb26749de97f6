// The SQL that M23 writes for a table, as it runs: golden files in supabase/generated, one folder a sample table, for a
// reviewer to read.
// `M23_WRITE_GOLDEN=1 cargo xtask test typescript --only generated-sql` writes them anew.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';

import { ROOT } from '../../stack/places.ts';
import { openDatabase } from '../fixtures/database.ts';

const FOLDER = join(ROOT, 'supabase', 'generated');
const TENANT = '11111111-1111-4111-8111-111111111111';

/** The sample tables: how each is made, by the name of its folder. */
const SAMPLES: Record<string, { name: string; sql: string; protect?: string }> = {
  plain: {
    name: 'public.tasks',
    sql: `create table public.projects (id int primary key, tenant_id uuid not null);
      create table public.tasks (id int primary key, tenant_id uuid not null,
        project_id int references public.projects on delete set null,
        "Title" text not null, body text, labels text[], done boolean not null)`,
  },
  composite: {
    name: 'public.order_lines',
    sql: `create table public.order_lines (tenant_id uuid not null, order_no bigint, line int, sku varchar(20) not null,
        price numeric(10, 2), primary key (tenant_id, order_no, line), unique (tenant_id, sku))`,
  },
  partitioned: {
    name: 'public.events',
    sql: `create table public.events (tenant_id uuid not null, id bigint, at date not null, body jsonb,
        primary key (id, at)) partition by range (at);
      create table public.events_old partition of public.events for values from (minvalue) to ('2026-01-01');
      create table public.events_new partition of public.events for values from ('2026-01-01') to (maxvalue)`,
  },
  path_of_one_hop: {
    name: 'public.comments',
    sql: `create table public.comments (id int primary key, task_id int not null references public.tasks on delete cascade,
        body text)`,
    protect: `select m23.protect_table('public.comments', via => 'task_id')`,
  },
  path_of_two_hops: {
    name: 'public.reactions',
    sql: `create table public.reactions (comment_id int, emoji text, primary key (comment_id, emoji))`,
    protect: `select m23.protect_table('public.reactions', via => 'comment_id -> public.comments')`,
  },
  odd_names: {
    name: `public."ta{b}le $1 %s"`,
    sql: `create table public."ta{b}le $1 %s" ("tenant_id" uuid not null, "i d" int primary key, "co""st$2" numeric,
        "it's {value}" text default 'costs $2', "select" timestamptz)`,
  },
};

const { client } = await openDatabase();

before(async () => {
  for (const { name, sql, protect } of Object.values(SAMPLES)) {
    await client.query(sql);
    await client.query(protect ?? `select m23.protect_table('${name.replaceAll("'", "''")}')`);
  }
});

/** What is generated for a table, by the name of its file. `t` is the table's row of m23.protected_tables. */
const FILES: Record<string, string> = {
  ...Object.fromEntries(
    ['insert', 'update', 'delete', 'row', 'leaving', 'layout'].map((name) => [
      `capture_${name}`,
      `(select p.prosrc from pg_proc p where p.oid::regproc::text = 'm23_log.${name}_' || t.id)`,
    ]),
  ),
  as_of: `m23.statement(t, 'as_of', 'log', log)`,
  as_of_page: `m23.statement(t, 'as_of_page', 'log', log, 'limit', '100')`,
  plan_moment: `m23.plan_statement(m23.logged_target(t, at), '${TENANT}', false)`,
  plan_moment_locking: `m23.plan_statement(m23.logged_target(t, at), '${TENANT}', true)`,
  plan_staged: `m23.plan_statement(m23.new_target(t, p_wanted => 'select * from m23_staging.rows',
    p_columns => m23.stored_columns(t.relid), p_kept => '{}'), '${TENANT}', true)`,
  page_live: `m23.part_query(whole, false, t, 100, true, log)`,
  page_whole: `m23.part_query(whole, false, t, 100, false, log)`,
  page_changed: `m23.part_query(changed, false, t, 100, false, log)`,
  page_history: `m23.part_query(changed, true, t, 100, false, log)`,
  key_ahead: `m23.statement(t, 'key_ahead', 'limit', '1', 'skipped', '99')`,
  staging: `m23.staging_statement(staged, t, null)`,
};

/** Numbers that are another in each database stand as words. */
function steady(sql: string): string {
  return `${sql
    .replace(/'\d{5,}'/g, `'OID'`)
    .replace(/\b\d{5}\b(?=::oid|\))/g, 'OID')
    .replace(/layout [0-9a-f]{32}/, 'layout HASH')
    .trim()}\n`;
}

async function generated(name: string, what: string): Promise<string> {
  const { rows } = await client.query<{ sql: string }>(
    `select (${what}) as sql
       from m23.protected_tables t, lateral (select
         m23.log_of(t.id, '${TENANT}', '1000') as log, m23.moment_of('1000:1000:') as at,
         jsonb_populate_record(null::m23.backup_tables, '{"whole": true}') as whole,
         jsonb_populate_record(null::m23.backup_tables, '{"whole": false}') as changed,
         jsonb_populate_record(null::m23.staged_tables, jsonb_build_object('staging', 'm23_staging.rows',
           'fields', m23.stored_columns(t.relid), 'columns', m23.stored_columns(t.relid),
           'types', array(select f ->> 'type' from jsonb_array_elements(m23.shape_of(t.relid)) f))) as staged) x
      where t.relid = $1::regclass`,
    [name],
  );
  return steady(rows[0]?.sql ?? '');
}

for (const [sample, { name }] of Object.entries(SAMPLES)) {
  for (const [file, what] of Object.entries(FILES)) {
    test(`${sample}/${file}.sql is what runs`, async () => {
      const path = join(FOLDER, sample, `${file}.sql`);
      const actual = await generated(name, what);
      assert.notEqual(actual, '\n');
      if (process.env['M23_WRITE_GOLDEN'] !== undefined) {
        mkdirSync(join(FOLDER, sample), { recursive: true });
        writeFileSync(path, actual);
      }
      assert.equal(actual, readFileSync(path, 'utf8'));
    });
  }
}
