// A sample of what `cargo xtask torture` does for as long as one likes: the same code, other places at every run.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';

import { temporaryFolder } from '../dev-command.ts';
import { runCuts } from './cuts.ts';
import { runHostile } from './hostile.ts';
import { runIsolation } from './isolation.ts';
import { runLoad } from './load.ts';
import { type Ends, Report } from './report.ts';

const SEED = Number(process.env['M23_SEED'] ?? Math.floor(Math.random() * 1_000_000));

const UNTIL_DONE: Ends = { at: Infinity, asked: false };

/** A function that nobody has told us of, and that knows no tenants. */
const LEAK = `
  create function public.leak(p_name text) returns setof public.customers
  language sql security definer set search_path = '' as $$ select * from public.customers $$;
  grant execute on function public.leak(text) to authenticated`;

/** A table that everybody may write. */
const OPEN_TABLE = `
  create table public.notices (id int primary key, tenant_id uuid not null, words text);
  insert into public.notices values (1, '22222222-2222-4222-8222-222222222222', 'x');
  grant select, update on public.notices to authenticated`;

function place(t: TestContext, name: string): { stateDir: string; report: Report } {
  const stateDir = join(
    temporaryFolder((remove) => t.after(remove)),
    name,
  );
  mkdirSync(stateDir);
  t.diagnostic(`M23_SEED=${SEED}`);
  return { stateDir, report: new Report(name, (line) => t.diagnostic(line)) };
}

test(`whatever dies at a step, all is done or nothing, and the next call works (M23_SEED=${SEED})`, async (t) => {
  const { stateDir, report } = place(t, 'cuts');
  await runCuts(stateDir, UNTIL_DONE, SEED, report, { operations: 1, cuts: 3 });
  assert.equal(report.counted('distinct cuts made'), 3);
});

describe(`by whatever the catalogue lists (M23_SEED=${SEED})`, () => {
  test("nobody reads or writes what is another tenant's, and no error names what is inside", async (t) => {
    const { stateDir, report } = place(t, 'isolation');
    await runIsolation(stateDir, UNTIL_DONE, SEED, report, { most: 400 });
    assert.ok(report.counted('answered') > 0 && report.counted('refused with 42501') > 0, report.lines.join(', '));
  });

  test('a new function, or table, that knows no tenants is found without a line about it', async (t) => {
    const { stateDir, report } = place(t, 'leaks');
    const found = runIsolation(stateDir, UNTIL_DONE, SEED, report, {
      only: /leak|notices/,
      extra: `${LEAK}; ${OPEN_TABLE}`,
      told: 1000,
    });
    await assert.rejects(found, (error: Error) => {
      assert.match(error.message, /viewer of another tenant: .*"leak".*\n.*shows /);
      assert.match(error.message, /user without a tenant: .*update "public"\."notices".*\n.*writes into notices/);
      return true;
    });
  });
});

test(`a mutated archive or token is refused, or changes nothing that it should not (M23_SEED=${SEED})`, async (t) => {
  const { stateDir, report } = place(t, 'hostile');
  await runHostile(stateDir, UNTIL_DONE, SEED, report, 4);
  assert.equal(report.counted('tokens'), 20);
});

test(`the rows of each tenant under load are those of its own record (M23_SEED=${SEED})`, async (t) => {
  const { stateDir, report } = place(t, 'load');
  await runLoad(stateDir, UNTIL_DONE, SEED, report, { tenants: 4, acts: 12, restMs: 20 });
  t.diagnostic(report.lines.join('; '));
});
