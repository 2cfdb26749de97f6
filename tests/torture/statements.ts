// What an attacker tries, generated from the catalogue: each statement on each table, and each function with arguments
// that name another tenant's things.
import type pg from 'pg';

import type { Attacker, Neighbours } from './neighbours.ts';

/** `open`: clients have some right on it; of what is closed a few statements show that it is. */
interface Relation {
  schema: string;
  name: string;
  kind: string;
  open: boolean;
  columns: string[];
}
interface Argument {
  name: string;
  type: string;
  kind: string;
  label: string | null;
}
interface Routine {
  schema: string;
  name: string;
  open: boolean;
  arguments: Argument[];
}

export interface Catalogue {
  relations: Relation[];
  routines: Routine[];
}

const OPEN_SCHEMA = `has_schema_privilege('authenticated', n.oid, 'usage')`;
/** Of what is closed to clients. */
const FEW = 2;

/** Everything in schemas that clients, or M23, have. */
export async function readCatalogue(client: pg.Client): Promise<Catalogue> {
  const { rows: relations } = await client.query<Relation>(`
    select n.nspname as schema, c.relname as name, c.relkind as kind,
           ${OPEN_SCHEMA} and has_any_column_privilege('authenticated', c.oid, 'select, insert, update') as open,
           (select coalesce(array_agg(a.attname::text), '{}') from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
               and a.attgenerated = '' and a.attidentity <> 'a') as columns
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('public', 'm23', 'm23_log', 'm23_staging') and c.relkind in ('r', 'p', 'v', 'm', 'S')`);
  const { rows: routines } = await client.query<Routine>(`
    select n.nspname as schema, p.proname as name,
           ${OPEN_SCHEMA} and has_function_privilege('authenticated', p.oid, 'execute') as open, coalesce((
             select jsonb_agg(jsonb_build_object(
                      'name', coalesce(p.proargnames[o], ''), 'type', format_type(t.oid, null), 'kind', t.typtype,
                      'label', (select min(e.enumlabel) from pg_enum e where e.enumtypid = t.oid))
                    order by o)
               from unnest(p.proargtypes) with ordinality a (type, o)
               join pg_type t on t.oid = a.type), '[]') as arguments
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('public', 'm23') and p.prokind = 'f'
       and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)`);
  return { relations, routines };
}

/** Statements on a table, a view or a sequence. The rows that are written are the other tenant's. */
export function onRelation(relation: Relation, neighbours: Neighbours): string[] {
  const all = everyOn(relation, neighbours);
  return relation.open ? all : all.filter((statement) => /^select|delete from/.test(statement));
}

function everyOn({ schema, name, kind, columns }: Relation, { attacked }: Neighbours): string[] {
  const target = `${quoted(schema)}.${quoted(name)}`;
  if (kind === 'S') return [`select nextval('${target}')`, `select last_value from ${target}`];
  const shared = columns.includes('tenant_id');
  const hers = shared ? ` where tenant_id = '${attacked}'` : '';
  const counted = (statement: string): string => `with done as (${statement} returning 1) select count(*) from done`;
  const inserted = (column: string): string =>
    !shared
      ? `(${quoted(column)}) values (default)`
      : column === 'tenant_id'
        ? `(tenant_id) values ('${attacked}')`
        : `(tenant_id, ${quoted(column)}) values ('${attacked}', default)`;
  return [
    readAll(`select * from ${target}`),
    readAll(`select * from ${target}${hers} for update`),
    ...columns.map((column) => counted(`update ${target} set ${quoted(column)} = ${quoted(column)}${hers}`)),
    ...columns.map((column) => counted(`insert into ${target} ${inserted(column)}`)),
    counted(`delete from ${target}${hers}`),
  ];
}

/** Calls of a function, for each kind of thing that the other tenant has; in its name, and in one's own. */
export function onRoutine(routine: Routine, neighbours: Neighbours, attacker: Attacker): string[] {
  const calls = new Set<string>();
  for (const id of neighbours.ids) {
    for (const tenant of [neighbours.attacked, neighbours.attacking]) {
      const values = routine.arguments.map((argument) =>
        argumentValue(argument, {
          id,
          tenant,
          attacked: neighbours.attacked,
          user: attacker.user,
          ids: neighbours.ids,
        }),
      );
      calls.add(readAll(`select * from ${quoted(routine.schema)}.${quoted(routine.name)}(${values.join(', ')}) x`));
    }
  }
  return [...calls].slice(0, routine.open ? undefined : FEW);
}

interface Names {
  id: string;
  tenant: string;
  attacked: string;
  user: string;
  ids: string[];
}

const LITERALS: Record<string, string> = {
  boolean: 'true',
  bytea: `'\\x00'`,
  interval: `'1 day'`,
  'timestamp with time zone': `now() - interval '1 second'`,
  date: 'current_date',
  regclass: `'public.customers'`,
  oid: `'public.customers'::regclass::oid`,
  pg_snapshot: 'pg_current_snapshot()',
  xid8: `'1'`,
  regprocedure: 'null',
};

function argumentValue({ name, type, kind, label }: Argument, names: Names): string {
  if (type === 'uuid') {
    const own = /created_by|initiated_by|user|actor/.test(name) ? names.user : names.id;
    return `'${/tenant/.test(name) ? names.tenant : own}'::uuid`;
  }
  if (type === 'uuid[]') return `'{${names.id}}'::uuid[]`;
  if (type === 'text' || type === 'name' || type === 'character varying') return `${textFor(name, names)}::${type}`;
  if (type === 'text[]')
    return /roles/.test(name) ? `'{owner,admin,operator,viewer}'::text[]` : `'{customers,tasks}'::text[]`;
  if (type === 'json' || type === 'jsonb') return `'${JSON.stringify(bodyOf(names))}'::${type}`;
  if (/^(smallint|integer|bigint|numeric|double precision|real)$/.test(type)) return `1::${type}`;
  if (label !== null) return `'${label}'::${type}`;
  if (/^any/.test(type)) return 'null::public.customers';
  return kind === 'p' || LITERALS[type] === undefined ? `null::${type}` : `(${LITERALS[type]})::${type}`;
}

function textFor(name: string, { tenant, id }: Names): string {
  if (/tenant/.test(name)) return `'${tenant}'`;
  if (/function/.test(name)) return `'pitr-restore'`;
  if (/schema/.test(name)) return `'public'`;
  if (/table/.test(name)) return `'customers'`;
  return /name|reason|search|operation|frequency|zone|order/.test(name) ? `'x'` : `'${id}'`;
}

/** A body that names the other tenant's things under every name that there is. */
function bodyOf({ id, tenant, user }: Names): Record<string, unknown> {
  const named = Object.fromEntries(
    [
      'backupJobId',
      'backup_job_id',
      'baseBackupId',
      'snapshotId',
      'jobId',
      'dr_plan_id',
      'previewId',
      'restore_id',
      'work_id',
      'job_id',
      'lease',
      'test_id',
    ].map((name) => [name, id]),
  );
  return {
    ...named,
    tenantId: tenant,
    tenant_id: tenant,
    created_by: user,
    jobType: 'full',
    dryRun: true,
    confirmRestore: true,
    confirmRollback: true,
    test_name: 'x',
    test_type: 'manual',
    validation_level: 'basic',
  };
}

/** Every row in one text. */
function readAll(select: string): string {
  return `select json_agg(torture_row)::text from (${select}) torture_row`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
