// What is done to an archive: by whoever can write the store, or (forged) the database's record of it as well.
import { gunzipSync, gzipSync } from 'node:zlib';

import { bytesOf, forgeChunk, forgeManifest, manifestOf, objectsOf, prefixOf } from '../fixtures/archive.ts';
import type { BackedUpShop } from '../fixtures/backed-up-shop.ts';
import { oneOf } from './report.ts';

export type Shop = Pick<BackedUpShop, 'stack' | 'client' | 'tenant' | 'other' | 'backup'>;

export interface Mutation {
  name: string;
  /** The database takes it for the right one. */
  forged: boolean;
  /** Does it, and says to what. */
  mutate(shop: Shop, random: () => number): Promise<string>;
}

type Edit = (bytes: Buffer, random: () => number) => Uint8Array;

const EDITS: Record<string, Edit> = {
  'a bit of': (bytes, random) => {
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    return bytes;
  },
  'a stretch of': (bytes, random) => bytes.fill(Math.floor(random() * 256), Math.floor(random() * bytes.length)),
  'the end of': (bytes, random) => bytes.subarray(0, Math.floor(random() * bytes.length)),
  'something after': (bytes) => Buffer.concat([bytes, bytes]),
  'the order within': (bytes, random) => {
    const middle = Math.floor(random() * (bytes.length - 1)) + 1;
    return Buffer.concat([bytes.subarray(middle), bytes.subarray(0, middle)]);
  },
};

/** Values where something else was expected. */
const VALUES: readonly unknown[] = [
  null,
  -1,
  0,
  2 ** 53,
  1e308,
  '',
  'x',
  '../../other',
  '\u0000',
  [],
  {},
  true,
  '0'.repeat(70_000),
];

/** Lines that were not written by a backup. */
const LINES: readonly string[] = [
  '',
  '\\N',
  '\t\t\t',
  '\\.',
  '\\\\',
  '1\t2',
  '\\x00',
  '\u0000',
  '�'.repeat(3),
  "'; drop table shop.accounts; --",
  '{"a":1}',
  '9'.repeat(5000),
];

export const MUTATIONS: readonly Mutation[] = [
  ...Object.entries(EDITS).map(([name, edit]) => ({
    name,
    forged: false,
    mutate: (shop: Shop, random: () => number) => edited(shop, edit, random),
  })),
  { name: 'without', forged: false, mutate: removed },
  { name: 'exchanged', forged: false, mutate: exchanged },
  { name: 'packed anew with other lines', forged: false, mutate: repacked },
  { name: 'a forged manifest with', forged: true, mutate: forgedField },
  { name: 'a forged chunk with', forged: true, mutate: forgedLines },
  { name: 'a forged chunk with rows of another tenant:', forged: true, mutate: othersLines },
];

async function anyObject({ stack, tenant, backup }: Shop, random: () => number): Promise<string> {
  return oneOf(await objectsOf(stack, tenant, backup), random);
}

async function edited(shop: Shop, edit: Edit, random: () => number): Promise<string> {
  const key = await anyObject(shop, random);
  await shop.stack.archives.put(key, edit(await bytesOf(shop.stack, key), random));
  return key;
}

async function removed(shop: Shop, random: () => number): Promise<string> {
  const key = await anyObject(shop, random);
  await shop.stack.archives.delete(key);
  return key;
}

async function exchanged(shop: Shop, random: () => number): Promise<string> {
  const [one, other] = [await anyObject(shop, random), await anyObject(shop, random)];
  const [first, second] = [await bytesOf(shop.stack, one), await bytesOf(shop.stack, other)];
  await shop.stack.archives.put(one, second);
  await shop.stack.archives.put(other, first);
  return `${one} and ${other}`;
}

async function repacked({ stack, tenant, backup }: Shop, random: () => number): Promise<string> {
  const manifest = await manifestOf(stack, tenant, backup);
  const { object } = oneOf(
    manifest.tables.flatMap(({ chunks }) => chunks),
    random,
  );
  const lines = gunzipSync(await bytesOf(stack, object))
    .toString('utf8')
    .split('\n');
  lines.splice(Math.floor(random() * lines.length), 1, oneOf(LINES, random));
  await stack.archives.put(object, gzipSync(lines.join('\n')));
  return object;
}

/** Any field, however deep, with a value that nobody expects there. */
async function forgedField({ stack, client, tenant, backup }: Shop, random: () => number): Promise<string> {
  const manifest: unknown = JSON.parse(
    (await bytesOf(stack, `${prefixOf(tenant, backup)}manifest.json`)).toString('utf8'),
  );
  let place = manifest as Record<string, unknown>;
  const path: string[] = [];
  for (;;) {
    const name = oneOf(Object.keys(place), random);
    path.push(name);
    const inner = place[name];
    const goesOn = typeof inner === 'object' && inner !== null && Object.keys(inner).length > 0 && random() < 0.8;
    if (goesOn) place = inner as Record<string, unknown>;
    else {
      if (random() < 0.2) delete place[name];
      else place[name] = oneOf(VALUES, random);
      break;
    }
  }
  await forgeManifest(stack, client, tenant, backup, JSON.stringify(manifest));
  return path.join('.');
}

async function forgedLines({ stack, client, tenant, backup }: Shop, random: () => number): Promise<string> {
  const table = oneOf(
    (await manifestOf(stack, tenant, backup)).tables.filter(({ chunks }) => chunks.length > 0),
    random,
  ).name;
  const line = oneOf(LINES, random);
  await forgeChunk(stack, client, tenant, backup, table, (lines) => {
    lines.splice(
      Math.floor(random() * lines.length),
      1,
      random() < 0.5 ? line : cell(oneOf(lines, random), line, random),
    );
    return lines;
  });
  return `${table}: ${JSON.stringify(line.slice(0, 40))}`;
}

function cell(line: string, value: string, random: () => number): string {
  const cells = line.split('\t');
  cells[Math.floor(random() * cells.length)] = value;
  return cells.join('\t');
}

async function othersLines({ stack, client, tenant, other, backup }: Shop, random: () => number): Promise<string> {
  const table = oneOf(
    (await manifestOf(stack, tenant, backup)).tables.filter(({ chunks }) => chunks.length > 0),
    random,
  ).name;
  await forgeChunk(stack, client, tenant, backup, table, (lines) =>
    lines.map((line) => (random() < 0.5 ? line.replaceAll(tenant.id, other.id) : line)),
  );
  return table;
}
