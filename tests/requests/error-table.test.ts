// Each code of the contract's table is the answer to what the table says.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import type { Role } from '../../stack/demo-tenants.ts';
import {
  type Body,
  backUp,
  beginBackup,
  call,
  completed,
  lastRestore,
  type Reply,
  refusal,
  restore,
} from '../fixtures/functions.ts';
import { damage, placesOf, stock } from '../fixtures/shop.ts';
import { openShopStack } from '../fixtures/stack.ts';
import { addMember, newTenant, type Tenant, tokenOf } from '../fixtures/tenants.ts';
import { eventually } from '../fixtures/time.ts';

const FULL = { jobType: 'full' };
const FUNCTIONS = ['backup-create', 'backup-restore'] as const;

let tenant: Tenant;
let backup: string;

const { stack, client } = await openShopStack({ limits: { 'backup-create': 200, 'backup-restore': 200 } });

before(async () => {
  tenant = await newTenant(stack, client);
  await stock(client, tenant);
  backup = await backUp(stack, client, tenant);
});

/** A body that would be accepted. */
function good(name: (typeof FUNCTIONS)[number]): Record<string, unknown> {
  return name === 'backup-create' ? FULL : { backupJobId: backup, confirmRestore: true };
}

/** Calls with a body's faults, and checks that nothing came of it and nothing was counted. */
async function faultsOf(name: (typeof FUNCTIONS)[number], body: unknown, role: Role = 'owner'): Promise<string[]> {
  const earlier = await workOf(tenant);
  const reply = await call(stack, name, await tenant.token(role), body);
  assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED'], JSON.stringify(reply.body));
  assert.deepEqual(await workOf(tenant), earlier, 'nothing was begun');
  return reply.body.details ?? [];
}

async function workOf(one: Tenant): Promise<unknown> {
  const { rows } = await client.query(
    `
    select (select count(*) from public.backup_jobs where tenant_id = $1) as backups,
           (select count(*) from public.restore_logs where tenant_id = $1) as restores,
           (select count(*) from m23.requests where tenant_id = $1) as requests`,
    [one.id],
  );
  return rows;
}

function withoutRequestId(reply: Reply): [number, Body, string[]] {
  return [reply.status, reply.body, [...reply.headers.keys()].sort()];
}

describe('AUTH_REQUIRED', () => {
  for (const name of FUNCTIONS) {
    test(`is the answer of ${name} to whoever is not a user`, async () => {
      const tokens = [
        undefined,
        'x',
        stack.anonKey,
        stack.serviceRoleKey,
        await stack.issuer.sign({ sub: tenant.userId('owner') }, { expiresIn: -60 }),
      ];
      for (const token of tokens) {
        const reply = await call(stack, name, token, good(name));
        assert.deepEqual(refusal(reply), [401, 'AUTH_REQUIRED']);
        assert.equal(reply.headers.get('x-ratelimit-limit'), null, 'a stranger learns no limits');
      }
    });
  }
});

describe('TENANT_NOT_FOUND', () => {
  for (const name of FUNCTIONS) {
    test(`is the answer of ${name} to a user of no tenant`, async () => {
      assert.deepEqual(refusal(await call(stack, name, await tokenOf(stack, randomUUID()), good(name))), [
        403,
        'TENANT_NOT_FOUND',
      ]);
    });

    test(`is the answer of ${name} to a user of two tenants who has picked none, or a third`, async () => {
      const user = randomUUID();
      const [first, second, third] = [
        await newTenant(stack, client),
        await newTenant(stack, client),
        await newTenant(stack, client),
      ];
      await addMember(client, first.id, user, 'owner');
      await addMember(client, second.id, user, 'viewer');
      assert.deepEqual(refusal(await call(stack, name, await tokenOf(stack, user), good(name))), [
        403,
        'TENANT_NOT_FOUND',
      ]);
      assert.deepEqual(refusal(await call(stack, name, await tokenOf(stack, user, third.id), good(name))), [
        403,
        'TENANT_NOT_FOUND',
      ]);
      assert.deepEqual(refusal(await call(stack, name, await tokenOf(stack, user, 'no-uuid'), good(name))), [
        403,
        'TENANT_NOT_FOUND',
      ]);
      assert.deepEqual(
        refusal(await call(stack, name, await tokenOf(stack, user, second.id), good(name))),
        [403, 'INSUFFICIENT_PERMISSIONS'],
        'the role in the picked one counts',
      );
      const picked = await call(stack, name, await tokenOf(stack, user, first.id), good(name));
      assert.ok(
        name === 'backup-create' ? picked.status === 200 : picked.body.code === 'BACKUP_NOT_FOUND',
        JSON.stringify(picked.body),
      );
    });
  }
});

describe('INSUFFICIENT_PERMISSIONS', () => {
  for (const [name, role] of [
    ['backup-create', 'viewer'],
    ['backup-restore', 'viewer'],
    ['backup-restore', 'operator'],
  ] as const) {
    test(`is the answer of ${name} to ${role === 'operator' ? 'an' : 'a'} ${role}, and uses no quota`, async () => {
      const earlier = await workOf(tenant);
      assert.deepEqual(refusal(await call(stack, name, await tenant.token(role), good(name))), [
        403,
        'INSUFFICIENT_PERMISSIONS',
      ]);
      assert.deepEqual(await workOf(tenant), earlier);
    });
  }

  test('is the answer of the database to work that no function has admitted', async () => {
    const headers = {
      apikey: stack.anonKey,
      authorization: `Bearer ${await tenant.token('owner')}`,
      'content-type': 'application/json',
    };
    for (const [name, args] of [
      ['m23_begin_backup', { p_backup: FULL }],
      ['m23_begin_restore', { p_restore: { backupJobId: backup } }],
    ] as const) {
      const init = { method: 'POST', headers, body: JSON.stringify({ p_request_id: randomUUID(), ...args }) };
      const response = await fetch(`${stack.url}/rest/v1/rpc/${name}`, init);
      assert.equal(response.status, 403);
    }
  });
});

describe('VALIDATION_FAILED', () => {
  for (const name of FUNCTIONS) {
    test(`of ${name} names an unknown field, and what was meant by it`, async () => {
      const body = {
        ...good(name),
        ...(name === 'backup-create' ? { jobtype: 'full' } : { dryrun: true, confirmrestore: true }),
      };
      const details = await faultsOf(name, body);
      assert.deepEqual(
        details.map((fault) => fault.split(':')[0]),
        name === 'backup-create' ? ['jobtype'] : ['confirmrestore', 'dryrun'],
      );
    });

    test(`of ${name} is the answer to what is not a JSON object`, async () => {
      for (const body of ['', 'full', '{', '[]', 'null', '{"jobType":"full"} x', '{"a":1,"a":1}', '\u0000']) {
        const details = await faultsOf(name, body);
        assert.ok(details.length > 0, body);
      }
    });

    test(`of ${name} names every table that is not one, or not protected`, async () => {
      const details = await faultsOf(name, {
        ...good(name),
        tables: [
          'customers',
          'no_such',
          'shop.audit',
          'SHOP.orders',
          'shop.line items',
          'pg_catalog.pg_class',
          "x'; drop table shop.orders --",
        ],
      });
      assert.equal(details.length, 6, details.join('\n'));
      for (const [i, named] of [
        'no_such',
        'shop.audit',
        'SHOP.orders',
        'shop.line items',
        'pg_catalog.pg_class',
        'drop table',
      ].entries()) {
        assert.match(details[i] ?? '', /^tables/);
        assert.ok(details[i]?.includes(named), `${details[i]} names ${named}`);
      }
    });

    test(`of ${name} names a malformed table`, async () => {
      for (const table of ['', '.', 'a.', '.b', '"orders"', 'x'.repeat(64), 'line\nbreak', 7, null, ['orders']]) {
        const details = await faultsOf(name, { ...good(name), tables: [table] });
        assert.match(details.join(), /^tables/, JSON.stringify(table));
      }
    });

    test(`of ${name} is the answer to an empty list of tables, or none`, async () => {
      for (const tables of [[], 'orders', {}, 7])
        assert.match((await faultsOf(name, { ...good(name), tables })).join(), /^tables/);
    });
  }

  test('of backup-create tells all faults at once', async () => {
    const body = {
      jobType: 'ful',
      backupName: '',
      description: 'x'.repeat(2001),
      tables: ['no_such'],
      baseBackupId: 'x',
      unknown: 1,
    };
    const details = await faultsOf('backup-create', body);
    const fields = new Set(details.map((fault) => fault.split(':')[0]));
    assert.deepEqual([...fields].sort(), ['backupName', 'baseBackupId', 'description', 'jobType', 'tables', 'unknown']);
  });

  test('of backup-create wants jobType, or a jobId alone', async () => {
    assert.match((await faultsOf('backup-create', {})).join(), /^jobType/);
    assert.match((await faultsOf('backup-create', { jobType: 'incremental' })).join(), /^baseBackupId/);
    assert.match((await faultsOf('backup-create', { jobId: randomUUID(), jobType: 'full' })).join(), /^jobType/);
    assert.match((await faultsOf('backup-create', { jobId: '7' })).join(), /^jobId/);
  });

  test('of backup-restore tells all faults at once', async () => {
    const details = await faultsOf('backup-restore', {
      backupJobId: 'x',
      tables: ['no_such'],
      confirmRestore: false,
      targetSchema: 'auth',
      unknown: 1,
    });
    const fields = new Set(details.map((fault) => fault.split(':')[0]));
    assert.deepEqual([...fields].sort(), ['backupJobId', 'confirmRestore', 'tables', 'targetSchema', 'unknown']);
  });

  test('of backup-restore is the answer to whatever does not confirm', async () => {
    for (const confirmRestore of [false, undefined, null, 'true', 1, {}]) {
      assert.match(
        (await faultsOf('backup-restore', { backupJobId: backup, confirmRestore })).join(),
        /^confirmRestore/,
      );
    }
  });

  test("of backup-restore is the answer to a schema that is the system's", async () => {
    for (const targetSchema of [
      'public',
      'auth',
      'm23',
      'm23_log',
      'm23_staging',
      'pg_catalog',
      'pg_new',
      'information_schema',
      'storage',
      'vault',
      'supabase_x',
      '',
      'a b',
      'a"b',
      'x'.repeat(64),
      7,
    ]) {
      assert.match(
        (await faultsOf('backup-restore', { ...good('backup-restore'), targetSchema })).join(),
        /^targetSchema/,
        String(targetSchema),
      );
    }
  });

  test('of backup-restore is the answer to a schema with other content, which stays as it is', async () => {
    await client.query(
      'create schema taken; create view taken.v as select 1 as one; create schema taken_too; create function taken_too.f() returns int language sql as $$ select 1 $$',
    );
    for (const targetSchema of ['taken', 'taken_too', 'shop']) {
      assert.match(
        (await faultsOf('backup-restore', { ...good('backup-restore'), targetSchema })).join(),
        /^targetSchema: "\w+" is not free; choose another name$/,
      );
    }
    assert.equal((await client.query('select * from taken.v')).rowCount, 1);
  });

  test('of backup-restore is the answer to a table that the backup does not have', async () => {
    const part = await backUp(stack, client, tenant, { jobType: 'full', tables: ['shop.accounts', 'shop.orders'] });
    const reply = await restore(stack, tenant, part, { tables: ['shop.Line Items', 'shop.orders'] });
    assert.deepEqual(refusal(reply), [400, 'VALIDATION_FAILED']);
    assert.deepEqual(reply.body.details, ['tables: "shop.Line Items" is not in this backup']);
  });
});

describe('BACKUP_NOT_FOUND', () => {
  test("tells another tenant's backup and a missing one apart in nothing", async () => {
    const stranger = await newTenant(stack, client);
    const foreign = await restore(stack, stranger, backup);
    const missing = await restore(stack, stranger, randomUUID());
    assert.deepEqual(refusal(foreign), [404, 'BACKUP_NOT_FOUND']);
    assert.deepEqual(withoutRequestId(foreign), withoutRequestId(missing));
    const unfit = [
      await restore(stack, stranger, backup, { tables: ['shop.orders'], targetSchema: 'beside' }),
      await restore(stack, stranger, randomUUID(), { tables: ['shop.orders'], targetSchema: 'beside' }),
    ];
    assert.deepEqual(unfit.map(withoutRequestId)[0], unfit.map(withoutRequestId)[1]);
    assert.equal(await lastRestore(client, stranger), undefined, 'no restore was begun');
  });

  test("tells another tenant's job and a missing one apart in nothing", async () => {
    const {
      rows: [job],
    } = await client.query<{ id: string }>(
      `insert into public.backup_jobs (tenant_id, backup_name, job_type, created_by) values ($1, 'later', 'full', $2) returning id`,
      [tenant.id, tenant.userId('owner')],
    );
    const stranger = await newTenant(stack, client);
    const foreign = await call(stack, 'backup-create', await stranger.token('owner'), { jobId: job?.id });
    const missing = await call(stack, 'backup-create', await stranger.token('owner'), { jobId: randomUUID() });
    assert.deepEqual(refusal(foreign), [404, 'BACKUP_NOT_FOUND']);
    assert.deepEqual(withoutRequestId(foreign), withoutRequestId(missing));
  });
});

describe('BACKUP_UNUSABLE', () => {
  test('is the answer to a backup that is unfinished, or has failed', async () => {
    const one = await newTenant(stack, client);
    await stock(client, one);
    const id = await backUp(stack, client, one);
    await damage(client, one);
    const damaged = await placesOf(client, one);
    for (const status of ['pending', 'in_progress', 'failed']) {
      await client.query('update public.backup_jobs set status = $2 where id = $1', [id, status]);
      assert.deepEqual(refusal(await restore(stack, one, id)), [409, 'BACKUP_UNUSABLE'], status);
    }
    assert.deepEqual(await placesOf(client, one), damaged);
  });
});

describe('RESTORE_IN_PROGRESS', () => {
  test('is the answer within a second while another restore waits for its tenant, who alone waits', async () => {
    const writer = await stack.postgres.connect();
    await writer.query('begin');
    await writer.query('update shop.orders set note = note where tenant_id = $1', [tenant.id]);
    const first = restore(stack, tenant, backup);
    await eventually(
      async () => (await lastRestore(client, tenant))?.status,
      (status) => status === 'in_progress',
    );
    const asked = Date.now();
    for (const body of [{}, { targetSchema: 'beside' }]) {
      assert.deepEqual(refusal(await restore(stack, tenant, backup, body)), [409, 'RESTORE_IN_PROGRESS']);
    }
    assert.ok(Date.now() - asked < 1000, `${Date.now() - asked} ms`);
    const other = await newTenant(stack, client);
    await stock(client, other);
    assert.equal(
      (await restore(stack, other, await backUp(stack, client, other))).status,
      200,
      'another tenant is not held up',
    );
    await writer.query('commit');
    await writer.end();
    assert.equal((await first).status, 200);
    assert.equal((await restore(stack, tenant, backup)).status, 200, 'and then there is room again');
  });
});

describe('RATE_LIMIT_EXCEEDED', () => {
  for (const name of FUNCTIONS) {
    test(`is the answer of ${name} when the quota is used up, with the time to wait`, async () => {
      const one = await newTenant(stack, client);
      await client.query(
        `insert into m23.requests (id, tenant_id, user_id, function, counted_at)
        select gen_random_uuid(), $1, $1::text::uuid, $2, clock_timestamp() - interval '50 minutes' from generate_series(1, 199)`,
        [one.id, name],
      );
      const body = name === 'backup-create' ? FULL : { backupJobId: randomUUID(), confirmRestore: true };
      const last = await call(stack, name, await one.token('owner'), body);
      assert.equal(last.headers.get('x-ratelimit-remaining'), '0');
      const now = Math.floor(Date.now() / 1000);
      const reply = await call(stack, name, await one.token('owner'), body);
      assert.deepEqual(refusal(reply), [429, 'RATE_LIMIT_EXCEEDED']);
      assert.equal(reply.headers.get('x-ratelimit-limit'), '200');
      assert.equal(reply.headers.get('x-ratelimit-remaining'), '0');
      const reset = Number(reply.headers.get('x-ratelimit-reset'));
      assert.ok(Math.abs(reset - now - 600) <= 2, 'when the oldest leaves the window');
      assert.ok(Math.abs(Number(reply.headers.get('retry-after')) - 600) <= 2);
    });
  }
});

describe('METHOD_NOT_ALLOWED, NOT_FOUND and PAYLOAD_TOO_LARGE', () => {
  for (const name of FUNCTIONS) {
    test(`are the answers of ${name} before it looks at anything else`, async () => {
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
        assert.deepEqual(refusal(await call(stack, name, undefined, undefined, { method })), [
          405,
          'METHOD_NOT_ALLOWED',
        ]);
      }
      assert.deepEqual(refusal(await call(stack, `${name}/x`, await tenant.token('owner'), good(name))), [
        404,
        'NOT_FOUND',
      ]);
      const large = { ...good(name), unknown: 'x'.repeat(64 * 1024) };
      assert.deepEqual(refusal(await call(stack, name, await tenant.token('owner'), large)), [
        413,
        'PAYLOAD_TOO_LARGE',
      ]);
    });
  }

  test('a body of just under 64 KB is read', async () => {
    const details = await faultsOf('backup-create', { jobType: 'full', unknown: 'x'.repeat(64 * 1024 - 50) });
    assert.deepEqual(details, ['unknown: unknown field']);
  });

  test('an unknown function is not found', async () => {
    for (const name of ['backup', 'Backup-Create', 'backup-create2', '..%2frest']) {
      assert.deepEqual(refusal(await call(stack, name, await tenant.token('owner'), FULL)), [404, 'NOT_FOUND'], name);
    }
  });
});

describe('INTERNAL', () => {
  for (const [name, inside] of [
    ['backup-create', 'm23_begin_backup'],
    ['backup-restore', 'm23_begin_restore'],
  ] as const) {
    test(`is the answer of ${name} to a fault of ours, and tells nothing of it`, async () => {
      const signature = `public.${inside}(uuid, jsonb)`;
      await client.query(`alter function ${signature} rename to m23_mislaid`);
      try {
        const reply = await call(stack, name, await tenant.token('owner'), good(name));
        assert.deepEqual(refusal(reply), [500, 'INTERNAL']);
        assert.equal(reply.body.details, undefined);
      } finally {
        await client.query(`alter function public.m23_mislaid(uuid, jsonb) rename to ${inside}`);
      }
    });
  }
});

describe('UNAVAILABLE', () => {
  test('is the answer of both functions while the database is out of reach, with Retry-After', async () => {
    const tokens = await Promise.all(FUNCTIONS.map(() => tenant.token('owner')));
    await stack.killPostgrest();
    try {
      await Promise.all(
        FUNCTIONS.map(async (name, i) => {
          const reply = await call(stack, name, tokens[i], good(name));
          assert.deepEqual(refusal(reply), [503, 'UNAVAILABLE']);
          assert.ok(Number(reply.headers.get('retry-after')) > 0);
          assert.ok(reply.headers.has('x-ratelimit-limit'));
        }),
      );
    } finally {
      await stack.restartPostgrest();
    }
    await completed(client, await beginBackup(stack, tenant));
  });
});
