// The pages of docs/api: every curl runs as it stands and prints what the page says; nothing is left out.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { ROOT } from '../../stack/places.ts';
import { FUNCTIONS } from '../../stack/wrangler-config.ts';
import { backUp, userOf } from '../fixtures/client.ts';
import { blocksOf, pageText, runBlocks } from '../fixtures/page.ts';
import { openStack } from '../fixtures/stack.ts';

interface Schema {
  $ref?: string;
  properties?: Record<string, Schema>;
  anyOf?: Schema[];
}

interface Operation {
  requestBody: { content: { 'application/json': { schema: Schema } } };
  responses: Record<
    string,
    { content: { 'application/json': { schema: { allOf?: [Schema, { properties: { code: { enum: string[] } } }] } } } }
  >;
}

const DOCUMENT = JSON.parse(readFileSync(join(ROOT, 'docs', 'openapi.json'), 'utf8')) as {
  paths: Record<string, { post?: Operation }>;
  components: { schemas: Record<string, Schema> };
};

const { stack, client: database } = await openStack();

/** What a page's reader has at hand: a backup, a moment, a snapshot, and a customer who was changed since. */
async function readersThings(): Promise<Record<string, string>> {
  const user = await userOf(stack, 0, 'owner');
  const { supabase, tenantId, userId } = user;
  const job = await backUp(user);
  const { data: snapshot } = await supabase.rpc('create_pitr_snapshot', {
    p_tenant_id: tenantId,
    p_snapshot_name: 'by hand',
    p_affected_tables: null,
    p_created_by: userId,
  });
  const {
    rows: [row],
  } = await database.query<{ now: Date }>('select clock_timestamp() as now');
  await database.query('select pg_sleep(0.01)');
  assert.equal(
    (
      await supabase
        .from('customers')
        .update({ email: `${Math.random()}@acme.example` })
        .eq('id', 3)
    ).error,
    null,
  );
  return {
    URL: stack.url,
    ANON_KEY: stack.anonKey,
    ACCESS_TOKEN: (await supabase.auth.getSession()).data.session!.access_token,
    USER_ID: userId,
    SERVICE_KEY: stack.serviceRoleKey,
    TENANT_ID: tenantId,
    BACKUP_ID: job.id,
    SNAPSHOT_ID: String(snapshot),
    MOMENT: row!.now.toISOString(),
  };
}

/** The shape of a value: the names and the kinds of what is in it. Rows of tables may have any columns. */
function shape(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0])];
  if (typeof value !== 'object' || value === null) return value === null ? 'string' : typeof value;
  if (['key', 'now', 'then', 'row_key', 'old_values', 'new_values'].includes(name)) return 'a row';
  return Object.fromEntries(
    Object.entries(value)
      .sort()
      .map(([field, inner]) => [field, shape(inner, field)]),
  );
}

for (const page of [...FUNCTIONS, 'rpc', 'history', 'service']) {
  test(`the examples of ${page} do what its page says`, async () => {
    const blocks = blocksOf(`docs/api/${page}.md`);
    const commands = blocks.filter(({ language }) => language === 'sh').map(({ code }) => code);
    assert.ok(commands.length > 0);
    const printed = await runBlocks(commands, ROOT, await readersThings());
    for (const [index, block] of blocks.entries()) {
      const before = blocks[index - 1];
      const output = before?.language === 'sh' ? (printed[commands.indexOf(before.code)] ?? '') : '';
      if (block.language === 'json')
        assert.deepEqual(shape(JSON.parse(output)), shape(JSON.parse(block.code)), `${before?.code}\n${output}`);
    }
    for (const output of printed) assert.doesNotMatch(output, /"success": ?false|"code":/, output);
  });
}

describe('a page', () => {
  for (const name of FUNCTIONS) {
    const { requestBody, responses } = DOCUMENT.paths[`/functions/v1/${name}`]!.post!;

    test(`of ${name} has every field of its request`, () => {
      const text = pageText(`docs/api/${name}.md`);
      for (const field of fieldsOf(requestBody.content['application/json'].schema))
        assert.ok(text.includes(`| \`${field}\` |`), field);
    });

    test(`of ${name} has every code that it answers with, and no other`, () => {
      const errors = pageText(`docs/api/${name}.md`).split('## Errors')[1] ?? '';
      const codes = Object.values(responses).flatMap(
        ({ content }) => content['application/json'].schema.allOf?.[1].properties.code.enum ?? [],
      );
      assert.deepEqual(
        [...new Set(errors.match(/\b[A-Z]+(_[A-Z]+)+\b|\b(UNAVAILABLE|INTERNAL|CONFLICT)\b/g))].sort(),
        codes.sort(),
      );
    });
  }

  test('of all lists every code with its status', () => {
    const table = new Map(
      [...pageText('docs/api/README.md').matchAll(/^\| `([A-Z_]+)` \| (\d+) \|/gm)].map(([, code, status]) => [
        code,
        status,
      ]),
    );
    for (const { post } of Object.values(DOCUMENT.paths)) {
      for (const [status, { content }] of Object.entries(post?.responses ?? {})) {
        for (const code of content['application/json'].schema.allOf?.[1].properties.code.enum ?? [])
          assert.equal(table.get(code), status, code);
      }
    }
  });
});

function fieldsOf({ $ref, properties, anyOf }: Schema): string[] {
  const named = $ref === undefined ? [] : fieldsOf(DOCUMENT.components.schemas[$ref.split('/').at(-1)!]!);
  return [...named, ...Object.keys(properties ?? {}), ...(anyOf ?? []).flatMap(fieldsOf)];
}
