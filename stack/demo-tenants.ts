import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type pg from 'pg';

import { ROOT } from './places.ts';

/** A role in a tenant. */
export type Role = 'owner' | 'admin' | 'operator' | 'viewer';

/** A user who can sign in. Development only: everybody can read these passwords. */
export interface DemoUser {
  id: string;
  email: string;
  password: string;
  tenantId: string | null;
  role: Role | null;
  /** Looks after all tenants, and may read no tenant's rows for that. */
  isPlatform?: boolean;
}

/** The two tenants of the development stack. */
export const TENANTS = [
  { id: '11111111-1111-4111-8111-111111111111', name: 'Acme', domain: 'acme.example' },
  { id: '22222222-2222-4222-8222-222222222222', name: 'Birch', domain: 'birch.example' },
] as const;

const ROLES: readonly Role[] = ['owner', 'operator', 'viewer'];

/** Two tenants with an owner, an operator and a viewer each, one user without a tenant, and the operator of the platform. */
export const DEMO_USERS: readonly DemoUser[] = [
  ...TENANTS.flatMap((tenant, t) =>
    ROLES.map((role, r) => ({
      id: `${String(t + 1).repeat(8)}-0000-4000-8000-00000000000${r + 1}`,
      email: `${role}@${tenant.domain}`,
      password: `development-only-${role}`,
      tenantId: tenant.id,
      role,
    })),
  ),
  {
    id: '33333333-0000-4000-8000-000000000001',
    email: 'nobody@nowhere.example',
    password: 'development-only-nobody',
    tenantId: null,
    role: null,
  },
  {
    id: '33333333-0000-4000-8000-000000000002',
    email: 'operator@platform.example',
    password: 'development-only-platform',
    tenantId: null,
    role: null,
    isPlatform: true,
  },
];

/** What only the server can write of a user. */
export function appMetadata({ isPlatform = false }: Pick<DemoUser, 'isPlatform'>): Record<string, unknown> {
  return { provider: 'email', providers: ['email'], ...(isPlatform ? { m23_platform: true } : {}) };
}

/** A table of the demo schema that every member of a tenant can read. */
export const DEMO_TABLE = 'customers';

/**
 * Enters users and members, and makes the demo tables with their rows where they are absent. Rows
 * that somebody has changed since stay changed. Without M23's migrations only the users are made.
 */
export async function seedDemo(client: pg.Client): Promise<void> {
  await seedUsers(client);
  const {
    rows: [found],
  } = await client.query<{ ready: boolean; seeded: boolean }>(`
    select to_regclass('public.tenant_members') is not null
             and to_regproc('m23.protect_table') is not null as ready,
           to_regclass('public.customers') is not null as seeded`);
  if (found === undefined || !found.ready) return;
  await seedMembers(client);
  if (found.seeded) return;
  const sql = readFileSync(join(ROOT, 'stack', 'demo-schema.sql'), 'utf8');
  await client.query(`begin; ${sql}; commit`);
}

async function seedUsers(client: pg.Client): Promise<void> {
  for (const user of DEMO_USERS) {
    await client.query('insert into auth.users (id, email) values ($1, $2) on conflict do nothing', [
      user.id,
      user.email,
    ]);
  }
}

async function seedMembers(client: pg.Client): Promise<void> {
  for (const { tenantId, id, role } of DEMO_USERS) {
    if (tenantId === null) continue;
    await client.query(
      'insert into public.tenant_members (tenant_id, user_id, role) values ($1, $2, $3) on conflict do nothing',
      [tenantId, id, role],
    );
  }
}
