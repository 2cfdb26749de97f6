// The tables of a history of capture, and what an application's own triggers do to them.

/** Two tenants, and how a column names them. */
export interface TenantColumn {
  type: string;
  /** As callers name them. */
  tenants: readonly [string, string];
  /** As the application may write them. */
  spellings: readonly string[];
}

/** A column of a type, with two tenants as callers name them, and other ways to write them. */
export function tenantColumn(type: string, tenants: readonly [string, string], ...more: string[]): TenantColumn {
  return { type, tenants, spellings: [...tenants, ...more] };
}

const UUIDS = tenantColumn('uuid', ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b']);

/** Keys are drawn from 1 to this. */
export const KEYS = 60;

/** A column whose values may be wide. */
export interface WideColumn {
  name: string;
  /** An expression of the column's type that holds a text. */
  holding: (text: string) => string;
}

const TEXT = (text: string): string => text;
const BYTES = (text: string): string => `convert_to(${text}, 'UTF8')`;
const LIST = (text: string): string => `array[${text}, null]`;
const JSONB = (text: string): string => `jsonb_build_object('v', ${text})`;
const JSON_OF = (text: string): string => `json_build_object('v', ${text}, 'v', 1)`;
const XML = (text: string): string => `xmlelement(name v, ${text})`;

export const BODY: WideColumn = { name: 'body', holding: TEXT };
export const NOTE: WideColumn = { name: 'note', holding: TEXT };
export const DOC: WideColumn = { name: 'doc', holding: JSONB };
export const RAW: WideColumn = { name: 'raw', holding: BYTES };
export const TAGS: WideColumn = { name: 'tags', holding: LIST };
export const AS_GIVEN: WideColumn = { name: 'given', holding: JSON_OF };
export const MARKUP: WideColumn = { name: 'markup', holding: XML };

/** Every table has id, parent and views, and some wide columns; and tenant_id, unless a row is its parent's tenant's. */
export interface Table {
  /** With its schema, as SQL writes it. */
  name: string;
  /** The table that `parent` refers to. */
  parent?: string;
  wide: readonly WideColumn[];
  /** What tenant_id is; a uuid, if nothing is said. */
  tenant?: TenantColumn;
  /** The table whose tenants its rows have, through `parent`: it has no tenant_id. */
  through?: Table;
  /** What ON CONFLICT names; a deferrable key can not be named. */
  conflict?: string;
  /** No trigger of the application writes it. */
  calm?: boolean;
  /** No row gets another key. */
  keepsKeys?: boolean;
  /** The key is deferrable, so that rows can exchange keys. */
  swaps?: boolean;
  /** Its partitions. */
  parts?: readonly string[];
}

/** The column that says whose a row is. */
export function ownerOf(table: Table): string {
  return table.through === undefined ? 'tenant_id' : 'parent';
}

/** The tenants of a table's rows, and how they are named. */
export function tenantsOf({ tenant, through }: Table): TenantColumn {
  return through === undefined ? (tenant ?? UUIDS) : tenantsOf(through);
}

/** The parent that is next to a key. */
export function parentFrom(through: Table, from: string | number): string {
  return `(select min(id) from ${through.name} where id >= ${from})`;
}

/** The condition that a live row belongs to the tenant `$1`, through parents as they are. */
export function isTenants(table: Table, row: string): string {
  const { through } = table;
  if (through === undefined) return `lower(${row}.tenant_id::text) = lower($1)`;
  const parent = `${row}p`;
  const belongs = isTenants(through, parent);
  return `exists (select from ${through.name} ${parent} where ${parent}.id = ${row}.parent and ${belongs})`;
}

/** A table's name without its schema. */
export function nameOf(table: Table): string {
  return table.name.slice(table.name.indexOf('.') + 1);
}

/** The statement that inserts one row, if a condition holds; its wide columns hold a text. */
export function insertion(
  table: Table,
  id: string,
  owner: string,
  views: string | number,
  text: string,
  where = '',
): string {
  const columns = ['id', ownerOf(table), 'views', ...table.wide.map(({ name }) => name)].join(', ');
  const values = [id, owner, views, ...table.wide.map(({ holding }) => holding(text))].join(', ');
  return `insert into ${table.name} (${columns}) select ${values} ${where}`;
}

/** Functions and triggers of the application that write the same table from within its statements. */
export function applicationCode(table: Table): string {
  return (table.calm === true ? '' : triggers(table)) + functions(table);
}

function triggers(table: Table): string {
  const { name } = table;
  const own = nameOf(table);
  const absent = `where not exists (select from ${name} where id = old.id)`;
  return `
    create function ${name}_row() returns trigger language plpgsql as $$
    begin
      if pg_trigger_depth() > 3 then return null; end if;
      ${rowTriggerBody(table)}
      return null;
    end $$;
    create function ${name}_gone() returns trigger language plpgsql as $$
    begin
      if pg_trigger_depth() > 3 then return null; end if;
      if old.views % 7 = 0 then update ${name} set views = views + 1 where id = old.id + 1; end if;
      if old.views % 11 = 0 then
        ${insertion(table, 'old.id', `old.${ownerOf(table)}`, 1, `'back'::text`, absent)};
      end if;
      return null;
    end $$;
    create function ${name}_statement() returns trigger language plpgsql as $$
    begin
      if pg_trigger_depth() = 1 and current_setting('fuzz.statements', true) = 'on' then
        perform set_config('fuzz.statements', 'off', true);
        update ${name} set views = views + 1 where id % 10 = length(tg_name) % 10;
        perform set_config('fuzz.statements', 'on', true);
      end if;
      return null;
    end $$;
    create trigger ${own}_row after insert or update on ${name} for each row execute function ${name}_row();
    create trigger ${own}_gone after delete on ${name} for each row execute function ${name}_gone();
    create trigger a_${own} after update or delete on ${name} for each statement execute function ${name}_statement();
    create trigger zzzz_${own} after update on ${name} for each statement execute function ${name}_statement();
    create trigger "AAA_${own}" before update on ${name} for each statement execute function ${name}_statement();
    create trigger zzzzz_${own} before update or delete on ${name} for each statement
      execute function ${name}_statement();
    create constraint trigger late_${own} after update on ${name} deferrable initially deferred
      for each row when (new.views % 31 = 0) execute function ${name}_row();`;
}

function functions(table: Table): string {
  const { name } = table;
  const elsewhere = table.wide.map((column) => `${column.name} = ${column.holding(`'elsewhere'::text`)}`).join(', ');
  return `
    create function ${name}_poke(p_id int) returns int language plpgsql as $$
    begin
      update ${name} set views = views + 1, ${table.wide[0]!.name} = ${table.wide[0]!.holding(`'poked'::text`)}
        where id = p_id;
      return 1;
    exception when triggered_data_change_violation then return 2;
    end $$;
    create function ${name}_back(p_id int) returns void language plpgsql as $$
    declare r ${name};
    begin
      select * into r from ${name} where id = p_id;
      update ${name} set ${elsewhere} where id = p_id;
      update ${name} set ${table.wide.map((column) => `${column.name} = r.${column.name}`).join(', ')} where id = p_id;
    end $$;`;
}

/** The same row, narrow and wide; its neighbours; away and back again; changed and changed back. */
function rowTriggerBody(table: Table): string {
  const { name } = table;
  const [first, last] = [table.wide[0]!, table.wide.at(-1)!];
  return `
      if new.views % 7 = 0 then update ${name} set views = views + 1 where id = new.id; end if;
      if new.views % 11 = 0 then
        update ${name} set ${first.name} = ${first.holding(`new.views || repeat('x', 3000)`)}, views = views + 1
          where id = new.id;
      end if;
      if new.views % 13 = 0 then
        update ${name} set ${last.name} = ${last.holding(`'n' || new.views`)}, views = views + 2 where id = new.id + 1;
      end if;
      if new.views % 17 = 0 then delete from ${name} where id = new.id + 2; end if;
      if new.views % 19 = 0 then
        delete from ${name} where id = new.id;
        ${insertion(table, 'new.id', `new.${ownerOf(table)}`, 1, `'again'::text`)};
        update ${name} set views = 2 where id = new.id;
      end if;
      if new.views % 23 = 0 then
        update ${name} set views = -1 where id = new.id;
        update ${name} set views = new.views + 23 where id = new.id;
      end if;
      if new.views % 29 = 0 then perform ${name}_back(new.id); end if;`;
}
