import type { SupabaseClient } from '@supabase/supabase-js';
import type pg from 'pg';

import { StackFailure } from '../stack/failure.ts';

/** What was done to the tenant's data. */
export interface Damage {
  what: string;
  rows: number;
}

/** What happened on a bad morning, in its order; $1 is the tenant. */
const MISHAPS: readonly { what: string; sql: string }[] = [
  {
    what: 'customers deleted, their orders with them',
    sql: `delete from shop.customers where tenant_id = $1 and "Loyalty No" % 15 = 0`,
  },
  {
    what: 'a branch of the categories deleted',
    sql: `delete from shop.categories where tenant_id = $1 and code = 'c3'`,
  },
  {
    what: 'all payments gone ("just this test shop")',
    sql: `delete from shop."Payments" where tenant_id = $1`,
  },
  {
    what: 'the newest orders deleted',
    sql: `delete from shop.orders where tenant_id = $1 and number > 18000`,
  },
  {
    what: 'the sequence of the orders set back',
    sql: `select setval(pg_get_serial_sequence('shop.orders', 'id'), max(id)) from shop.orders`,
  },
  {
    what: 'test orders, under numbers used before',
    sql: `insert into shop.orders (tenant_id, customer_id, number, status, placed_at)
          select tenant_id, id, 900000 + row_number() over (order by id), 'open', now() from shop.customers where tenant_id = $1 order by id limit 1000`,
  },
  {
    what: 'lines for the test orders',
    sql: `insert into shop.order_lines (order_id, line_no, tenant_id, product_id, quantity, unit_price)
          select o.id, n, o.tenant_id, (select min(id) from shop.products where tenant_id = $1), n, 0.01
            from shop.orders o, generate_series(1, 3) n where o.tenant_id = $1 and o.number > 900000`,
  },
  {
    what: 'customers invented',
    sql: `insert into shop.customers (tenant_id, name, joined) select $1, 'Test ' || n, now() from generate_series(1, 250) n`,
  },
  {
    what: 'prices multiplied by 100',
    sql: `update shop.products set price = price * 100 where tenant_id = $1 and shelf % 3 = 0`,
  },
  {
    what: 'customers overwritten with one mail address',
    sql: `update shop.customers set email = 'test@test.example', home = null, notes = upper(notes) where tenant_id = $1 and tier = 'gold'`,
  },
  {
    what: '-0 to 0, and 1.50 to 1.5: equal, not the same',
    sql: `update shop.customers set balance = trim_scale(balance), spot = point(0, 0) where tenant_id = $1 and spot ~= point(0, 0)`,
  },
  {
    what: 'shelves put aside …',
    sql: `update shop.products set shelf = -shelf where tenant_id = $1 and shelf <= 2000`,
  },
  {
    what: '… and exchanged two by two, though unique',
    sql: `update shop.products set shelf = -shelf + case when shelf % 2 = 0 then -1 else 1 end where tenant_id = $1 and shelf < 0`,
  },
  {
    what: 'keys changed: order lines numbered anew',
    sql: `update shop.order_lines set line_no = line_no + 100 where tenant_id = $1 and product_id % 25 = 0`,
  },
  {
    what: 'categories hung under another',
    sql: `update shop.categories set parent_code = 'c1' where tenant_id = $1 and parent_code is not null`,
  },
];

/** Damages the tenant's data, in SQL and through its own API. */
export async function doDamage(client: pg.Client, api: SupabaseClient, tenant: string): Promise<Damage[]> {
  const done: Damage[] = [];
  for (const { what, sql } of MISHAPS) {
    const { rowCount, command } = await client.query(sql, sql.includes('$1') ? [tenant] : []);
    done.push({ what, rows: command === 'SELECT' ? 0 : (rowCount ?? 0) });
  }
  const { count, error } = await api.from('customers').delete({ count: 'exact' }).like('name', '%customer 1%');
  if (error !== null) throw new StackFailure(`the owner could not delete customers through the API: ${error.message}`);
  done.push({ what: 'public.customers deleted, by the owner over HTTP', rows: count ?? 0 });
  return done;
}

/** What the application's audit triggers saw since an entry: the effects of cascades too. */
export async function auditedSince(client: pg.Client, entry: number): Promise<Record<string, number>> {
  const { rows } = await client.query<{ op: string; rows: number }>(
    'select lower(op) as op, count(*)::int as rows from shop.audit_log where id > $1 group by op order by op',
    [entry],
  );
  return Object.fromEntries(rows.map(({ op, rows: many }) => [op, many]));
}
