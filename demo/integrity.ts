import type pg from 'pg';

/** What was looked at, and what is wrong with it. */
export interface Findings {
  looked: number;
  wrong: string[];
}

/** Every foreign key of a protected table: rows that refer to nothing. */
export async function checkForeignKeys(client: pg.Client): Promise<Findings> {
  const { rows: keys } = await client.query<{ name: string; sql: string }>(`
    select k.conname as name, format('select count(*)::int as orphans from %s c where row(%s) is not null and not exists (select from %s p where (%s) = (%s))',
             k.conrelid::regclass, c.columns, k.confrelid::regclass, p.columns, c.columns) as sql
      from pg_constraint k join m23.protected_tables t on t.relid = k.conrelid,
           lateral (select string_agg(format('c.%I', a.attname), ', ' order by n) as columns
                      from unnest(k.conkey) with ordinality u (attnum, n) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum) c,
           lateral (select string_agg(format('p.%I', a.attname), ', ' order by n) as columns
                      from unnest(k.confkey) with ordinality u (attnum, n) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum) p
     where k.contype = 'f' order by 1`);
  const wrong: string[] = [];
  for (const { name, sql } of keys) {
    const { rows } = await client.query<{ orphans: number }>(sql);
    const orphans = rows[0]?.orphans ?? 0;
    if (orphans > 0) wrong.push(`${name}: ${orphans} row(s) refer to nothing`);
  }
  return { looked: keys.length, wrong };
}

/** Every sequence that numbers a protected table: one that would give out a number again. */
export async function checkSequences(client: pg.Client): Promise<Findings> {
  const { rows: sequences } = await client.query<{ name: string; sql: string }>(`
    select s.oid::regclass::text as name,
           format('select last_value::int as last, (select max(%I) from %s)::int as highest from %s', a.attname, t.relid::regclass, s.oid::regclass) as sql
      from m23.protected_tables t
      join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = t.relid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
      join pg_class s on s.oid = d.objid and s.relkind = 'S'
      join pg_attribute a on a.attrelid = t.relid and a.attnum = d.refobjsubid order by 1`);
  const wrong: string[] = [];
  for (const { name, sql } of sequences) {
    const { rows } = await client.query<{ last: number; highest: number | null }>(sql);
    const { last = 0, highest = null } = rows[0] ?? {};
    if (highest !== null && last < highest) wrong.push(`${name} stands at ${last}, and ${highest} is taken`);
  }
  return { looked: sequences.length, wrong };
}

/** How many entries the application's audit log has. */
export async function auditEntries(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ entries: number }>('select count(*)::int as entries from shop.audit_log');
  return rows[0]?.entries ?? 0;
}

/** Whether the application's audit trigger sees an update; leaves everything as it is. */
export async function auditFires(client: pg.Client, tenant: string): Promise<boolean> {
  const before = await auditEntries(client);
  await client.query('begin');
  await client.query('update shop.orders set memo = memo where tenant_id = $1 and number = 1', [tenant]);
  const after = await auditEntries(client);
  await client.query('rollback');
  return after === before + 1;
}

/** How many types the columns of protected tables have. */
export async function countTypes(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ types: number }>(`
    select count(distinct a.atttypid)::int as types
      from m23.protected_tables t join pg_attribute a on a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped`);
  return rows[0]?.types ?? 0;
}
