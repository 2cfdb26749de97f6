// A tenant is named by the text of the application's own key, whatever the column's type: capture, reads of the past and
// restores know it in tables whose columns have different types, and one tenant has one fence.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, beforeEach, describe, test } from 'node:test';

import { ROOT } from '../../stack/places.ts';
import { openDatabase, recover, rowTexts } from '../fixtures/database.ts';

const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';
const UUID = '11111111-1111-4111-8111-111111111111';

/** The types that a tenant column may have, each with two tenants of its own. */
const KINDS: { kind: string; type: string; mine: string; other: string }[] = [
  { kind: 'uuids', type: 'uuid', mine: UUID, other: '22222222-2222-4222-8222-222222222222' },
  { kind: 'ints', type: 'int', mine: '42', other: '7' },
  { kind: 'bigints', type: 'bigint', mine: '42', other: '9007199254740993' },
  { kind: 'texts', type: 'text', mine: 'cm4x/ä"\'%s $1 {tenant}', other: 'acme' },
  { kind: 'varchars', type: 'varchar(40)', mine: UUID, other: 'x' },
  { kind: 'chars', type: 'char(36)', mine: UUID, other: 'short' },
  { kind: 'citexts', type: 'app.citext', mine: 'acme', other: 'Birch' },
  { kind: 'domains', type: 'app.org_id', mine: 'acme', other: '42' },
];

const { client, postgres } = await openDatabase();

const texts = (sql: string, values: unknown[] = []): Promise<string[]> => rowTexts(client, sql, values);
const live = (kind: string, tenant: string): Promise<string[]> =>
  texts(`select * from app.${kind} where tenant = $1`, [tenant]);

async function position(): Promise<string> {
  const { rows } = await client.query<{ position: string }>('select m23.current_position()::text as position');
  return rows[0]!.position;
}

async function membersOf(tenant: string): Promise<void> {
  await client.query(`insert into public.tenant_members values ($1, $2, 'owner') on conflict do nothing`, [
    tenant,
    OWNER,
  ]);
}

/** Takes the tenant to a moment in its owner's name. */
async function restore(tenant: string, targetTimestamp: string): ReturnType<typeof recover> {
  await membersOf(tenant);
  const claims = { sub: OWNER, role: 'authenticated', app_metadata: { tenant_id: tenant } };
  await client.query(`select set_config('request.jwt.claims', $1, false)`, [JSON.stringify(claims)]);
  const done = await recover(client, tenant, OWNER, { targetTimestamp });
  await client.query(`select set_config('request.jwt.claims', '', false)`);
  return done;
}

const now = async (): Promise<string> => {
  const { rows } = await client.query<{ at: string }>(
    `select to_json(clock_timestamp()) #>> '{}' as at, pg_sleep(0.01)`,
  );
  return rows[0]!.at;
};

before(async () => {
  await client.query(`create schema app; create extension citext schema app; create domain app.key as text;
    create domain app.org_id as app.key`);
});

for (const { kind, type, mine, other } of KINDS) {
  describe(`tenants that are ${kind}`, () => {
    beforeEach(async () => {
      await client.query(`drop table if exists app.${kind};
        create table app.${kind} (id int primary key, tenant ${type}, v text); create index on app.${kind} (tenant)`);
      await client.query(`insert into app.${kind} select n, $1, 'mine ' || n from generate_series(1, 5) n`, [mine]);
      await client.query(`insert into app.${kind} select n, $1, 'other ' || n from generate_series(11, 15) n`, [other]);
      await client.query(`select m23.protect_table('app.${kind}', 'tenant')`);
    });

    test('have their rows as of a moment, and nobody else has', async () => {
      const [wanted, at] = [await live(kind, mine), await position()];
      await client.query(`update app.${kind} set v = 'x' where id in (1, 11); delete from app.${kind} where id in (2, 12);
        insert into app.${kind} select 6, tenant, 'new' from app.${kind} where id = 1`);
      const asOf = (tenant: string): Promise<string[]> =>
        texts(`select * from m23.as_of(null::app.${kind}, $1, $2::pg_snapshot)`, [tenant, at]);
      assert.deepEqual(await asOf(mine), wanted);
      assert.equal((await asOf(other)).length, 5);
      assert.deepEqual(await asOf('no such tenant'), []);
      assert.deepEqual(await asOf('99999999999999999999'), []);
    });

    test('are restored with every other tenant untouched', async () => {
      const [wanted, at] = [await live(kind, mine), await now()];
      await client.query(`update app.${kind} set v = 'x' where id in (1, 11); delete from app.${kind} where id in (2, 12);
        insert into app.${kind} select 6, tenant, 'new' from app.${kind} where id = 1;
        update app.${kind} set id = 103 where id = 3`);
      const others = await live(kind, other);
      const done = await restore(mine, at);
      assert.equal(done.error, undefined);
      assert.deepEqual(await live(kind, mine), wanted);
      assert.deepEqual(await live(kind, other), others);
    });

    test("leave rows that have gone to another tenant alone, and take back those that have become nobody's", async () => {
      const at = await now();
      await client.query(`update app.${kind} set tenant = $1 where id = 1`, [other]);
      await client.query(`update app.${kind} set tenant = null where id = 2`);
      const done = await restore(mine, at);
      assert.equal(done.error, undefined);
      assert.match(done.warnings.join('\n'), new RegExp(`${kind}: 1 row\\(s\\) were left alone`));
      assert.deepEqual(await texts(`select id from app.${kind} where tenant = $1`, [mine]), [
        '(2)',
        '(3)',
        '(4)',
        '(5)',
      ]);
    });
  });
}

describe('one tenant in tables of several types', () => {
  test('has one fence, whatever the type', async () => {
    const { rows } = await client.query<{ keys: string }>(`
      select count(distinct k)::text as keys from (values
        ((select m23.fence_key('42'))), (hashtextextended(42::bigint::text, 0))) v (k)`);
    assert.equal(rows[0]!.keys, '1');
    const writer = await postgres.connect();
    try {
      for (const [table, tenant] of [
        ['chars', UUID],
        ['uuids', UUID],
        ['citexts', 'ACME'],
        ['ints', '42'],
      ] as const) {
        await writer.query('begin');
        await writer.query(`insert into app.${table} values (900, $1, 'open')`, [tenant]);
        const {
          rows: [held],
        } = await client.query<{ free: boolean }>('select pg_try_advisory_lock(m23.fence_key($1)) as free', [
          tenant === 'ACME' ? 'acme' : tenant,
        ]);
        await writer.query('rollback');
        assert.equal(held!.free, false, table);
      }
    } finally {
      await writer.end();
    }
  });
});

describe('a tenant that is a uuid in upper case', () => {
  const TENANT = 'abcdef11-1111-4111-8111-111111111111';
  const member = randomUUID();

  /** Calls a function of the API with the tenant in upper case, as somebody. */
  async function called(claims: object, name: string, more: string): Promise<unknown> {
    await client.query(`select set_config('request.jwt.claims', $1, false)`, [JSON.stringify(claims)]);
    try {
      const { rows } = await client.query<{ value: unknown }>(
        `select to_jsonb(array(select to_jsonb(r) from public.${name}(p_tenant_id => $1${more}) r)) as value`,
        [TENANT.toUpperCase()],
      );
      return rows[0]!.value;
    } finally {
      await client.query(`select set_config('request.jwt.claims', '', false)`);
    }
  }

  const user = { sub: member, role: 'authenticated' };
  const service = { role: 'service_role' };

  before(async () => {
    await client.query(`insert into public.tenant_members values ($1, $2, 'owner')`, [TENANT, member]);
    await client.query(`insert into public.backup_jobs (tenant_id, backup_name, job_type) values ($1, 'b', 'full')`, [
      TENANT,
    ]);
  });

  test('is the tenant to every function that takes one', async () => {
    const {
      rows: [found],
    } = await client.query<{ names: string[] }>(`
      select array_agg(p.proname::text order by p.proname) as names from pg_proc p
       where p.pronamespace = 'public'::regnamespace and 'p_tenant_id' = any (p.proargnames)
         and p.proname not like 'm23\\_%'`);
    const range = `, p_since => clock_timestamp() - interval '1 hour', p_until => clock_timestamp()`;
    const arguments_: Record<string, string> = {
      find_rows: `, p_table => 'app.uuids'`,
      get_change_histogram: range,
      get_events: range,
      get_row_history: `, p_table => 'app.uuids', p_key => '{"id": 1}'`,
      get_transaction: `, p_transaction_id => '1'`,
      get_transactions: range,
      calculate_pitr_stats: ', p_target_timestamp => clock_timestamp()',
      create_pitr_snapshot: `, p_snapshot_name => 's', p_affected_tables => null, p_created_by => '${member}'`,
      get_pitr_preview: ', p_target_timestamp => clock_timestamp()',
      get_rows_as_of: `, p_table => 'app.uuids', p_timestamp => clock_timestamp()`,
    };
    const ofService = ['erase_archive_key', 'forget_tenant'];
    const statistics = (await called(user, 'get_backup_statistics', '')) as { total_backups: number }[];
    assert.equal(statistics[0]!.total_backups, 1, 'its own records are found');
    const others = found!.names.filter((name) => !ofService.includes(name));
    assert.ok(others.length >= 12);
    for (const name of others) await called(user, name, arguments_[name] ?? '');
    await called(service, 'erase_archive_key', '');
    await called(service, 'forget_tenant', '');
    const { rows } = await client.query(`
      select 1 from public.audit_log where tenant_id ~ '[A-Z]' union all
      select 1 from m23.key_erasures where tenant_id ~ '[A-Z]' union all
      select 1 from public.pitr_snapshots where tenant_id ~ '[A-Z]' union all
      select 1 from m23.forgotten where tenant_id ~ '[A-Z]' union all
      select 1 from public.backup_jobs where tenant_id = '${TENANT}'`);
    assert.deepEqual(rows, [], 'nothing is recorded under another name, and all was forgotten');
  });
});

test('a column that cannot tell tenants apart is refused, with the types that can', async () => {
  await client.query('create table app.odd (id int primary key, tenant numeric)');
  await assert.rejects(client.query(`select m23.protect_table('app.odd', 'tenant')`), /uuid, text or a whole number/);
});

test('a type that changes to one that its log does not keep suspends the table, and one that it does is no change', async () => {
  const suspended = async (): Promise<unknown> => {
    const { rows } = await client.query(
      `select t.suspended from m23.protected_tables t where t.relid = 'app.ints'::regclass`,
    );
    return rows[0]!.suspended;
  };
  await client.query('alter table app.ints alter tenant type bigint');
  assert.equal(await suspended(), null);
  await client.query('alter table app.ints alter tenant type text');
  assert.equal(await suspended(), 'a tenant column of another type');
});

test('the name of a tenant in the bucket is the one that the Workers and the tool make', async () => {
  const vectors = readFileSync(join(ROOT, 'shared', 'tenant', 'names.tsv'), 'utf8')
    .trimEnd()
    .split('\n');
  for (const [key, name] of vectors.map((line) => line.split('\t'))) {
    const { rows } = await client.query<{ name: string }>('select m23.tenant_name($1) as name', [key]);
    assert.equal(rows[0]!.name, name, key);
  }
});
