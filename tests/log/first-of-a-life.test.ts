// The first sessions of a database's life.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startDatabase } from '../fixtures/database.ts';

test('two sessions that are the first to protect a table note one life of the database', async (t) => {
  const { postgres, client, close } = await startDatabase();
  t.after(close);
  const other = await postgres.connect();
  t.after(() => other.end());
  await other.query('set client_min_messages = error');
  await client.query(
    `create table public.one (id int primary key, tenant_id uuid);
     create table public.two (id int primary key, tenant_id uuid)`,
  );
  await client.query(`begin; select m23.protect_table('public.one')`);
  const second = other.query(`begin; select m23.protect_table('public.two'); commit`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await client.query('commit');
  await second;
  const { rows } = await client.query('select incarnation from m23.protected_tables group by 1');
  assert.equal(rows.length, 1);
  for (const table of ['one', 'two'])
    await client.query(`select m23.as_of(null::public.${table}, gen_random_uuid()::text, m23.current_position())`);
});
