// Tables of very many columns.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { actAsOwner, recover, startDatabase } from '../fixtures/database.ts';
import { databaseTime } from '../fixtures/time.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

for (const columns of [450, 1200]) {
  test(`a table of ${columns} columns is captured and gone back to`, async (t) => {
    const database = await startDatabase();
    t.after(() => database.close());
    const { client } = database;
    await actAsOwner(client, TENANT, OWNER);
    const names = Array.from({ length: columns }, (_, n) => `v${n} text`).join(', ');
    await client.query(`create table public.wide (id int primary key, tenant_id uuid not null, ${names}); select m23.protect_table('public.wide');
      insert into public.wide (id, tenant_id, v0, v1) select n, '${TENANT}', 'a', 'b' from generate_series(1, 3) n`);
    const all = async (): Promise<unknown> => (await client.query('select * from public.wide order by id')).rows;
    const [before, at] = [await all(), await databaseTime(client)];
    await client.query(
      `update public.wide set v0 = 'changed' where id = 1; update public.wide set id = 7 where id = 2; delete from public.wide where id = 3`,
    );
    await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: ['wide'] });
    assert.deepEqual(await all(), before);
  });
}
