// Settings of a database that change what text means, all that pg_dump sets for itself and more: whatever they are, rows
// come back by every way as they were.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { backUp, call, ok, restored } from '../fixtures/functions.ts';
import { kindsOf, recoveryTest, resultsOf } from '../fixtures/recovery.ts';
import { renewApiSessions } from '../fixtures/sessions.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { databaseTime } from '../fixtures/time.ts';

const SETTINGS: [name: string, value: string][] = [
  ['standard_conforming_strings', 'off'],
  ['xmloption', 'document'],
  ['array_nulls', 'off'],
  ['quote_all_identifiers', 'on'], // for the writer alone: PostgREST itself finds no function of bytea under it
  ['transform_null_equals', 'on'],
  ['restrict_nonsystem_relation_kind', `'view, foreign-table'`],
  ['intervalstyle', 'sql_standard'],
  ['datestyle', `'SQL, DMY'`],
  ['timezone', `'Asia/Kathmandu'`],
  ['extra_float_digits', '-5'],
  ['bytea_output', 'escape'],
  ['default_transaction_isolation', `'repeatable read'`],
  ['search_path', 'nowhere'],
];

let tenant: Tenant;

const { stack, client } = await openStack();

before(async () => {
  tenant = await newTenant(stack, client);
  await client.query(`create schema app; create type app."The Mood" as enum ('ok', 'b\\ad');
    create type app.spot as (d date, f float8, m app."The Mood", x text[])`);
});

/** Changes a setting of the database; nobody has a session from before. */
async function alter(change: string): Promise<void> {
  await client.query(`alter database postgres ${change}`);
  await renewApiSessions(stack, client);
}

const images = async (): Promise<unknown[]> => (await client.query('select r::text from app.t r order by id')).rows;

describe('rows come back by every way under', () => {
  for (const [name, value] of SETTINGS) {
    test(`${name} = ${value}`, async () => {
      await client.query(`drop table if exists app.t; create table app.t (id int primary key, tenant_id uuid not null, t text, i interval, x xml,
        a text[], f float8, z timestamptz, b bytea, j json, y money, n int, m app."The Mood", p app.spot); select m23.protect_table('app.t')`);
      if (name !== 'quote_all_identifiers') await alter(`set ${name} = ${value}`);
      const app = await stack.postgres.connect(); // writes under the setting
      await app.query(`set ${name} = ${value}`);
      try {
        await app.query(`insert into app.t values
          (1, '${tenant.id}', E'a\\\\b\\\\N\\\\.', interval '-1 year -2 mons +3 days -04:05:06', '<a>1</a>', array['x', null, 'NULL'], 0.1::float8 + 0.2,
           '2026-03-29 01:30:00.123456+00', decode('00ff5c', 'hex'), '{"a": "b"}', 12.34, 1, E'b\\\\ad', row(date '2026-04-03', 0.1::float8 + 0.2, 'ok', array[null, 'NULL'])),
          (2, '${tenant.id}', E'tab\\t\\n', '1 mon -1 day', xmlparse(content 'text &amp; <b/>'), '{}', -0.0, '-infinity', decode('', 'hex'), 'null', -0.01, null, null, null)`);
        const wanted = await images();
        const at = await databaseTime(client);
        const backup = await backUp(stack, client, tenant, { jobType: 'full', tables: ['app.t'] });
        await app.query(
          `update app.t set t = 'z', i = '1 day', a = '{}', f = 1, x = null, z = now(), n = null, m = 'ok', p = null where id = 1; delete from app.t where id = 2`,
        );
        const body = { targetTimestamp: at, tables: ['app.t'] };
        const seen = ok(await call(stack, 'pitr-restore', await tenant.token('admin'), { ...body, dryRun: true }));
        assert.equal((seen['stats'] as { totalOperations: number }).totalOperations, 2);
        ok(await call(stack, 'pitr-restore', await tenant.token('admin'), { ...body, confirmRestore: true }));
        assert.deepEqual(await images(), wanted, 'from the log');
        await app.query('delete from app.t');
        await restored(stack, tenant, backup);
        assert.deepEqual(await images(), wanted, 'from the archive');
        assert.deepEqual(
          kindsOf(resultsOf(await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup }))),
          [],
        );
        const { rows } = await client.query(
          `select m23.capture_fault(t) as fault from m23.protected_tables t where t.relid = 'app.t'::regclass`,
        );
        assert.deepEqual(rows, [{ fault: null }]);
      } finally {
        await app.end();
        if (name !== 'quote_all_identifiers') await alter(`reset ${name}`);
      }
    });
  }
});
