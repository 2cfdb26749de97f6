// Tables of very many columns are captured, and gone back to.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { actAsOwner, openDatabase, recover } from '../fixtures/database.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

const { client, now } = await openDatabase();

before(() => actAsOwner(client, TENANT, OWNER));

for (const columns of [450, 1200]) {
  test(`a table of ${columns} columns is captured and gone back to`, async () => {
    const table = `public.wide_${columns}`;
    const names = Array.from({ length: columns }, (_, n) => `v${n} text`).join(', ');
    await client.query(`create table ${table} (id int primary key, tenant_id uuid not null, ${names});
      select m23.protect_table('${table}');
      insert into ${table} (id, tenant_id, v0, v1) select n, '${TENANT}', 'a', 'b' from generate_series(1, 3) n`);
    const all = async (): Promise<unknown> => (await client.query(`select * from ${table} order by id`)).rows;
    const [rows, at] = [await all(), await now()];
    await client.query(`update ${table} set v0 = 'changed' where id = 1; update ${table} set id = 7 where id = 2;
      delete from ${table} where id = 3`);
    await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [`wide_${columns}`] });
    assert.deepEqual(await all(), rows);
  });
}
