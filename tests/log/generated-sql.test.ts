// The SQL that M23 writes for a table, as it runs: golden files in tests/generated, for a reviewer to read.
// `M23_WRITE_GOLDEN=1 cargo xtask test typescript --only generated-sql` writes them anew.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';

import { ROOT } from '../../stack/places.ts';
import { openDatabase } from '../fixtures/database.ts';

const FOLDER = join(ROOT, 'tests', 'generated');
const SAMPLE = `
  create table public.projects (id int primary key, tenant_id uuid not null);
  create table public.tasks (id int primary key, tenant_id uuid not null, project_id int references public.projects on delete set null,
    "Title" text not null, body text, labels text[], done boolean not null);
  select m23.protect_table('public.tasks')`;
const TABLE = `(select t from m23.protected_tables t where t.relid = 'public.tasks'::regclass)`;
const FUNCTION = (name: string): string =>
  `(select p.prosrc from pg_proc p where p.oid::regproc::text = 'm23_log.${name}_' || (${TABLE}).id)`;

const { client } = await openDatabase();

before(async () => {
  await client.query(SAMPLE);
});

/** Numbers that are another in each database stand as words. */
function steady(sql: string): string {
  return `${sql
    .replace(/'\d{5,}'/g, `'OID'`)
    .replace(/\b\d{5}\b(?=::oid|\))/g, 'OID')
    .replace(/layout [0-9a-f]{32}/, 'layout HASH')
    .trim()}\n`;
}

for (const [file, sql] of Object.entries({
  capture_insert: FUNCTION('insert'),
  capture_update: FUNCTION('update'),
  capture_delete: FUNCTION('delete'),
  capture_row: FUNCTION('row'),
  capture_layout: FUNCTION('layout'),
  as_of: `m23.as_of_query(${TABLE}, m23.log_of((${TABLE}).id, '11111111-1111-4111-8111-111111111111', '1000'))`,
})) {
  test(`${file}.sql is what runs`, async () => {
    const {
      rows: [generated],
    } = await client.query<{ sql: string }>(`select (${sql}) as sql`);
    const path = join(FOLDER, `${file}.sql`);
    const actual = steady(generated?.sql ?? '');
    if (process.env['M23_WRITE_GOLDEN'] !== undefined) writeFileSync(path, actual);
    assert.equal(actual, readFileSync(path, 'utf8'));
  });
}
