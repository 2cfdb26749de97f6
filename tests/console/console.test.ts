// The console in a real browser, against the real stack: from a deletion to its undo, and what it never does.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import type { Page } from 'playwright-core';

import { ROOT } from '../../stack/places.ts';
import { backUp, type User, userOf } from '../fixtures/client.ts';
import { openConsole, signIn } from '../fixtures/console.ts';
import { openStack } from '../fixtures/stack.ts';
import { eventually } from '../fixtures/time.ts';

const LARGEST_BYTES = 200 * 1024;
const PHONE = { viewport: { width: 390, height: 844 } };
const HOSTILE = '<img src=x onerror="document.title=1"><b>bold</b>\u202eevil\u202c';

const { stack, client } = await openStack();
const ui = await openConsole(stack);
let owner: User;
let other: User;

before(async () => {
  owner = await userOf(stack, 0, 'owner');
  other = await userOf(stack, 1, 'owner');
  await backUp(owner, 'nightly');
  await client.query('update public.customers set name = $1, email = $2 where id = 1', [HOSTILE, 'x'.repeat(100_000)]);
  await owner.supabase.from('customers').delete().gt('id', 4).lt('id', 16);
  await owner.supabase.from('customers').update({ email: 'changed@acme.example' }).eq('id', 17);
});

const link = (path: string, user = owner): string => `#/t/${user.tenantId}/${path}`;
const customers = async (): Promise<unknown> => (await owner.supabase.from('customers').select('*').order('id')).data;

/** Goes by keys from the timeline to the preview of the moment before the largest deletion. */
async function toPreview(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Largest deletion in' }).waitFor();
  await page.keyboard.press('i');
  await page.getByText('just before #').first().waitFor();
  await page.locator('.moment').getByText('come back').waitFor();
  await page.getByRole('link', { name: 'Look at the rows' }).click();
  await page.getByRole('button', { name: /^Restore \d+ rows…/ }).waitFor();
}

async function confirm(page: Page): Promise<void> {
  await page.keyboard.press('r');
  const dialog = page.getByRole('dialog');
  assert.equal(await dialog.getByRole('button', { name: /^Restore/ }).isDisabled(), true);
  await dialog.getByLabel('Type').fill(owner.tenantId.slice(0, 8).toUpperCase());
  await dialog.getByRole('button', { name: /^Restore/ }).click();
}

/** Has a call of the edge functions answered with an error. */
async function refuse(
  page: Page,
  name: string,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): Promise<void> {
  await page.route(`**/functions/v1/${name}`, (route) =>
    route.fulfill({ status, headers, json: { success: false, error: 'refused for the test', code } }),
  );
}

describe('the page', () => {
  test('is served with a policy that lets nothing in, and with no secret', async () => {
    const page = await fetch(`${stack.url}/m23/`);
    const policy = page.headers.get('content-security-policy') ?? '';
    for (const part of [
      "default-src 'none'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      `connect-src ${stack.url};`,
      "trusted-types 'none'",
    ])
      assert.ok(policy.includes(part), part);
    assert.doesNotMatch(policy, /unsafe/);
    const config = (await (await fetch(`${stack.url}/m23/config.json`)).json()) as Record<string, unknown>;
    assert.deepEqual(config, { address: stack.url, anonKey: stack.anonKey });
    assert.equal((await fetch(`${stack.url}/m23/nothing.js`)).status, 404);
    assert.equal((await fetch(`${stack.url}/m23`, { redirect: 'manual' })).status, 308);
  });

  test('stays below 200 KB, gzipped', () => {
    const folder = join(ROOT, 'console', 'build', 'assets');
    const bytes = readdirSync(folder).reduce((sum, name) => sum + gzipSync(readFileSync(join(folder, name))).length, 0);
    assert.ok(bytes < LARGEST_BYTES, `${bytes} bytes`);
  });

  test('says when email or password is wrong', async () => {
    const { page, context } = await ui.open(undefined);
    await page.getByLabel('Email').fill('owner@acme.example');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Email or password is wrong.').waitFor();
    await context.close();
  });
});

describe('somebody who has to recover a tenant', () => {
  test('finds the deletion, looks, restores by name, and undoes it', async () => {
    const damaged = await customers();
    const { page, context, complaints } = await ui.open('owner');
    await toPreview(page);
    assert.deepEqual(await customers(), damaged, 'looking changes nothing');
    await page.getByText('comes back').first().waitFor();
    await page.getByText('changed@acme.example').first().waitFor();

    await confirm(page);
    await page.getByRole('heading', { name: /rows are as they were/ }).waitFor();
    assert.notDeepEqual(await customers(), damaged);
    await page.getByText('Possible until').waitFor();

    await page.keyboard.press('u');
    await page.getByRole('dialog').getByText('Every row goes back').waitFor();
    await page.getByRole('button', { name: 'Undo the restore' }).click();
    await page.getByRole('heading', { name: /^Undone: \d+ rows as before/ }).waitFor();
    assert.deepEqual(await customers(), damaged);
    await page.getByRole('link', { name: /then undone/ }).waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('goes from transaction to transaction by arrows, and a link opens the same moment', async () => {
    const { page, context } = await ui.open('owner', link('timeline?range=1h'));
    await page.getByRole('button', { name: 'Largest deletion in' }).waitFor();
    await page.keyboard.press('i');
    const slider = page.getByRole('slider', { name: 'The moment to go back to' });
    const first = await slider.getAttribute('aria-valuetext');
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction(
      (text) => document.querySelector('[role=slider]')?.getAttribute('aria-valuetext') !== text,
      first,
    );
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(
      (text) => document.querySelector('[role=slider]')?.getAttribute('aria-valuetext') === text,
      first,
    );
    await page.reload();
    assert.equal(await slider.getAttribute('aria-valuetext'), first);
    await context.close();
  });

  test('is told what was refused, and what to do: 409, 429, and a session that is over', async () => {
    const { page, context } = await ui.open('owner');
    await toPreview(page);
    await refuse(page, 'pitr-restore', 409, 'RESTORE_IN_PROGRESS');
    await confirm(page);
    await page.getByText('Somebody is restoring this tenant right now.').waitFor();
    await page.getByRole('button', { name: 'Back' }).click();

    await page.unrouteAll();
    await refuse(page, 'pitr-restore', 429, 'RATE_LIMIT_EXCEEDED', { 'retry-after': '1440' });
    await page.getByRole('button', { name: /^Restore \d+ rows…/ }).waitFor();
    await confirm(page);
    await page.getByText('Free again in 24 min.').waitFor();
    await page.getByRole('button', { name: 'Back' }).click();

    await page.unrouteAll();
    await refuse(page, 'pitr-restore', 401, 'AUTH_REQUIRED');
    await page.getByRole('button', { name: /^Restore \d+ rows…/ }).waitFor();
    await confirm(page);
    await page.getByRole('dialog', { name: 'You were signed out' }).waitFor();
    const { hash } = new URL(page.url());
    await page.unrouteAll();
    await signIn(page, stack, 'owner');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal(new URL(page.url()).hash, hash, 'the choice is kept');
    await context.close();
  });

  test('stops a restore that waits for somebody, and nothing is changed', async () => {
    const damaged = await customers();
    const { page, context } = await ui.open('owner');
    await toPreview(page);
    await client.query('begin; lock table public.customers in share mode');
    await confirm(page);
    await page.getByRole('button', { name: 'Stop the restore' }).click();
    await page.getByRole('button', { name: 'Stopping…' }).waitFor();
    await client.query('rollback');
    await page.getByText('It was stopped').first().waitFor();
    assert.deepEqual(await customers(), damaged);
    await context.close();
  });

  test('changes nothing while the browser is offline', async () => {
    const { page, context } = await ui.open('owner');
    await toPreview(page);
    await context.setOffline(true);
    await page.getByText('You are offline.').waitFor();
    assert.equal(await page.getByRole('button', { name: /^Restore \d+ rows…/ }).isDisabled(), true);
    await context.setOffline(false);
    await page.getByText('You are offline.').waitFor({ state: 'detached' });
    assert.equal(await page.getByRole('button', { name: /^Restore \d+ rows…/ }).isDisabled(), false);
    await context.close();
  });

  test('finds a deleted row by its key, and sees its history', async () => {
    const { page, context } = await ui.open('owner', link('find'));
    await page.getByLabel(/^Column = value/).fill('id = 7');
    await page.getByRole('button', { name: 'Find', exact: true }).click();
    await page.getByText(/rows? shown/).waitFor();
    await page.getByRole('link', { name: 'id 7', exact: true }).first().click();
    await page.getByRole('heading', { name: 'customers: id 7' }).waitFor();
    await page
      .getByRole('heading', { name: /^Deleted/ })
      .first()
      .waitFor();
    await page.getByRole('link', { name: 'Look at everything back to just before' }).first().waitFor();
    await context.close();
  });

  test('makes a backup and tests it', async () => {
    const { page, context, complaints } = await ui.open('operator', link('backups'));
    await page.getByRole('button', { name: 'Back up now…' }).click();
    await page.getByRole('button', { name: 'Back up', exact: true }).click();
    await page.getByRole('progressbar').waitFor();
    await page.getByRole('progressbar').waitFor({ state: 'detached' });
    await page.getByText('2 backups').first().waitFor();
    await page.getByRole('button', { name: 'Test the newest…' }).click();
    await page.getByRole('button', { name: 'Test', exact: true }).click();
    await page.getByText('restored, every row the same').waitFor({ timeout: 20_000 });
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('sees text where a row holds markup, marks of direction, and a long text', async () => {
    const { page, context, complaints } = await ui.open('owner', link('find?table=customers&operation=UPDATE'));
    await page.getByRole('heading', { name: 'Rows of customers' }).waitFor();
    await page.goto(`${stack.url}/m23/${link(`row/customers/${encodeURIComponent('{"id":1}')}`)}`);
    await page.getByText('<img src=x onerror=', { exact: false }).first().waitFor();
    await page.getByText('U+202E').first().waitFor();
    assert.equal(await page.locator('main img, main .val b').count(), 0);
    assert.ok(((await page.locator('main').textContent()) ?? '').length < 20_000, 'a long text is cut');
    assert.deepEqual(complaints, []);
    await context.close();
  });
});

describe('who may not', () => {
  test('a viewer sees proof and restores, no values and no buttons that change anything', async () => {
    const { page, context } = await ui.open('viewer');
    await page.getByText('of 100').waitFor();
    assert.equal(await page.getByRole('link', { name: 'Timeline' }).count(), 0);
    assert.equal(await page.getByRole('button', { name: /Back up|Test/ }).count(), 0);
    for (const path of ['timeline', 'find', 'preview?at=2026-01-01T00:00:00Z']) {
      await page.goto(`${stack.url}/m23/${link(path)}`);
      await page.getByText('Nothing here, or not yours').waitFor();
    }
    await page.goto(`${stack.url}/m23/${link('restores')}`);
    await page
      .getByText(/then undone/)
      .first()
      .click();
    await page.getByRole('region', { name: 'Result' }).waitFor();
    assert.equal(await page.getByRole('button', { name: /Undo/ }).count(), 0);
    await context.close();
  });

  test('an operator looks at rows, and cannot restore them', async () => {
    const { page, context } = await ui.open('operator');
    await page.getByRole('button', { name: 'Largest deletion in' }).click();
    await page.getByRole('link', { name: 'Look at the rows' }).click();
    await page.getByText('Owners and admins may restore them.').waitFor();
    assert.equal(await page.getByRole('button', { name: /^Restore/ }).count(), 0);
    await context.close();
  });

  test('a member of several tenants changes none but the one that is picked', async () => {
    const who = [other.tenantId, owner.userId];
    await client.query("insert into public.tenant_members (tenant_id, user_id, role) values ($1, $2, 'owner')", who);
    const at = new Date().toISOString();
    await other.supabase.from('customers').update({ email: 'new@birch.example' }).lt('id', 5);
    const { page, context } = await ui.open('owner', link(`preview?at=${at}`, other));
    await page.getByText('To restore, pick this tenant in your application.').waitFor();
    assert.equal(await page.getByRole('button', { name: /^Restore/ }).count(), 0);
    assert.equal(await page.getByRole('combobox', { name: 'Tenant' }).first().inputValue(), other.tenantId);
    await page.goto(`${stack.url}/m23/${link('backups', other)}`);
    await page.getByText('of 100').waitFor();
    assert.equal(await page.getByRole('button', { name: /Back up|Test/ }).count(), 0);
    await context.close();
    await client.query('delete from public.tenant_members where tenant_id = $1 and user_id = $2', who);
  });

  test("another tenant's link looks like one of a tenant that is not there", async () => {
    const { page, context } = await ui.open('owner', link('timeline', other));
    await page.getByText('Nothing here, or not yours').waitFor();
    const foreign = await page.locator('main').textContent();
    await page.goto(`${stack.url}/m23/#/t/nobody/timeline`);
    await page.getByText('Nothing here, or not yours').waitFor();
    assert.equal(await page.locator('main').textContent(), foreign);
    await context.close();
  });
});

describe('every view', () => {
  const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

  /** What axe finds that is serious. */
  async function faults(page: Page): Promise<string[]> {
    return await page.evaluate(async (source) => {
      // The page's policy lets no script in that is not its own; a test's own world may.
      // biome-ignore lint/security/noGlobalEval: axe in the test's page
      if (!('axe' in window)) globalThis.eval(source);
      const found = await (window as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } }).axe.run();
      return found.violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
    }, AXE);
  }
  interface Violation {
    id: string;
    impact: string;
    nodes: { html: string }[];
  }

  for (const [name, options] of [
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['a phone', { ...PHONE, colorScheme: 'light' }],
  ] as const) {
    test(`is accessible and never scrolls sideways: ${name}`, async () => {
      const { page, context } = await ui.open(undefined, '', { ...options, bypassCSP: true });
      const look = async (view: string): Promise<void> => {
        assert.deepEqual(await faults(page), [], view);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${view} is ${over} px too wide`);
      };
      await page.getByLabel('Email').waitFor();
      await look('sign in');
      await signIn(page, stack, 'owner');
      await page.getByRole('button', { name: 'Largest deletion in' }).click();
      await page.locator('.moment').getByText('come back').waitFor();
      await look('timeline');
      await page.getByRole('link', { name: 'Look at the rows' }).click();
      await page.getByRole('button', { name: /^Restore \d+ rows…/ }).click();
      await look('preview');
      for (const [view, there] of [
        ['find', '.found'],
        [`row/customers/${encodeURIComponent('{"id":7}')}`, '.hist'],
        ['restores', '.g-res'],
        ['backups', '.proof'],
      ] as const) {
        await page.goto(`${stack.url}/m23/${link(view)}`);
        await page.reload();
        await page.locator(there).first().waitFor();
        await look(view);
      }
      await context.close();
    });
  }
});

describe('many rows', () => {
  test('are fetched where somebody looks, and few of them stand in the page', async () => {
    const { rows } = await client.query<{ at: string }>('select clock_timestamp() as at');
    const at = new Date(rows[0]!.at).toISOString();
    await client.query(
      `insert into public.customers (id, tenant_id, name) select n, $1, 'Many ' || n from generate_series(100001, 103000) n`,
      [owner.tenantId],
    );
    const { page, context } = await ui.open('owner', link(`preview?at=${at}&table=customers`));
    await page.getByText('100001').first().waitFor();
    await eventually(
      async () => {
        await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
        return await page.getByText('103000').count();
      },
      (found) => found > 0,
    );
    assert.ok((await page.locator('.long .prow').count()) < 100);
    await context.close();
  });
});
