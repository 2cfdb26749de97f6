// The OpenAPI document, as it is served, and the running stack checked against it by schemathesis.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { createClient } from '@supabase/supabase-js';

import { ROOT } from '../../stack/places.ts';
import type { Stack } from '../../stack/stack.ts';
import { FUNCTIONS } from '../../stack/wrangler-config.ts';
import { temporaryFolder } from '../dev-command.ts';
import { beginBackup, completed } from '../fixtures/functions.ts';
import { openStack } from '../fixtures/stack.ts';
import type { Tenant } from '../fixtures/tenants.ts';
import { hasPython, schemathesis } from './schemathesis/environment.ts';

const SEED = '23';
const NO_PYTHON = 'NOT RUN: schemathesis needs Python 3.10 or newer with venv (python3-venv)';
const python = await hasPython();
if (!python) console.error(`\n${'*'.repeat(80)}\n${NO_PYTHON}\n${'*'.repeat(80)}\n`);

const { stack, client: database } = await openStack();

/** The first demo tenant, whose tables have rows. */
function demoTenant(): Tenant {
  const member = (role: string): Stack['users'][number] =>
    stack.users.find((user) => user.role === role && user.tenantId !== null)!;
  return {
    id: member('owner').tenantId!,
    userId: (role) => member(role).id,
    token: (role) => stack.issuer.accessToken(member(role)),
  };
}

/** What valid requests ask for: what is there. */
async function real(tenant: Tenant): Promise<Record<string, unknown>> {
  const backup = await beginBackup(stack, tenant);
  await completed(database, backup);
  const owner = createClient(stack.url, stack.anonKey, {
    global: { headers: { authorization: `Bearer ${await tenant.token('owner')}` } },
  });
  const snapshot = await owner.rpc('create_pitr_snapshot', {
    p_tenant_id: tenant.id,
    p_snapshot_name: 'by hand',
    p_affected_tables: null,
    p_created_by: tenant.userId('owner'),
  });
  assert.equal(snapshot.error, null);
  const plan = await owner
    .from('dr_plans')
    .insert({
      tenant_id: tenant.id,
      created_by: tenant.userId('owner'),
      plan_name: 'plan',
      rto_minutes: 60,
      rpo_minutes: 60,
      backup_frequency: 'daily',
      backup_types: ['full'],
      retention_days: 30,
      test_frequency: 'monthly',
    })
    .select('id')
    .single();
  assert.equal(plan.error, null);
  const { rows } = await database.query<{ id: string }>('select id from customers where tenant_id = $1 limit 1', [
    tenant.id,
  ]);
  const change = await owner.from('customers').update({ name: 'changed' }).eq('id', rows[0]?.id);
  assert.equal(change.error, null);
  const transactions = await owner.rpc('get_transactions', { p_tenant_id: tenant.id, p_limit: 1 });
  assert.equal(transactions.error, null);
  return {
    tables: ['customers', 'projects', 'tasks'],
    key: rows[0]?.id,
    transaction: (transactions.data as { transaction_id: string }[])[0]?.transaction_id,
    backup,
    snapshot: snapshot.data,
    plan: plan.data?.id,
  };
}

describe('the OpenAPI document', () => {
  test('is served to every origin, as it is in docs', async () => {
    const response = await fetch(`${stack.url}/functions/v1/openapi.json`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    assert.equal(await response.text(), readFileSync(join(ROOT, 'docs', 'openapi.json'), 'utf8'));
  });

  test('is only read', async () => {
    const response = await fetch(`${stack.url}/functions/v1/openapi.json`, { method: 'POST' });
    assert.equal(response.status, 404);
  });

  test('is what the running stack does: schemathesis finds no failure', {
    skip: python ? false : NO_PYTHON,
  }, async () => {
    const tenant = demoTenant();
    const args = [
      'run',
      `${stack.url}/functions/v1/openapi.json`,
      '--header',
      `Authorization: Bearer ${await tenant.token('owner')}`,
      '--seed',
      SEED,
      '--max-examples',
      '5',
      '--workers',
      '4',
      '--continue-on-failure',
      '--no-color',
      '--suppress-health-check',
      'all',
    ];
    const env = {
      ...process.env,
      SCHEMATHESIS_HOOKS: 'hooks',
      PYTHONPATH: join(ROOT, 'tests', 'requests', 'schemathesis'),
      PYTHONDONTWRITEBYTECODE: '1',
      M23_REAL: JSON.stringify(await real(tenant)),
    };
    const program = await schemathesis();
    const { stdout } = await promisify(execFile)(program, args, {
      cwd: temporaryFolder(),
      env,
      maxBuffer: 1 << 26,
    }).catch((error: { stdout?: string; stderr?: string }) => assert.fail(`${error.stdout}\n${error.stderr}`));
    // Each function, its health, and that of the whole.
    assert.match(stdout, new RegExp(`Tested: ${2 * FUNCTIONS.length + 1}\\b`));
  });
});
