import type pg from 'pg';

/** One row as the database shows it. */
export interface Image {
  tenant: string;
  /** The whole row as text, every value as PostgreSQL prints it. */
  text: string;
  /** Which transaction wrote it, and where it lies: both change when a row is rewritten as it was. */
  version: string;
}

/** A protected table's rows of all tenants, by primary key. */
export interface TableImages {
  name: string;
  rows: Map<string, Image>;
}

interface ProtectedTable {
  name: string;
  quoted: string;
  tenant: string;
  key: string;
}

/**
 * Every row of every protected table, straight from the database: nothing of M23 has a part in it
 * but the list of its tables.
 */
export async function takeImages(client: pg.Client): Promise<TableImages[]> {
  const { rows: tables } = await client.query<ProtectedTable>(`
    select m23.public_name(t.relid) as name, t.relid::regclass::text as quoted, quote_ident(m23.tenant_column(t)) as tenant,
           (select string_agg(format('r.%I::text', a.attname), ', ' order by a.attname) from pg_index i
              join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey) where i.indrelid = t.relid and i.indisprimary) as key
      from m23.protected_tables t order by 1`);
  const images: TableImages[] = [];
  for (const table of tables) images.push({ name: table.name, rows: await rowsOf(client, table) });
  return images;
}

async function rowsOf(client: pg.Client, { quoted, tenant, key }: ProtectedTable): Promise<Map<string, Image>> {
  const { rows } = await client.query<[string, string, string, string]>({
    text: `select concat_ws('/', ${key}), r.${tenant}::text, (r.*)::text, concat(r.xmin, ' ', r.ctid) from ${quoted} r`,
    rowMode: 'array',
  });
  return new Map(rows.map(([at, owner, text, version]) => [at, { tenant: owner, text, version }]));
}

/** How many rows a tenant has, and how many bytes their text is. */
export function sizeOf(images: readonly TableImages[], tenant: string): { rows: number; bytes: number } {
  let rows = 0;
  let bytes = 0;
  for (const table of images) {
    for (const image of table.rows.values()) {
      if (image.tenant !== tenant) continue;
      rows += 1;
      bytes += Buffer.byteLength(image.text);
    }
  }
  return { rows, bytes };
}
