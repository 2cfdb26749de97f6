import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import type pg from 'pg';

import { type Stack, startStack } from '../stack/stack.ts';
import { temporaryFolder } from './dev-command.ts';
import { bytesOf, forgeChunk, forgeManifest, manifestOf, prefixOf, tamperedWith } from './fixtures/archive.ts';
import { backUp, beginBackup, call, refusal } from './fixtures/functions.ts';
import { kindsOf, newPlan, recoveryTest, resultsOf } from './fixtures/recovery.ts';
import { openShop, placesOf, placesOfOthers, stock } from './fixtures/shop.ts';
import { type Tenant, newTenant } from './fixtures/tenants.ts';
import { eventually } from './fixtures/time.ts';

let stack: Stack;
let client: pg.Client;
let tenant: Tenant;
let other: Tenant;
let backup: string;
let removeFolder: () => void;

before(async () => {
  const stateDir = temporaryFolder((cleanUp) => { removeFolder = cleanUp; });
  stack = await startStack({ stateDir, ephemeral: true, rateLimits: { 'backup-create': 100, 'recovery-test': 200 } });
  client = await stack.postgres.connect();
  await openShop(client);
  await client.query("update m23.settings set value = '15' where name = 'chunk_rows'");
  tenant = await newTenant(stack, client);
  other = await newTenant(stack, client);
  await stock(client, tenant);
  await stock(client, other);
  backup = await backUp(stack, client, tenant);
});
after(async () => {
  await client?.end();
  await stack?.close();
  removeFolder();
});

/** What a test may leave behind, and does not. */
async function leftovers(): Promise<unknown[]> {
  const { rows } = await client.query(`
    select nspname as what from pg_namespace where nspname like 'm23\\_scratch%'
    union all select relname from pg_class where relnamespace = 'm23_staging'::regnamespace
    union all select 'work' from m23.test_work union all select 'restore' from m23.restore_work union all select 'lease' from m23.leases`);
  return rows;
}

async function rowOf(id: unknown): Promise<Record<string, unknown>> {
  const { rows: [row] } = await client.query<Record<string, unknown>>('select * from public.recovery_tests where id = $1', [id]);
  assert.ok(row);
  return row;
}

describe('a good backup', () => {
  for (const level of ['basic', 'full', 'deep'] as const) {
    test(`has no findings at the level ${level}, and nothing is left or changed`, async () => {
      const live = [await placesOf(client, tenant), await placesOfOthers(client, tenant)];
      const reply = await recoveryTest(stack, tenant, { validation_level: level, backup_job_id: backup });
      assert.equal(reply.status, 200, JSON.stringify(reply.body));
      assert.equal(reply.body['status'], 'completed');
      const results = resultsOf(reply);
      assert.deepEqual([results.issuesFound, results.findings, results.recommendations], [0, [], []]);
      assert.ok(results.validationsPassed > 0 && results.duration > 0);
      const row = await rowOf(reply.body['testId']);
      assert.deepEqual([row['status'], row['validation_level'], row['backup_job_id'], row['created_by']], ['completed', level, backup, tenant.userId('operator')]);
      assert.deepEqual(row['results'], results, 'the row has what the answer says');
      assert.deepEqual(await leftovers(), []);
      assert.deepEqual([await placesOf(client, tenant), await placesOfOthers(client, tenant)], live);
      assert.equal(typeof results.recoverySeconds, level === 'deep' ? 'number' : 'undefined');
      if (level === 'deep') {
        assert.equal(results.rowsRestored, 4 + 20 + 40);
        assert.ok((results.rowsUndone ?? 0) > 20, 'rows of the copy were damaged, restored and taken back');
      }
    });
  }

  test('is looked at more closely at every level', async () => {
    const passed: number[] = [];
    for (const validation_level of ['basic', 'full', 'deep']) passed.push(resultsOf(await recoveryTest(stack, tenant, { validation_level, backup_job_id: backup })).validationsPassed);
    const [basic = 0, full = 0, deep = 0] = passed;
    assert.ok(basic < full && full < deep, passed.join());
  });
});

/** What is done to an archive, and the kinds of findings at each level; basic and full as before where left out. */
interface Damage {
  what: string;
  tamper: (chunks: string[], manifest: string) => Promise<void>;
  basic: string[];
  full?: string[];
  deep?: string[];
}

/** Changes a field of the first line of a table's first chunk, and everything that would tell. */
function forged(table: string, edit: (lines: string[]) => string[]): Damage['tamper'] {
  return () => forgeChunk(stack, client, tenant, backup, table, edit);
}

function firstField(place: number, value: (field: string) => string): (lines: string[]) => string[] {
  return ([first = '', ...rest]) => [first.split('\t').map((field, i) => (i === place ? value(field) : field)).join('\t'), ...rest];
}

const last = (keys: string[]): string => keys.at(-1) ?? '';

async function othersManifest(): Promise<Awaited<ReturnType<typeof manifestOf>>> {
  return await manifestOf(stack, other, await backUp(stack, client, other));
}

/** docs/recovery-tests.md shows the same table. */
const DAMAGES: Damage[] = [
  { what: 'a chunk is missing', tamper: async (chunks) => { await stack.archives.delete(last(chunks)); }, basic: ['object_missing'] },
  {
    what: 'a chunk is truncated',
    tamper: async (chunks) => { await stack.archives.put(last(chunks), (await bytesOf(stack, last(chunks))).subarray(0, -1)); },
    basic: ['object_size'],
  },
  {
    what: 'a chunk is altered by one byte',
    tamper: async (chunks) => {
      const bytes = await bytesOf(stack, last(chunks));
      bytes[40] = (bytes[40] ?? 0) ^ 1;
      await stack.archives.put(last(chunks), bytes);
    },
    basic: [],
    full: ['object_altered'],
  },
  {
    what: 'a chunk is exchanged with another tenant\'s of the same size',
    tamper: async (chunks) => {
      const { length } = await bytesOf(stack, last(chunks));
      const foreign = await bytesOf(stack, (await othersManifest()).tables.at(-1)?.chunks[0]?.object ?? '');
      await stack.archives.put(last(chunks), Buffer.concat([foreign, Buffer.alloc(length)]).subarray(0, length));
    },
    basic: [],
    full: ['object_altered'],
  },
  { what: 'the manifest is missing', tamper: async (_, manifest) => { await stack.archives.delete(manifest); }, basic: ['manifest_missing'] },
  {
    what: 'the manifest is edited',
    tamper: async (_, manifest) => { await stack.archives.put(manifest, (await bytesOf(stack, manifest)).toString('utf8').replace(/"rows": ?\d/, (digits) => `${digits.slice(0, -1)}9`)); },
    basic: ['manifest_altered'],
  },
  {
    what: 'the manifest is another tenant\'s',
    tamper: async (_, manifest) => { await stack.archives.put(manifest, JSON.stringify(await othersManifest())); },
    basic: ['manifest_altered'],
  },
  {
    what: 'the manifest is another tenant\'s, and the database agrees',
    tamper: async () => { await forgeManifest(stack, client, tenant, backup, JSON.stringify(await othersManifest())); },
    basic: ['exchanged'],
  },
  {
    what: 'the manifest is no manifest, and the database agrees',
    tamper: async () => { await forgeManifest(stack, client, tenant, backup, '{}'); },
    basic: ['manifest_invalid'],
  },
  {
    what: 'a line has a field too many, and manifest and database agree',
    tamper: forged('orders', ([first = '', ...rest]) => [`${first}\tx`, ...rest]),
    basic: [],
    full: ['line_malformed'],
  },
  {
    what: 'a row of another tenant is inside, and manifest and database agree',
    tamper: forged('accounts', firstField(1, () => randomUUID())),
    basic: [],
    full: ['foreign_row'],
  },
  {
    what: 'a value does not parse, and manifest and database agree',
    tamper: forged('accounts', firstField(3, () => 'much')),
    basic: [],
    full: [],
    deep: ['not_restorable'],
  },
  {
    what: 'a value is another, and manifest and database agree',
    tamper: forged('accounts', firstField(3, () => '1000000')),
    basic: [],
    full: [],
    deep: ['fingerprint_differs'],
  },
  {
    what: 'a row is left out, and manifest and database agree',
    tamper: forged('accounts', ([, ...rest]) => rest),
    basic: [],
    full: [],
    deep: ['reference_broken', 'fingerprint_differs'],
  },
  {
    what: 'a row is there twice, and manifest and database agree',
    tamper: forged('accounts', ([first = '', ...rest]) => [first, first, ...rest]),
    basic: [],
    full: [],
    deep: ['constraint_broken', 'reference_broken', 'fingerprint_differs'],
  },
  {
    what: 'the clock was odd: the backup is of a time to come',
    tamper: async () => { await client.query(`update m23.backup_work set position_at = now() + interval '1 day' where job_id = $1`, [backup]); },
    basic: ['clock_odd'],
    deep: ['clock_odd'],
  },
];

/** The archive itself is damaged: that is not restored. */
function whenDeep({ what, basic, full = basic, deep }: Damage): string[] {
  if (deep !== undefined) return deep;
  assert.ok(full.length > 0, what);
  return [...full, 'not_restorable'];
}

describe('each level finds what it claims to find', () => {
  for (const damage of DAMAGES) {
    test(`when ${damage.what}`, () => tamperedWith(stack, client, tenant, backup, async () => {
      const { tables } = await manifestOf(stack, tenant, backup);
      await damage.tamper(tables.flatMap(({ chunks }) => chunks.map(({ object }) => object)), `${prefixOf(tenant, backup)}manifest.json`);
      const found: Record<string, string[]> = {};
      for (const validation_level of ['basic', 'full', 'deep']) {
        const reply = await recoveryTest(stack, tenant, { validation_level, backup_job_id: backup });
        const results = resultsOf(reply);
        found[validation_level] = kindsOf(results);
        assert.equal((await rowOf(reply.body['testId']))['status'], 'completed', 'the test ran');
        assert.equal(results.recommendations.length > 0, results.issuesFound > 0, 'what was found comes with what to do');
        for (const { sentence, object } of results.findings) assert.ok(sentence.length > 20 && object !== '', sentence);
      }
      assert.deepEqual(found, { basic: damage.basic, full: damage.full ?? damage.basic, deep: whenDeep(damage) });
      assert.deepEqual(await leftovers(), []);
    }));
  }

  test('and nothing once the archive is mended', async () => {
    assert.deepEqual(kindsOf(resultsOf(await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup }))), []);
  });
});

describe('a table that has changed since', () => {
  before(async () => {
    await client.query(`create table shop.notes (id int primary key, tenant_id uuid not null, body text, spare text); select m23.protect_table('shop.notes');`);
    await client.query(`insert into shop.notes select n, $1, 'note ' || n from generate_series(1, 7) n`, [tenant.id]);
  });
  after(async () => { await client.query(`select m23.unprotect_table('shop.notes'); drop table shop.notes`); });

  const deep = async (id: string): Promise<string[]> => kindsOf(resultsOf(await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: id })));

  test('is compared as far as it was backed up, and what it has lost is told', async () => {
    const whole = await backUp(stack, client, tenant);
    assert.deepEqual(await deep(whole), []);
    await client.query(`alter table shop.notes add column more int not null default 7`);
    assert.deepEqual(await deep(whole), [], 'a new column takes its default');
    await client.query('alter table shop.notes drop column spare');
    assert.deepEqual(await deep(whole), ['shape_changed']);
  });

  test('and one that is not protected any more is told of', async () => {
    const whole = await backUp(stack, client, tenant);
    await client.query(`select m23.unprotect_table('shop.notes')`);
    assert.deepEqual(await deep(whole), ['not_protected']);
    await client.query(`select m23.protect_table('shop.notes')`);
  });
});

describe('no backup named', () => {
  test('means the newest that the plan covers, or without a plan the tenant\'s newest', async () => {
    const lone = await newTenant(stack, client);
    await stock(client, lone, 1);
    const plan = await newPlan(client, lone);
    assert.deepEqual(refusal(await recoveryTest(stack, lone)), [404, 'BACKUP_NOT_FOUND']);
    assert.deepEqual(refusal(await recoveryTest(stack, lone, { dr_plan_id: plan })), [404, 'BACKUP_NOT_FOUND']);
    await backUp(stack, client, lone);
    const newest = await backUp(stack, client, lone);
    assert.equal(resultsOf(await recoveryTest(stack, lone)).backupJobId, newest);
    assert.equal(resultsOf(await recoveryTest(stack, lone, { dr_plan_id: plan })).backupJobId, newest);
    const incrementals = await newPlan(client, lone, { backup_types: ['incremental'] });
    assert.deepEqual(refusal(await recoveryTest(stack, lone, { dr_plan_id: incrementals })), [404, 'BACKUP_NOT_FOUND'], 'the plan covers none of them');
  });

  test('is not needed of a plan that is missing, inactive or another tenant\'s: the three look alike, but for one that is switched off', async () => {
    const foreign = await newPlan(client, other);
    const inactive = await newPlan(client, tenant, { is_active: false });
    const seen: unknown[] = [];
    for (const dr_plan_id of [randomUUID(), foreign, inactive]) {
      const reply = await recoveryTest(stack, tenant, { dr_plan_id });
      assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
      assert.match(reply.body.details?.join() ?? '', /^dr_plan_id: /);
      seen.push(reply.body);
    }
    assert.deepEqual(seen[0], seen[1]);
  });
});

describe('a backup that is named', () => {
  test('is BACKUP_NOT_FOUND when it is missing, or another tenant\'s', async () => {
    const foreign = await backUp(stack, client, other);
    const replies = [await recoveryTest(stack, tenant, { backup_job_id: randomUUID() }), await recoveryTest(stack, tenant, { backup_job_id: foreign })];
    for (const reply of replies) assert.deepEqual(refusal(reply), [404, 'BACKUP_NOT_FOUND']);
    assert.deepEqual(replies[0]?.body, replies[1]?.body);
  });

  test('is BACKUP_UNUSABLE when it was never completed', async () => {
    const { rows: [job] } = await client.query<{ id: string }>(`insert into public.backup_jobs (tenant_id, backup_name, job_type, status) values ($1, 'x', 'full', 'failed') returning id`, [tenant.id]);
    assert.deepEqual(refusal(await recoveryTest(stack, tenant, { backup_job_id: job?.id })), [409, 'BACKUP_UNUSABLE']);
  });
});

describe('a plan', () => {
  test('says how old a backup may be', async () => {
    const plan = await newPlan(client, tenant, { rpo_minutes: 5 });
    const within = resultsOf(await recoveryTest(stack, tenant, { dr_plan_id: plan, backup_job_id: backup }));
    assert.deepEqual(kindsOf(within), []);
    await tamperedWith(stack, client, tenant, backup, async () => {
      await client.query(`update m23.backup_work set position_at = position_at - interval '10 minutes' where job_id = $1`, [backup]);
      const results = resultsOf(await recoveryTest(stack, tenant, { dr_plan_id: plan, backup_job_id: backup }));
      assert.deepEqual(kindsOf(results), ['rpo_missed']);
      assert.match(results.findings[0]?.sentence ?? '', /the plan allows 5/);
      assert.equal(results.validationsPassed, within.validationsPassed - 1);
    });
  });

  test('says how long a restore may take, and that is measured', async () => {
    const plan = await newPlan(client, tenant, { rto_minutes: 1 });
    const without = resultsOf(await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup }));
    const results = resultsOf(await recoveryTest(stack, tenant, { dr_plan_id: plan, validation_level: 'deep', backup_job_id: backup }));
    assert.deepEqual(kindsOf(results), []);
    assert.equal(results.validationsPassed, without.validationsPassed + 2, 'age and time are checks of their own');
    assert.ok((results.recoverySeconds ?? 0) > 0 && (results.recoverySeconds ?? 0) <= results.duration);
  });
});

describe('a test that outlives its Worker', () => {
  /** A test that nobody drives yet. */
  async function abandoned(level: string): Promise<string> {
    const { rows: [row] } = await client.query<{ id: string }>(
      `select m23.begin_test($1, jsonb_build_object('backup_job_id', $2::text, 'test_name', 'left', 'test_type', 'manual', 'validation_level', $3::text), null) as id`, [tenant.id, backup, level]);
    return row?.id ?? '';
  }

  test('is taken up by the clock, once whoever wakes', async () => {
    const ids = [await abandoned('deep'), await abandoned('basic')];
    await Promise.all([stack.runCron('recovery-test'), stack.runCron('recovery-test')]);
    for (const id of ids) assert.deepEqual(kindsOf((await eventually(() => rowOf(id), ({ status }) => status === 'completed'))['results'] as never), []);
    assert.deepEqual(await leftovers(), []);
  });

  test('is taken up where the last driver stopped, and begins its restore anew', async () => {
    const id = await abandoned('deep');
    const { rows: [claim] } = await client.query<{ plan: { lease: string } }>('select public.m23_claim_test($1) as plan', [id]);
    const lease = claim?.plan.lease;
    await client.query(`select public.m23_save_test($1, $2, '{"listed": true, "read": 2, "tally": {"passed": 100, "issues": 0, "findings": []}}')`, [id, lease]);
    await client.query('select public.m23_stage_test($1, $2)', [id, lease]);
    await client.query(`select public.m23_stage_table($1, $2, '{"ordinal": 1, "schema": "shop", "name": "accounts", "columns": ["id", "tenant_id", "code", "balance"], "rows": 4}')`, [id, lease]);
    await stack.runCron('recovery-test');
    assert.equal((await rowOf(id))['status'], 'in_progress', 'its lease is another\'s');
    await client.query(`update m23.leases set until = now() - interval '1 second' where work_id = $1`, [id]);
    await stack.runCron('recovery-test');
    const row = await rowOf(id);
    assert.equal(row['status'], 'completed');
    assert.ok((row['results'] as { validationsPassed: number }).validationsPassed > 100);
    assert.deepEqual(await leftovers(), []);
  });

  test('fails, and says so, when five drivers have come no further', async () => {
    const id = await abandoned('basic');
    await client.query(`insert into m23.leases (work_id, token, until, taken) values ($1, gen_random_uuid(), now() - interval '1 second', 5)`, [id]);
    await stack.runCron('recovery-test');
    const row = await rowOf(id);
    assert.deepEqual([row['status'], row['error_message']], ['failed', 'five workers have taken this test up without getting further']);
    assert.deepEqual(await leftovers(), []);
  });

  test('leaves nothing when the database is ended in the middle of its restore', async () => {
    const id = await abandoned('deep');
    const gate = await stack.postgres.connect();
    await gate.query('begin; lock table shop.accounts in access exclusive mode');
    const cron = stack.runCron('recovery-test');
    await eventually(async () => (await client.query(`select from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'm23_execute_test'`)).rowCount, (n) => n === 1);
    await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'm23_execute_test'`);
    await gate.query('rollback');
    await gate.end();
    await cron;
    await stack.runCron('recovery-test');
    assert.equal((await eventually(() => rowOf(id), ({ status }) => status === 'completed'))['status'], 'completed');
    assert.deepEqual(await leftovers(), []);
  });

  test('does not stand in the way of a restore of the same tenant', async () => {
    const id = await abandoned('deep');
    const { rows: [claim] } = await client.query<{ plan: { lease: string } }>('select public.m23_claim_test($1) as plan', [id]);
    await client.query('select public.m23_stage_test($1, $2)', [id, claim?.plan.lease]);
    const reply = await call(stack, 'backup-restore', await tenant.token('owner'), { backupJobId: backup, confirmRestore: true });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    await client.query(`update m23.leases set until = now() - interval '1 second' where work_id = $1`, [id]);
    await stack.runCron('recovery-test');
    assert.equal((await rowOf(id))['status'], 'completed');
  });
});

test('a viewer may not test, and a test of one tenant is not seen by another', async () => {
  const body = { test_name: 'x', test_type: 'manual', validation_level: 'basic' };
  assert.deepEqual(refusal(await call(stack, 'recovery-test', await tenant.token('viewer'), body)), [403, 'INSUFFICIENT_PERMISSIONS']);
  const reply = await recoveryTest(stack, tenant, { backup_job_id: backup });
  const seen = async (one: Tenant): Promise<unknown[]> => {
    const headers = { apikey: stack.anonKey, authorization: `Bearer ${await one.token('viewer')}` };
    return await (await fetch(`${stack.url}/rest/v1/recovery_tests?id=eq.${String(reply.body['testId'])}`, { headers })).json() as unknown[];
  };
  assert.equal((await seen(tenant)).length, 1);
  assert.deepEqual(await seen(other), []);
});

test('a backup that is still running is not tested', async () => {
  const id = await beginBackup(stack, other);
  await client.query(`update public.backup_jobs set status = 'in_progress' where id = $1`, [id]);
  assert.deepEqual(refusal(await recoveryTest(stack, other, { backup_job_id: id })), [409, 'BACKUP_UNUSABLE']);
});
