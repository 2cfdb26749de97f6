// Taking changes back over HTTP: look, undo, undo the undo, and what is refused.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { type Body, call, ok, type Reply, refusal } from '../fixtures/functions.ts';
import { placesOf, placesOfOthers, rowsOf } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import type { Tenant } from '../fixtures/tenants.ts';
import { type Conflict, transaction } from '../fixtures/undo.ts';

const { stack, client, now, stocked } = await openShopStack();

async function pitr(tenant: Tenant, body: Record<string, unknown>): Promise<Reply> {
  return await call(stack, 'pitr-restore', await tenant.token('admin'), body);
}

const undo = async (tenant: Tenant, what: Record<string, unknown>, more = {}): Promise<Body> =>
  ok(await pitr(tenant, { undo: what, confirmRestore: true, ...more }));

const setBalance = (tenant: Tenant, balance: number): string =>
  `update shop.accounts set balance = ${balance} where tenant_id = '${tenant.id}' and code like '%/1'`;
const rename = (tenant: Tenant): string =>
  `update shop.accounts set code = code || '!' where tenant_id = '${tenant.id}' and code like '%/2'`;

describe('an undo', () => {
  test('takes transactions back, leaves what others did, touches nobody else, and can be undone', async () => {
    const tenant = await stocked();
    await stocked();
    const others = await placesOfOthers(client, tenant);
    const before = await rowsOf(client, tenant);
    const wrong = await transaction(
      client,
      `${setBalance(tenant, 999)}; delete from shop."Line Items" where tenant_id = '${tenant.id}'`,
    );
    await transaction(client, rename(tenant));
    const damaged = await rowsOf(client, tenant);
    const seen = ok(await pitr(tenant, { undo: { transactions: [wrong] }, dryRun: true }));
    assert.equal(seen['conflictCount'], 0);
    const done = await undo(tenant, { transactions: [wrong] }, { planHash: seen['planHash'] });
    assert.equal(done['conflictCount'], 0);
    assert.deepEqual(done['stats'], seen['stats']);
    assert.match(String(done['transactionId']), /^\d+$/);
    const after = await rowsOf(client, tenant);
    assert.deepEqual(after['shop."Line Items"'], before['shop."Line Items"']);
    assert.equal(after['shop.accounts']!.filter((row) => row.includes('/2!')).length, 1, 'the other change stays');
    assert.deepEqual(await placesOfOthers(client, tenant), others);
    await undo(tenant, { transactions: [done['transactionId']] });
    assert.deepEqual(await rowsOf(client, tenant), damaged);
  });

  test('lists rows in conflict with what would be there, was there, and who has been there since', async () => {
    const tenant = await stocked();
    const wrong = await transaction(client, setBalance(tenant, 999));
    const later = await transaction(client, setBalance(tenant, 1000));
    const places = await placesOf(client, tenant);
    const refused = await pitr(tenant, { undo: { transactions: [wrong] }, onConflict: 'refuse', confirmRestore: true });
    assert.deepEqual(refusal(refused), [409, 'CONFLICT']);
    assert.match(refused.body.details?.join() ?? '', new RegExp(`balance \\(transaction ${later}\\)`));
    assert.deepEqual(await placesOf(client, tenant), places);
    const seen = ok(await pitr(tenant, { undo: { transactions: [wrong] }, dryRun: true, onConflict: 'refuse' }));
    assert.equal((seen['wouldFail'] as { code: string }).code, 'CONFLICT');
    const done = await undo(tenant, { transactions: [wrong] }, { onConflict: 'overwrite' });
    assert.equal(done['conflictCount'], 1);
    const [conflict] = done['conflicts'] as Conflict[];
    assert.ok(conflict?.by);
    assert.match(conflict.by.at, /^\d{4}-/);
    assert.deepEqual(
      { ...conflict, key: Object.keys(conflict.key), by: { ...conflict.by, at: '' } },
      {
        table: 'shop.accounts',
        key: ['id'],
        columns: ['balance'],
        before: { balance: 1.5 },
        undone: { balance: 999 },
        now: { balance: 1000 },
        by: { actor: null, transactionId: later, at: '', source: 'app: unnamed as postgres' },
        reason: 'changed',
      },
    );
    assert.ok((await rowsOf(client, tenant))['shop.accounts']!.some((row) => row.includes('/1,1.50')));
  });

  test('takes back what one user did in a time', async () => {
    const tenant = await stocked();
    const [actor, before] = [randomUUID(), await rowsOf(client, tenant)];
    const since = await now();
    const as = (sub: string): string =>
      `select set_config('request.jwt.claims', '${JSON.stringify({ sub, role: 'authenticated' })}', true); `;
    await transaction(client, as(actor) + setBalance(tenant, 5));
    await transaction(client, as(actor) + setBalance(tenant, 6));
    const until = await now();
    await transaction(client, as(randomUUID()) + rename(tenant));
    await undo(tenant, { actor, since, until });
    const after = await rowsOf(client, tenant);
    assert.deepEqual(
      after['shop.accounts']!.map((row) => row.replace('/2!', '/2')),
      before['shop.accounts'],
    );
    assert.notDeepEqual(after, before);
    const nothing = await pitr(tenant, { undo: { actor: randomUUID(), since }, dryRun: true });
    assert.deepEqual(refusal(nothing), [400, 'VALIDATION_FAILED']);
  });

  test('takes back what one source did in a time', async () => {
    const tenant = await stocked();
    const [before, since] = [await rowsOf(client, tenant), await now()];
    const from = (name: string): string => `select set_config('application_name', '${name}', true); `;
    await transaction(client, from('nightly job') + setBalance(tenant, 5));
    await transaction(client, from('back office') + rename(tenant));
    const source = 'app: nightly job as postgres';
    await undo(tenant, { source, since });
    const after = await rowsOf(client, tenant);
    assert.deepEqual(
      after['shop.accounts']!.map((row) => row.replace('/2!', '/2')),
      before['shop.accounts'],
    );
    assert.notDeepEqual(after, before);
    const [other, unknown] = [
      await pitr(await stocked(), { undo: { source, since }, dryRun: true }),
      await pitr(tenant, { undo: { source: 'app: nobody as postgres', since }, dryRun: true }),
    ];
    assert.deepEqual(refusal(other), [400, 'VALIDATION_FAILED']);
    assert.deepEqual(other.body, unknown.body, "another tenant's source is as unknown as one that nobody has");
  });

  test("refuses what is no transaction of the tenant, another tenant's exactly as an unknown one", async () => {
    const [tenant, other] = [await stocked(), await stocked()];
    const theirs = await transaction(client, setBalance(other, 3));
    const [foreign, unknown] = [
      await pitr(tenant, { undo: { transactions: [theirs] }, dryRun: true }),
      await pitr(tenant, { undo: { transactions: ['999999999999'] }, dryRun: true }),
    ];
    assert.deepEqual(refusal(foreign), [400, 'VALIDATION_FAILED']);
    assert.equal(JSON.stringify(foreign.body).replaceAll(theirs, '999999999999'), JSON.stringify(unknown.body));
  });

  test('refuses fields that do not go with it, each by its name', async () => {
    const tenant = await stocked();
    const details = async (body: Record<string, unknown>): Promise<string> => {
      const reply = await pitr(tenant, { dryRun: true, ...body });
      assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED'], JSON.stringify(body));
      return reply.body.details?.join('; ') ?? '';
    };
    const since = await now();
    for (const id of ['+1', ' 1', '', '01', '9223372036854775808', 'x'])
      assert.match(await details({ undo: { transactions: [id] } }), /^undo: transactions\[0\] /);
    assert.match(await details({ undo: { transactions: [1] } }), /^undo: transactions\[0\] must be a string/);
    assert.match(await details({ undo: {} }), /^undo: must have one of/);
    assert.match(await details({ undo: { actor: randomUUID() } }), /^undo: since is required/);
    assert.match(await details({ undo: { transactions: ['1'] }, targetTimestamp: since }), /^undo: cannot be combined/);
    assert.match(await details({ onConflict: 'skip', targetTimestamp: since }), /^onConflict: is for undo/);
    assert.match(
      await details({ undo: { transactions: ['1'] }, operations: ['insert'] }),
      /^operations: cannot be combined with undo/,
    );
    assert.match(await details({}), /^targetTimestamp: is required/);
  });
});

describe('a restore to before a transaction', () => {
  test('gives the rows as they were when it was about to commit', async () => {
    const tenant = await stocked();
    await transaction(client, setBalance(tenant, 7));
    const before = await rowsOf(client, tenant);
    const wrong = await transaction(client, setBalance(tenant, 8));
    await transaction(client, rename(tenant));
    ok(await pitr(tenant, { beforeTransaction: wrong, confirmRestore: true }));
    assert.deepEqual(await rowsOf(client, tenant), before);
  });
});
