// Recovery tests: a good backup has no findings, each level finds what it claims to find, nothing live changes.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { bytesOf, forgeChunk, forgeManifest, manifestOf, prefixOf, tamperedWith } from '../fixtures/archive.ts';
import { openBackedUpShop } from '../fixtures/backed-up-shop.ts';
import { increment } from '../fixtures/chain.ts';
import { backUp, beginBackup, call, refusal, restore } from '../fixtures/functions.ts';
import { kindsOf, leftovers, newPlan, type Results, recoveryTest, resultsOf, testRow } from '../fixtures/recovery.ts';
import { placesOf, placesOfOthers, rowsOf, stock } from '../fixtures/shop.ts';
import { newTenant, type Tenant } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';

const { stack, client, tenant, other, backup } = await openBackedUpShop();

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
      const row = await testRow(client, reply.body['testId']);
      assert.deepEqual(
        [row['status'], row['validation_level'], row['backup_job_id'], row['created_by']],
        ['completed', level, backup, tenant.userId('operator')],
      );
      assert.deepEqual(row['results'], results, 'the row has what the answer says');
      assert.deepEqual(await leftovers(client), []);
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
    for (const validation_level of ['basic', 'full', 'deep'])
      passed.push(
        resultsOf(await recoveryTest(stack, tenant, { validation_level, backup_job_id: backup })).validationsPassed,
      );
    const [basic = 0, full = 0, deep = 0] = passed;
    assert.ok(basic < full && full < deep, passed.join());
  });
});

test("a row that refers to another tenant's is no finding for as long as that one is there, and can be restored", async () => {
  const [here, there] = [await newTenant(stack, client), await newTenant(stack, client)];
  for (const one of [here, there]) await stock(client, one, 1);
  const theirs = '(select max(id) from shop.accounts where tenant_id = $2)';
  await client.query(`update shop.orders set account_id = ${theirs} where tenant_id = $1 and place = 102`, [
    here.id,
    there.id,
  ]);
  const wanted = (await rowsOf(client, here))['shop.orders'];
  const made = await backUp(stack, client, here);
  const deep = async (): Promise<Results> =>
    resultsOf(await recoveryTest(stack, here, { validation_level: 'deep', backup_job_id: made }));
  assert.deepEqual((await deep()).findings, []);
  await client.query('update shop.orders set note = null where tenant_id = $1', [here.id]);
  assert.equal((await restore(stack, here, made)).status, 200);
  assert.deepEqual((await rowsOf(client, here))['shop.orders'], wanted);
  await client.query(
    `update shop.orders set account_id = (select max(id) from shop.accounts where tenant_id = $1) where tenant_id = $1`,
    [here.id],
  );
  await client.query('delete from shop.orders where tenant_id = $1', [there.id]);
  await client.query('delete from shop.accounts where tenant_id = $1', [there.id]);
  assert.deepEqual(kindsOf(await deep()), ['reference_broken']);
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
  return ([first = '', ...rest]) => [
    first
      .split('\t')
      .map((field, i) => (i === place ? value(field) : field))
      .join('\t'),
    ...rest,
  ];
}

const last = (keys: string[]): string => keys.at(-1) ?? '';

async function othersManifest(): Promise<Awaited<ReturnType<typeof manifestOf>>> {
  return await manifestOf(stack, other, await backUp(stack, client, other));
}

/** docs/recovery-tests.md shows the same table. */
const DAMAGES: Damage[] = [
  {
    what: 'a chunk is missing',
    tamper: async (chunks) => {
      await stack.archives.delete(last(chunks));
    },
    basic: ['object_missing'],
  },
  {
    what: 'a chunk is truncated',
    tamper: async (chunks) => {
      await stack.archives.put(last(chunks), (await bytesOf(stack, last(chunks))).subarray(0, -1));
    },
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
    what: "a chunk is exchanged with another tenant's of the same size",
    tamper: async (chunks) => {
      const { length } = await bytesOf(stack, last(chunks));
      const foreign = await bytesOf(stack, (await othersManifest()).tables.at(-1)?.chunks[0]?.object ?? '');
      await stack.archives.put(last(chunks), Buffer.concat([foreign, Buffer.alloc(length)]).subarray(0, length));
    },
    basic: [],
    full: ['object_altered'],
  },
  {
    what: 'the manifest is missing',
    tamper: async (_, manifest) => {
      await stack.archives.delete(manifest);
    },
    basic: ['manifest_missing'],
  },
  {
    what: 'the manifest is edited',
    tamper: async (_, manifest) => {
      await stack.archives.put(
        manifest,
        (await bytesOf(stack, manifest)).toString('utf8').replace(/"rows": ?\d/, (digits) => `${digits.slice(0, -1)}9`),
      );
    },
    basic: ['manifest_altered'],
  },
  {
    what: "the manifest is another tenant's",
    tamper: async (_, manifest) => {
      await stack.archives.put(manifest, JSON.stringify(await othersManifest()));
    },
    basic: ['manifest_altered'],
  },
  {
    what: "the manifest is another tenant's, and the database agrees",
    tamper: async () => {
      await forgeManifest(stack, client, tenant, backup, JSON.stringify(await othersManifest()));
    },
    basic: ['exchanged'],
  },
  {
    what: 'the manifest is no manifest, and the database agrees',
    tamper: async () => {
      await forgeManifest(stack, client, tenant, backup, '{}');
    },
    basic: ['manifest_invalid'],
  },
  {
    what: 'a chunk promises other rows than it holds, and the database agrees',
    tamper: async () => {
      const manifest = await manifestOf(stack, tenant, backup);
      const chunk = manifest.tables.at(-1)?.chunks.at(-1);
      assert.ok(chunk);
      chunk.rows -= 1;
      await forgeManifest(stack, client, tenant, backup, JSON.stringify({ ...manifest, rows: manifest.rows - 1 }));
    },
    basic: [],
    full: ['object_damaged'],
  },
  {
    what: 'a line has a field too many, and manifest and database agree',
    tamper: forged('orders', ([first = '', ...rest]) => [`${first}\tx`, ...rest]),
    basic: [],
    full: ['line_malformed'],
  },
  {
    what: 'a row of another tenant is inside, and manifest and database agree',
    tamper: forged(
      'accounts',
      firstField(1, () => randomUUID()),
    ),
    basic: [],
    full: ['foreign_row'],
  },
  {
    what: 'a definition is more than one statement, and the database agrees',
    tamper: async () => {
      const manifest = await manifestOf(stack, tenant, backup);
      const definitions = ['create schema if not exists a; drop schema shop cascade'];
      await forgeManifest(stack, client, tenant, backup, JSON.stringify({ ...manifest, definitions }));
    },
    basic: ['definition_unsafe'],
    deep: ['definition_unsafe'],
  },
  {
    what: 'a value does not parse, and manifest and database agree',
    tamper: forged(
      'accounts',
      firstField(3, () => 'much'),
    ),
    basic: [],
    full: [],
    deep: ['not_restorable'],
  },
  {
    what: 'a value is another, and manifest and database agree',
    tamper: forged(
      'accounts',
      firstField(3, () => '1000000'),
    ),
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
    tamper: async () => {
      await client.query(`update m23.backup_work set position_at = now() + interval '1 day' where job_id = $1`, [
        backup,
      ]);
    },
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
    test(`when ${damage.what}`, () =>
      tamperedWith(stack, client, tenant, backup, async () => {
        const { tables } = await manifestOf(stack, tenant, backup);
        await damage.tamper(
          tables.flatMap(({ chunks }) => chunks.map(({ object }) => object)),
          `${prefixOf(tenant, backup)}manifest.json`,
        );
        const found: Record<string, string[]> = {};
        for (const validation_level of ['basic', 'full', 'deep']) {
          const reply = await recoveryTest(stack, tenant, { validation_level, backup_job_id: backup });
          const results = resultsOf(reply);
          found[validation_level] = kindsOf(results);
          assert.equal((await testRow(client, reply.body['testId']))['status'], 'completed', 'the test ran');
          assert.equal(
            results.recommendations.length > 0,
            results.issuesFound > 0,
            'what was found comes with what to do',
          );
          for (const { sentence, object } of results.findings)
            assert.ok(sentence.length > 20 && object !== '', sentence);
        }
        assert.deepEqual(found, { basic: damage.basic, full: damage.full ?? damage.basic, deep: whenDeep(damage) });
        assert.deepEqual(await leftovers(client), []);
      }));
  }

  test('and nothing once the archive is mended', async () => {
    assert.deepEqual(
      kindsOf(resultsOf(await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup }))),
      [],
    );
  });
});

describe('a chain', () => {
  let tip: string;
  before(async () => {
    await client.query(`update shop.accounts set balance = 7 where tenant_id = $1 and code like '%/2'`, [tenant.id]);
    tip = await increment(stack, client, tenant, backup);
  });

  async function foundAtEachLevel(of: string): Promise<string[][]> {
    const found: string[][] = [];
    for (const validation_level of ['basic', 'full', 'deep'])
      found.push(kindsOf(resultsOf(await recoveryTest(stack, tenant, { validation_level, backup_job_id: of }))));
    assert.deepEqual(await leftovers(client), []);
    return found;
  }

  test('that is whole has no findings', async () => {
    assert.deepEqual(await foundAtEachLevel(tip), [[], [], []]);
  });

  test('whose parent has no manifest any more is found at every level', () =>
    tamperedWith(stack, client, tenant, backup, async () => {
      await stack.archives.delete(`${prefixOf(tenant, backup)}manifest.json`);
      assert.deepEqual(await foundAtEachLevel(tip), [
        ['manifest_missing'],
        ['manifest_missing'],
        ['manifest_missing', 'not_restorable'],
      ]);
    }));

  test('whose parent has lost a chunk as well', () =>
    tamperedWith(stack, client, tenant, backup, async () => {
      await stack.archives.delete((await manifestOf(stack, tenant, backup)).tables.at(-1)?.chunks[0]?.object ?? '');
      assert.deepEqual(await foundAtEachLevel(tip), [
        ['object_missing'],
        ['object_missing'],
        ['object_missing', 'not_restorable'],
      ]);
    }));

  test('whose parent is not what it was built on, and the database agrees, too', () =>
    tamperedWith(stack, client, tenant, backup, async () => {
      const manifest = await manifestOf(stack, tenant, backup);
      await forgeManifest(stack, client, tenant, backup, JSON.stringify({ ...manifest, backup_name: 'another' }));
      assert.deepEqual(await foundAtEachLevel(tip), [
        ['chain_broken'],
        ['chain_broken'],
        ['chain_broken', 'not_restorable'],
      ]);
    }));

  test('of a snapshot has no archive, which is all there is to find', async () => {
    assert.deepEqual(await foundAtEachLevel(await backUp(stack, client, tenant, { jobType: 'snapshot' })), [
      ['no_archive'],
      ['no_archive'],
      ['no_archive'],
    ]);
  });
});

test('a restore in place that does not give what is in the backup is found by the deep test', async () => {
  const {
    rows: [kept],
  } = await client.query<{ sql: string }>(`select pg_get_functiondef('m23.converge_scratch'::regproc) as sql`);
  await client.query(
    `create or replace function m23.converge_scratch(p_tenant text, p_all m23.scratch[], p_wanted text[], p_work uuid) returns bigint language sql as 'select 0::bigint'`,
  );
  const reply = await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup });
  await client.query(kept?.sql ?? '');
  assert.deepEqual(kindsOf(resultsOf(reply)), ['round_trip_differs']);
  assert.deepEqual(await leftovers(client), []);
});

test('a plan cannot be taken away under its tests, nor switched off under one that runs', async () => {
  const plan = await newPlan(client, tenant);
  const {
    rows: [begun],
  } = await client.query<{ id: string }>(
    `select m23.begin_test($1, jsonb_build_object('dr_plan_id', $2::text, 'backup_job_id', $3::text, 'test_name', 'x', 'test_type', 'manual', 'validation_level', 'deep'), null) as id`,
    [tenant.id, plan, backup],
  );
  await assert.rejects(
    client.query('delete from public.dr_plans where id = $1', [plan]),
    /recovery_tests_dr_plan_id_fkey/,
  );
  await client.query('update public.dr_plans set is_active = false where id = $1', [plan]);
  await stack.runCron('recovery-test');
  const row = await testRow(client, begun?.id);
  assert.deepEqual([row['status'], kindsOf(row['results'] as Results)], ['completed', []]);
});

describe('a table that has changed since', () => {
  before(async () => {
    await client.query(
      `create table shop.notes (id int primary key, tenant_id uuid not null, body text, spare text); select m23.protect_table('shop.notes');`,
    );
    await client.query(`insert into shop.notes select n, $1, 'note ' || n from generate_series(1, 7) n`, [tenant.id]);
  });
  after(async () => {
    await client.query(`select m23.unprotect_table('shop.notes'); drop table shop.notes`);
  });

  const deep = async (id: string): Promise<string[]> =>
    kindsOf(resultsOf(await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: id })));

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
  test("means the newest that the plan covers, or without a plan the tenant's newest", async () => {
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
    assert.deepEqual(
      refusal(await recoveryTest(stack, lone, { dr_plan_id: incrementals })),
      [404, 'BACKUP_NOT_FOUND'],
      'the plan covers none of them',
    );
  });

  test("is not needed of a plan that is missing, inactive or another tenant's: the three look alike, but for one that is switched off", async () => {
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
  test("is BACKUP_NOT_FOUND when it is missing, or another tenant's", async () => {
    const foreign = await backUp(stack, client, other);
    const replies = [
      await recoveryTest(stack, tenant, { backup_job_id: randomUUID() }),
      await recoveryTest(stack, tenant, { backup_job_id: foreign }),
    ];
    for (const reply of replies) assert.deepEqual(refusal(reply), [404, 'BACKUP_NOT_FOUND']);
    assert.deepEqual(replies[0]?.body, replies[1]?.body);
  });

  test('is BACKUP_UNUSABLE when it was never completed', async () => {
    const {
      rows: [job],
    } = await client.query<{ id: string }>(
      `insert into public.backup_jobs (tenant_id, backup_name, job_type, status) values ($1, 'x', 'full', 'failed') returning id`,
      [tenant.id],
    );
    assert.deepEqual(refusal(await recoveryTest(stack, tenant, { backup_job_id: job?.id })), [409, 'BACKUP_UNUSABLE']);
  });
});

describe('a plan', () => {
  test('says how old a backup may be', async () => {
    const plan = await newPlan(client, tenant, { rpo_minutes: 5 });
    const within = resultsOf(await recoveryTest(stack, tenant, { dr_plan_id: plan, backup_job_id: backup }));
    assert.deepEqual(kindsOf(within), []);
    await tamperedWith(stack, client, tenant, backup, async () => {
      await client.query(
        `update m23.backup_work set position_at = position_at - interval '10 minutes' where job_id = $1`,
        [backup],
      );
      const results = resultsOf(await recoveryTest(stack, tenant, { dr_plan_id: plan, backup_job_id: backup }));
      assert.deepEqual(kindsOf(results), ['rpo_missed']);
      assert.match(results.findings[0]?.sentence ?? '', /the plan allows 5/);
      assert.equal(results.validationsPassed, within.validationsPassed - 1);
    });
  });

  test('says how long a restore may take, and that is measured', async () => {
    const plan = await newPlan(client, tenant, { rto_minutes: 1 });
    const without = resultsOf(await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: backup }));
    const results = resultsOf(
      await recoveryTest(stack, tenant, { dr_plan_id: plan, validation_level: 'deep', backup_job_id: backup }),
    );
    assert.deepEqual(kindsOf(results), []);
    assert.equal(results.validationsPassed, without.validationsPassed + 2, 'age and time are checks of their own');
    assert.ok((results.recoverySeconds ?? 0) > 0 && (results.recoverySeconds ?? 0) <= results.duration);
  });

  test('is told when a restore takes longer', async () => {
    const plan = await newPlan(client, tenant, { rto_minutes: 1 });
    const gate = await stack.postgres.connect();
    await gate.query('begin; lock table shop.accounts in access exclusive mode');
    const reply = recoveryTest(stack, tenant, { dr_plan_id: plan, validation_level: 'deep', backup_job_id: backup });
    await eventually(
      async () =>
        (
          await client.query(
            `select from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'm23_execute_test'`,
          )
        ).rowCount,
      (n) => n === 1,
    );
    // As if the gate had been closed for two minutes: what is compared is the clock now and then.
    await client.query(`update m23.test_work set staging_at = staging_at - interval '2 minutes'`);
    await gate.query('rollback');
    await gate.end();
    const results = resultsOf(await reply);
    assert.deepEqual(kindsOf(results), ['rto_missed']);
    assert.ok((results.recoverySeconds ?? 0) > 120);
    assert.match(
      results.findings[0]?.sentence ?? '',
      new RegExp(`took ${results.recoverySeconds} seconds; the plan allows 1 minutes`),
    );
    assert.match(results.recommendations.join(), /longer than the plan allows/);
  });
});

describe('what was noted while a backup was made', () => {
  const deep = async (id: string): Promise<Results> =>
    resultsOf(await recoveryTest(stack, tenant, { validation_level: 'deep', backup_job_id: id }));

  test('is compared for an incremental as well, chunk by chunk of its chain', async () => {
    await client.query(`update shop.accounts set balance = 7 where tenant_id = $1 and code like '%/2'`, [tenant.id]);
    const tip = await increment(stack, client, tenant, backup);
    assert.deepEqual(kindsOf(await deep(tip)), []);
    for (const altered of [tip, backup]) {
      await tamperedWith(stack, client, tenant, altered, async () => {
        await forgeChunk(
          stack,
          client,
          tenant,
          altered,
          'accounts',
          firstField(3, () => '1000000'),
        );
        const {
          rows: [parent],
        } = await client.query<{ sha256: string }>(
          'select manifest_sha256 as sha256 from m23.backup_work where job_id = $1',
          [backup],
        );
        const manifest = (await manifestOf(stack, tenant, tip)) as unknown as { parent: { sha256: string } };
        await tamperedWith(stack, client, tenant, tip, async () => {
          await forgeManifest(
            stack,
            client,
            tenant,
            tip,
            JSON.stringify({ ...manifest, parent: { ...manifest.parent, sha256: parent?.sha256 } }),
          );
          assert.deepEqual(kindsOf(await deep(tip)), ['fingerprint_differs']);
        });
      });
    }
  });

  test('is in the manifest, so that a database which adopts the backup compares as well', async () => {
    const lost = await backUp(stack, client, tenant);
    const before = await deep(lost);
    const object = `${prefixOf(tenant, lost)}manifest.json`;
    const adopt = async (): Promise<void> => {
      await client.query('delete from public.recovery_tests where backup_job_id = $1', [lost]);
      await client.query('delete from public.backup_jobs where id = $1', [lost]);
      const bytes = await bytesOf(stack, object);
      await client.query(`select m23.adopt_backup($1, $2, encode(sha256($3), 'hex'))`, [
        bytes.toString('utf8'),
        object,
        bytes,
      ]);
    };
    await adopt();
    const after = await deep(lost);
    assert.deepEqual([kindsOf(after), after.validationsPassed], [[], before.validationsPassed]);
    await tamperedWith(stack, client, tenant, lost, async () => {
      await forgeChunk(
        stack,
        client,
        tenant,
        lost,
        'accounts',
        firstField(3, () => '1000000'),
      );
      await adopt();
      assert.deepEqual(kindsOf(await deep(lost)), ['fingerprint_differs']);
    });
  });

  test('is not missed where nobody knows it: the tables are compared no more, and nothing is found', async () => {
    const whole = await deep(backup);
    const { rows: noted } = await client.query('select * from m23.backup_chunks where job_id = $1', [backup]);
    const older = JSON.stringify(await manifestOf(stack, tenant, backup), (name, value: unknown) =>
      name === 'fingerprint' ? undefined : value,
    );
    const less = await tamperedWith(stack, client, tenant, backup, async () => {
      await client.query('update m23.backup_chunks set fingerprint = null where job_id = $1', [backup]);
      await forgeManifest(stack, client, tenant, backup, older);
      return await deep(backup);
    });
    for (const { ordinal, seq, fingerprint } of noted)
      await client.query(
        'update m23.backup_chunks set fingerprint = $4 where job_id = $1 and ordinal = $2 and seq = $3',
        [backup, ordinal, seq, fingerprint],
      );
    const { tables } = await manifestOf(stack, tenant, backup);
    assert.deepEqual([kindsOf(less), less.validationsPassed], [[], whole.validationsPassed - tables.length]);
  });
});

test('a viewer may not test, and a test of one tenant is not seen by another', async () => {
  const body = { test_name: 'x', test_type: 'manual', validation_level: 'basic' };
  assert.deepEqual(refusal(await call(stack, 'recovery-test', await tenant.token('viewer'), body)), [
    403,
    'INSUFFICIENT_PERMISSIONS',
  ]);
  const reply = await recoveryTest(stack, tenant, { backup_job_id: backup });
  const seen = async (one: Tenant): Promise<unknown[]> => {
    const headers = { apikey: stack.anonKey, authorization: `Bearer ${await one.token('viewer')}` };
    return (await (
      await fetch(`${stack.url}/rest/v1/recovery_tests?id=eq.${String(reply.body['testId'])}`, { headers })
    ).json()) as unknown[];
  };
  assert.equal((await seen(tenant)).length, 1);
  assert.deepEqual(await seen(other), []);
});

test('a backup that is still running is not tested', async () => {
  const id = await beginBackup(stack, other);
  await client.query(`update public.backup_jobs set status = 'in_progress' where id = $1`, [id]);
  assert.deepEqual(refusal(await recoveryTest(stack, other, { backup_job_id: id })), [409, 'BACKUP_UNUSABLE']);
});
