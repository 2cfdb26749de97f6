import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type pg from 'pg';

import { TENANTS } from '../stack/demo-tenants.ts';
import { ROOT } from '../stack/places.ts';

/** A tenant of the demo's shop. */
export interface Shop {
  id: string;
  name: string;
  customers: number;
}

const [ACME, BIRCH] = TENANTS;

/** The tenant at work is filled last: its rows have the highest numbers. */
export const SHOPS: readonly Shop[] = [
  { id: BIRCH.id, name: BIRCH.name, customers: 4_000 },
  { id: '33333333-3333-4333-8333-333333333333', name: 'Cedar', customers: 2_000 },
  { id: ACME.id, name: ACME.name, customers: 10_000 },
];

/** The tenant that loses data and gets it back. */
export const VICTIM = { ...ACME, owner: `owner@${ACME.domain}` };

/** Makes the shop's tables, fills them, and puts them under protection. */
export async function makeShop(client: pg.Client, filled: (shop: Shop) => void): Promise<void> {
  await client.query(sqlOf('shop-schema.sql'));
  await client.query(sqlOf('shop-rows.sql'));
  for (const shop of SHOPS) {
    await client.query('select shop.add_shop($1, $2)', [shop.id, shop.customers]);
    filled(shop);
  }
  await client.query(sqlOf('shop-guards.sql'));
}

function sqlOf(file: string): string {
  return readFileSync(join(ROOT, 'demo', file), 'utf8');
}
