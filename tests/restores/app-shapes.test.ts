// The main job on applications of several shapes, over HTTP and on the real parts: each is protected, backed up in full
// and by increments, damaged as its users would, and taken back in every way there is. After each step every row of
// both tenants is what it should be: those of one as they were, and those of the other untouched.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { APP_SHAPES, type AppShape, type Rows } from '../fixtures/app-shapes.ts';
import { manifestOf } from '../fixtures/archive.ts';
import { increment } from '../fixtures/chain.ts';
import { type Body, backUp, call, ok, restored } from '../fixtures/functions.ts';
import { recoveryTest, resultsOf } from '../fixtures/recovery.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant, tokenOf } from '../fixtures/tenants.ts';

const { stack, client, now, asService } = await openStack();

const pitr = async (tenant: Tenant, targetTimestamp: string, more: Record<string, unknown>): Promise<Body> =>
  ok(await call(stack, 'pitr-restore', await tenant.token('admin'), { targetTimestamp, ...more }));

/** The tenant that a user is. */
const ownTenant = (id: string): Tenant => ({ id, userId: () => id, token: () => tokenOf(stack, id) });

const count = (rows: Rows, tables: string[]): number => tables.reduce((sum, table) => sum + rows[table]!.length, 0);

/** A tenant, with what its rows and everybody else's are before and after it was damaged. */
interface Damaged {
  tenant: Tenant;
  backup: string;
  wanted: Rows;
  damaged: Rows;
}

const TAKEN_BACK = /had become nobody's .* were taken back/;
const ACCESS = /: access changes: /;
const LEFT_ALONE = /were left alone: .* is another tenant's or nobody's/;

for (const shape of APP_SHAPES) describe(`an application with ${shape.kind}`, () => mainJob(shape));

function mainJob(shape: AppShape): void {
  const { ofUsers, members, outlive } = shape.particulars;
  const tenants: Tenant[] = [];
  const tips: string[] = [];
  /** The tables whose rows are tenants'; the others have what is nobody's. */
  let owned: string[];
  let moment: string;
  let whole: Rows;
  let second: Damaged;
  let first: Damaged;

  /** There is nothing to warn of, but of rows that were nobody's, and of people whose access changes. */
  const expected = (body: Body, warning: RegExp): void => {
    const allowed = [...(outlive ? [warning] : []), ...(members ? [ACCESS] : [])];
    for (const one of (body['warnings'] ?? []) as string[]) {
      assert.ok(
        allowed.some((pattern) => pattern.test(one)),
        one,
      );
    }
  };

  before(async () => {
    await shape.open(client);
    owned = await shape.ownedTables(client);
    for (const key of shape.tenants) tenants.push(ofUsers ? ownTenant(key) : await newTenant(stack, client, key));
  });
  after(() => shape.close(client));

  test("is backed up in full and by increments, each row in its tenant's archives alone", async () => {
    const full = await Promise.all(tenants.map((tenant) => backUp(stack, client, tenant)));
    const manifests = await Promise.all(tenants.map((tenant, n) => manifestOf(stack, tenant, full[n]!)));
    assert.equal(
      manifests.reduce((sum, { rows }) => sum + rows, 0),
      count(await shape.rows(client), owned),
    );
    for (const { id } of tenants) await shape.write(client, 'work', id);
    tips.push(...(await Promise.all(tenants.map((tenant, n) => increment(stack, client, tenant, full[n]!)))));
    whole = await shape.rows(client);
    moment = await now();
  });

  test('is damaged by its users, who delete, overwrite and add', async () => {
    await shape.write(client, 'damage', tenants[1]!.id);
    const between = await shape.rows(client);
    await shape.write(client, 'damage', tenants[0]!.id);
    second = { tenant: tenants[1]!, backup: tips[1]!, wanted: whole, damaged: between };
    first = { tenant: tenants[0]!, backup: tips[0]!, wanted: between, damaged: await shape.rows(client) };
    for (const { wanted, damaged } of [first, second]) {
      for (const table of owned) assert.notDeepEqual(damaged[table], wanted[table], table);
    }
  });

  for (const [which, one] of [
    ['one tenant', () => first],
    ['the other', () => second],
  ] as const) {
    test(`${which} looks, goes back to a moment, and undoes that`, async () => {
      const { tenant, wanted, damaged } = one();
      const seen = await pitr(tenant, moment, { dryRun: true });
      assert.equal(seen['wouldFail'], undefined);
      expected(seen, TAKEN_BACK);
      assert.deepEqual(await shape.rows(client), damaged);
      const done = await pitr(tenant, moment, { confirmRestore: true, planHash: seen['planHash'] });
      expected(done, TAKEN_BACK);
      assert.deepEqual(done['stats'], seen['stats']);
      assert.deepEqual(await shape.rows(client), wanted);
      const body = { snapshotId: done['snapshotId'], confirmRollback: true };
      const undone = ok(await call(stack, 'pitr-rollback', await tenant.token('admin'), body));
      expected(undone, LEFT_ALONE);
      if (!outlive) assert.deepEqual(await shape.rows(client), damaged);
    });

    test(`${which} comes back from the archives`, async () => {
      const { tenant, backup, wanted } = one();
      expected(await restored(stack, tenant, backup), TAKEN_BACK);
      assert.deepEqual(await shape.rows(client), wanted);
    });
  }

  test('a deep recovery test has nothing to say of the archives', async () => {
    const { tenant, backup } = first;
    const reply = await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup });
    assert.deepEqual(resultsOf(reply).findings, []);
  });

  if (shape.leaves) {
    test('a tenant that was deleted comes back with all that was its own', async () => {
      const targetTimestamp = await now();
      await shape.write(client, 'leave', tenants[0]!.id);
      assert.ok(count(await shape.rows(client), owned) < count(whole, owned));
      await pitr(tenants[0]!, targetTimestamp, { confirmRestore: true });
      assert.deepEqual(await shape.rows(client), whole);
    });
  }

  test('a tenant is forgotten, and the other can still go back', async () => {
    const forgotten = await asService().rpc('forget_tenant', { p_tenant_id: tenants[0]!.id });
    assert.equal(forgotten.error, null);
    assert.deepEqual(await shape.rows(client), whole);
    await restored(stack, tenants[1]!, tips[1]!);
    assert.deepEqual(await shape.rows(client), whole);
  });
}
