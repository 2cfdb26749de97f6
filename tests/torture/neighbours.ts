// Two tenants, one of which is attacked: what it has, and how one knows it again wherever it comes to light.
import { randomUUID } from 'node:crypto';

import type pg from 'pg';

import { seedDemo, TENANTS } from '../../stack/demo-tenants.ts';
import { actAsOwner, preview, recover } from '../fixtures/database.ts';

const [ATTACKING, ATTACKED] = TENANTS;
/** In every value of the tenant that is attacked. */
const MARK = 'canary7c1';

export interface Neighbours {
  attacking: string;
  attacked: string;
  /** An id of each kind of thing that the attacked tenant has. */
  ids: string[];
  /** Whatever must not come to light: ids, and the mark in the values. */
  secrets: string[];
}

/** Somebody who tries. */
export interface Attacker {
  name: string;
  role: 'anon' | 'authenticated';
  claims: Record<string, unknown>;
  user: string;
  /** A member of the tenant itself may read what its role allows. */
  reads?: true;
}

export async function openNeighbours(client: pg.Client): Promise<Neighbours> {
  await seedDemo(client);
  await client.query(`update m23.settings set value = '1' where name = 'restore_wait_seconds'`);
  const owner = randomUUID();
  await actAsOwner(client, ATTACKED.id, owner);
  for (const table of ['projects', 'tasks'])
    await client.query(`update public.${table} set title = '${MARK} ' || title where tenant_id = $1`, [ATTACKED.id]);
  await client.query(`update public.customers set name = '${MARK} ' || name, email = null where tenant_id = $1`, [
    ATTACKED.id,
  ]);
  const {
    rows: [now],
  } = await client.query<{ at: string }>('select m23.iso(clock_timestamp()) as at');
  await client.query('delete from public.tasks where tenant_id = $1', [ATTACKED.id]);
  await recover(client, ATTACKED.id, owner, { targetTimestamp: now?.at, confirmRestore: true });
  await client.query('delete from public.tasks where tenant_id = $1 and id % 2 = 0', [ATTACKED.id]);
  await preview(client, ATTACKED.id, owner, { targetTimestamp: now?.at, dryRun: true, confirmRestore: true });
  await fillRecords(client, owner);
  await client.query(`select set_config('request.jwt.claims', '', false)`);
  const ids = await idsOf(client);
  return {
    attacking: ATTACKING.id,
    attacked: ATTACKED.id,
    ids,
    secrets: [MARK, Buffer.from(MARK).toString('hex'), ATTACKED.id, ...ids],
  };
}

/** A row of every kind of work. */
async function fillRecords(client: pg.Client, owner: string): Promise<void> {
  const {
    rows: [made],
  } = await client.query<{ id: string }>(
    `insert into m23.requests (id, tenant_id, user_id, function)
       values (gen_random_uuid(), $1, $2, 'backup-create') returning id`,
    [ATTACKED.id, owner],
  );
  await client.query(`select public.m23_begin_backup($1, $2)`, [made?.id, { jobType: 'full', backupName: MARK }]);
  await client.query(
    `
    insert into public.pitr_rollbacks (tenant_id, snapshot_id, reason, status)
      select tenant_id, id, '${MARK}', 'failed' from public.pitr_snapshots where tenant_id = $1 limit 1`,
    [ATTACKED.id],
  );
  await client.query(
    `
    insert into public.dr_plans
      (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency, created_by)
      values ($1, '${MARK}', 60, 60, 'daily', 'weekly', $2)`,
    [ATTACKED.id, owner],
  );
  await client.query(
    `
    insert into public.recovery_tests (tenant_id, test_name, test_type, validation_level, status)
      values ($1, '${MARK}', 'manual', 'basic', 'failed')`,
    [ATTACKED.id],
  );
  await client.query(
    `insert into public.health_snapshots (tenant_id, score, parts) values ($1, 61, '{"${MARK}": 1}')`,
    [ATTACKED.id],
  );
}

/** One id of each table that has some, and the users. */
async function idsOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ relid: string; column: string }>(`
    select a.attrelid::regclass::text as relid, quote_ident(a.attname) as column
      from pg_attribute a join pg_class c on c.oid = a.attrelid and c.relkind = 'r'
     where c.relnamespace in ('public'::regnamespace, 'm23'::regnamespace)
       and a.atttypid = 'uuid'::regtype and a.attname <> 'tenant_id'
       and exists (select from pg_attribute o where o.attrelid = c.oid and o.attname = 'tenant_id')`);
  const ids = new Set<string>();
  const { rows: shared } = await client.query<{ id: string }>('select id from m23.incarnations');
  for (const { relid, column } of rows) {
    const {
      rows: [row],
    } = await client.query<{ id: string }>(
      `select ${column}::text as id from ${relid} where tenant_id = $1 and ${column} is not null limit 1`,
      [ATTACKED.id],
    );
    if (row !== undefined && !shared.some(({ id }) => id === row.id)) ids.add(row.id);
  }
  return [...ids];
}

export async function attackersOf(client: pg.Client): Promise<Attacker[]> {
  const member = async (tenant: string, role: string): Promise<Attacker> => {
    const user = randomUUID();
    await client.query('insert into auth.users (id, email) values ($1, $2)', [user, `${user}@test.example`]);
    await client.query('insert into public.tenant_members (tenant_id, user_id, role) values ($1, $2, $3)', [
      tenant,
      user,
      role,
    ]);
    return {
      name: `${role} of ${tenant === ATTACKED.id ? 'the tenant itself' : 'another tenant'}`,
      role: 'authenticated',
      claims: claims(user),
      user,
    };
  };
  const [nobody, anonymous] = [randomUUID(), randomUUID()];
  return [
    { name: 'anon', role: 'anon', claims: { role: 'anon' }, user: nobody },
    { name: 'user without a tenant', role: 'authenticated', claims: claims(nobody), user: nobody },
    {
      name: 'user who picks the tenant',
      role: 'authenticated',
      claims: { ...claims(nobody), app_metadata: { tenant_id: ATTACKED.id } },
      user: nobody,
    },
    {
      name: 'anonymous sign-in',
      role: 'authenticated',
      claims: { ...claims(anonymous), is_anonymous: true },
      user: anonymous,
    },
    await member(ATTACKING.id, 'owner'),
    await member(ATTACKING.id, 'admin'),
    await member(ATTACKING.id, 'operator'),
    await member(ATTACKING.id, 'viewer'),
    { ...(await member(ATTACKED.id, 'viewer')), reads: true },
  ];
}

function claims(sub: string): Record<string, unknown> {
  return { sub, role: 'authenticated', aud: 'authenticated', is_anonymous: false, app_metadata: { provider: 'email' } };
}
