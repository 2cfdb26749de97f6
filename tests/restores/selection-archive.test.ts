// Choosing rows over HTTP, where they come from an archive, from a chain with a moment in it, or from the log.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { rowTexts } from '../fixtures/database.ts';
import { backUp, call, ok, refusal, restore, restored } from '../fixtures/functions.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';

const { stack, client, now } = await openStack();

before(async () => {
  await client.query(`
    create table public.parcels (id int primary key, tenant_id uuid not null, state text);
    create table public.stamps (id int primary key, tenant_id uuid not null, parcel int references public.parcels on delete cascade);
    select m23.protect_table('public.parcels'); select m23.protect_table('public.stamps')`);
});

let first = 0;

/** Parcels 1 to 6 with a stamp each, numbered from a base; then 1 and 2 deleted, 3 changed, 7 new. */
async function damaged(
  kind: 'full' | 'snapshot' = 'full',
): Promise<{ tenant: Tenant; backup: string; at: string; id: (n: number) => number }> {
  first += 100;
  const base = first;
  const tenant = await newTenant(stack, client);
  await client.query(
    `insert into parcels select ${base} + n, '${tenant.id}', 'sent' from generate_series(1, 6) n;
     insert into stamps select ${base} + n, '${tenant.id}', ${base} + n from generate_series(1, 6) n`,
  );
  const backup = await backUp(stack, client, tenant, { jobType: kind, tables: ['parcels', 'stamps'] });
  const at = await now();
  await client.query(
    `delete from parcels where id in (${base + 1}, ${base + 2}); update parcels set state = 'lost' where id = ${base + 3};
     insert into parcels values (${base + 7}, '${tenant.id}', 'new')`,
  );
  return { tenant, backup, at, id: (n) => base + n };
}

/** The tenant's parcels and stamps, without the base. */
async function states({ tenant, id }: { tenant: Tenant; id: (n: number) => number }): Promise<string[]> {
  return await rowTexts(
    client,
    `select 'p', id - ${id(0)} as id, state from parcels where tenant_id = '${tenant.id}' and (id < ${id(4)} or id > ${id(6)})
     union all select 's', id - ${id(0)}, null from stamps where tenant_id = '${tenant.id}' and id < ${id(3)}`,
  );
}

describe('from an archive', () => {
  for (const kind of ['full', 'snapshot'] as const) {
    test(`rows, values, operations and related rows (${kind})`, async () => {
      const made = await damaged(kind);
      const { tenant, backup, id } = made;
      const rows = { parcels: [{ id: id(1) }, { id: id(3) }] };
      await restored(stack, tenant, backup, { rows, withRelated: 'children', operations: ['delete'] });
      assert.deepEqual(await states(made), ['(p,1,sent)', '(p,3,lost)', '(p,7,new)', '(s,1,)']);
      await restored(stack, tenant, backup, { where: { parcels: { state: 'new' } } });
      assert.deepEqual(await states(made), ['(p,1,sent)', '(p,3,lost)', '(s,1,)']);
      await restored(stack, tenant, backup, { rows: { stamps: [{ id: id(2) }] }, withRelated: 'parents' });
      assert.deepEqual(await states(made), ['(p,1,sent)', '(p,2,sent)', '(p,3,lost)', '(s,1,)', '(s,2,)']);
      await restored(stack, tenant, backup, { mode: 'overwrite_existing' });
      assert.deepEqual(await states(made), ['(p,1,sent)', '(p,2,sent)', '(p,3,sent)', '(s,1,)', '(s,2,)']);
    });
  }

  test('a key that neither the archive nor the tenant has is refused', async () => {
    const { tenant, backup, id } = await damaged();
    const reply = await restore(stack, tenant, backup, { rows: { parcels: [{ id: id(1) }, { id: id(99) }] } });
    assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
    assert.deepEqual(reply.body.details, ['rows.parcels[1]: is no key of a row of this tenant']);
  });

  test('a copy beside holds what was chosen', async () => {
    const { tenant, backup, id } = await damaged();
    await restored(stack, tenant, backup, {
      rows: { parcels: [{ id: id(1) }, { id: id(5) }] },
      targetSchema: 'chosen',
    });
    assert.deepEqual(await rowTexts(client, 'select id, state from chosen.parcels'), [
      `(${id(1)},sent)`,
      `(${id(5)},sent)`,
    ]);
  });
});

describe('to a moment, over HTTP', () => {
  test('with a dry run, its plan hash and the pages', async () => {
    const made = await damaged();
    const { tenant, at, id } = made;
    const choice = { targetTimestamp: at, rows: { parcels: [{ id: id(2) }] }, withRelated: 'children' };
    const seen = ok(await call(stack, 'pitr-restore', await tenant.token('operator'), { ...choice, dryRun: true }));
    const changes = seen['previewChanges'] as Record<string, { because: unknown }[]>;
    assert.deepEqual(
      changes['parcels']?.map(({ because }) => because),
      ['chosen'],
    );
    assert.deepEqual(
      changes['stamps']?.map(({ because }) => because),
      [{ childOf: { table: 'parcels', key: { id: id(2) } } }],
    );
    const token = await tenant.token('owner');
    const other = { ...choice, withRelated: null, confirmRestore: true, planHash: seen['planHash'] };
    assert.deepEqual(refusal(await call(stack, 'pitr-restore', token, other)), [409, 'PLAN_CHANGED']);
    ok(await call(stack, 'pitr-restore', token, { ...choice, confirmRestore: true, planHash: seen['planHash'] }));
    assert.deepEqual(await states(made), ['(p,2,sent)', '(p,3,lost)', '(p,7,new)', '(s,2,)']);
  });

  test('inside a chain', async () => {
    const made = await damaged();
    const { tenant, backup, at, id } = made;
    await backUp(stack, client, tenant, { jobType: 'incremental', baseBackupId: backup });
    const reply = await call(stack, 'pitr-restore', await tenant.token('owner'), {
      targetTimestamp: at,
      baseBackupId: backup,
      rows: { parcels: [{ id: id(1) }] },
      withRelated: 'children',
      confirmRestore: true,
    });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    assert.deepEqual(await states(made), ['(p,1,sent)', '(p,3,lost)', '(p,7,new)', '(s,1,)']);
  });
});
