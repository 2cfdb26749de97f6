// Archives of tables whose rules and columns are newer than the backup: what comes back, beside which, and what is said.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { rowTexts } from '../fixtures/database.ts';
import { backUp, refusal, restore, restored } from '../fixtures/functions.ts';
import { kindsOf, recoveryTest, resultsOf } from '../fixtures/recovery.ts';
import { openStack } from '../fixtures/stack.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';

let tables = 0;

const { stack, client } = await openStack();

before(async () => {
  await client.query('create schema rules');
});

interface BackedUp {
  tenant: Tenant;
  name: string;
  backup: string;
}

/** A table of four rows of a tenant, and a full backup of it. */
async function backedUp(columns: string, values: string): Promise<BackedUp> {
  tables += 1;
  const name = `rules.t${tables}`;
  const tenant = await newTenant(stack, client);
  await client.query(`create table ${name} (id int primary key, tenant_id uuid not null, ${columns}); select m23.protect_table('${name}');
    insert into ${name} select n, '${tenant.id}', ${values} from generate_series(1, 4) n`);
  return { tenant, name, backup: await backUp(stack, client, tenant, { jobType: 'full', tables: [name] }) };
}

const rows = (name: string, columns: string): Promise<string[]> =>
  rowTexts(client, `select ${columns} from ${name} order by id`);

/** A dry run and the restore say the same. */
async function refusedAlike({ tenant, backup }: BackedUp): Promise<string> {
  const dry = await restore(stack, tenant, backup, { dryRun: true, confirmRestore: false });
  assert.equal(dry.status, 200, JSON.stringify(dry.body));
  const done = await restore(stack, tenant, backup);
  assert.deepEqual(refusal(done), [409, 'CONFLICT']);
  const { success: _, ...told } = done.body;
  assert.deepEqual(dry.body['wouldFail'], told);
  return String(told.details);
}

describe('a column that is newer than the backup', () => {
  test('keeps its value where rows exchange unique values, and so are written anew', async () => {
    const { tenant, name, backup } = await backedUp('code text unique', `'c' || n`);
    await client.query(`alter table ${name} add column extra text default 'usual'; update ${name} set extra = 'kept' || id;
      update ${name} set code = 'x' where id = 1; update ${name} set code = 'c1' where id = 2; update ${name} set code = 'c2' where id = 1`);
    await restored(stack, tenant, backup);
    assert.deepEqual(await rows(name, 'id, code, extra'), [
      '(1,c1,kept1)',
      '(2,c2,kept2)',
      '(3,c3,kept3)',
      '(4,c4,kept4)',
    ]);
  });

  test('gets its default in a row that comes back', async () => {
    const { tenant, name, backup } = await backedUp('v int', 'n');
    await client.query(
      `alter table ${name} add column extra text not null default 'usual'; update ${name} set extra = 'kept'; delete from ${name} where id = 1`,
    );
    await restored(stack, tenant, backup);
    assert.deepEqual((await rows(name, 'id, extra')).slice(0, 2), ['(1,usual)', '(2,kept)']);
  });

  test('must have a value: a dry run and a deep test say that nothing gives it; a function does', async () => {
    const made = await backedUp('v int', 'n');
    const { tenant, name, backup } = made;
    await client.query(
      `alter table ${name} add column extra text; update ${name} set extra = 'kept'; alter table ${name} alter extra set not null; delete from ${name} where id = 1`,
    );
    assert.match(
      await refusedAlike(made),
      /rules\.t\d+\.extra: 1 row\(s\) have no value, and the column must have one now/,
    );
    const deep = async (): Promise<string[]> =>
      kindsOf(resultsOf(await recoveryTest(stack, tenant, { backup_job_id: backup, validation_level: 'deep' })));
    assert.equal((await deep())[0], 'constraint_broken');
    await client.query(`create function rules.extra(${name}) returns text language sql as $$ select 'made of ' || $1.v $$;
      select m23.set_fill('${name}', 'extra', 'rules.extra(${name})')`);
    assert.deepEqual(await deep(), []);
    await restored(stack, tenant, backup);
    assert.deepEqual((await rows(name, 'id, extra')).slice(0, 2), ['(1,"made of 1")', '(2,kept)']);
    await client.query(`drop function rules.extra(${name})`);
    const {
      rows: [told],
    } = await client.query<{ state: string; finding: string }>(
      `select state, finding from m23.doctor() where topic = 'fill of ${name}.extra'`,
    );
    assert.equal(told?.state, 'problem');
    assert.match(told?.finding ?? '', /rules\.extra is gone/);
    await client.query(`select m23.set_fill('${name}', 'extra', null)`);
  });
});

describe('a rule that is newer than the backup', () => {
  test('is refused, and the dry run says so before', async () => {
    const made = await backedUp('v int', '-n');
    await client.query(
      `update ${made.name} set v = id; alter table ${made.name} add constraint above_zero check (v > 0)`,
    );
    assert.match(await refusedAlike(made), /4 row\(s\) would break the constraint "above_zero"/);
  });

  test('does not hold for a copy beside the live data, which says so', async () => {
    const { tenant, name, backup } = await backedUp('v int, w text', '-n, null');
    await client.query(
      `update ${name} set v = id, w = 'w'; alter table ${name} add constraint above_zero check (v > 0), alter w set not null`,
    );
    const answer = await restored(stack, tenant, backup, { targetSchema: 'beside_rules' });
    assert.match(
      String(answer['warnings']),
      /the copy has its primary key and no other rule; its rows do not fit those of now/,
    );
    assert.deepEqual(await rows(`beside_rules.${name.split('.')[1]}`, 'id, v'), [
      '(1,-1)',
      '(2,-2)',
      '(3,-3)',
      '(4,-4)',
    ]);
  });
});

test('a backup none of whose tables is there any more is refused with the reason, beside the live data too', async () => {
  const made = await backedUp('v int', 'n');
  await client.query(`drop table ${made.name}`);
  assert.match(await refusedAlike(made), /rules\.t\d+/);
  const beside = await restore(stack, made.tenant, made.backup, { targetSchema: 'beside_nothing' });
  assert.deepEqual(refusal(beside), [409, 'CONFLICT']);
  const {
    rows: [log],
  } = await client.query<{ status: string }>(
    'select status from public.restore_logs where tenant_id = $1 order by created_at desc limit 1',
    [made.tenant.id],
  );
  assert.equal(log?.status, 'failed');
});
