// The shapes of tables that histories of capture are written in: each in a schema of its own.
import {
  AS_GIVEN,
  applicationCode,
  BODY,
  DOC,
  MARKUP,
  NOTE,
  RAW,
  TAGS,
  type Table,
  tenantColumn,
  type WideColumn,
} from './tables.ts';

/** Some tables, and the SQL that makes them. */
export interface Shape {
  name: string;
  tables: readonly Table[];
  sql: string;
  /** How many may write at once; any number, if nothing is said. */
  writers?: number;
}

const WIDE: readonly WideColumn[] = [BODY, NOTE, DOC, RAW, TAGS];

const WIDE_SQL = 'body text, note text, doc jsonb, raw bytea, tags text[]';

const columns = (type: string): string => `tenant_id ${type} not null, views int, ${WIDE_SQL}`;

const COLUMNS = columns('uuid');

/** A table's wide values stay as wide as they are: what is longer than a quarter of a page moves out of the row. */
function uncompressed({ name, wide }: Table): string {
  return `alter table ${name} ${wide.map((column) => `alter ${column.name} set storage external`).join(', ')};`;
}

function protection({ name, through }: Table): string {
  return `select m23.protect_table('${name}'${through === undefined ? '' : `, via => 'parent'`});`;
}

function shape(name: string, tables: readonly Table[], sql: string): Shape {
  const storage = tables.map(uncompressed).join('\n');
  const code = tables.map(applicationCode).join('\n');
  const protect = tables.map(protection).join('\n');
  return { name, tables, sql: `create schema ${name}; ${sql} ${storage} ${code} ${protect}` };
}

function plain(): Shape {
  const tables: Table[] = [
    { name: 'plain.swapping', wide: WIDE, swaps: true },
    { name: 'plain.direct', wide: [BODY, NOTE], conflict: 'id' },
    { name: 'plain.owned', wide: [DOC, BODY], conflict: 'tenant_id, id' },
  ];
  return shape(
    'plain',
    tables,
    `
    create table plain.swapping (id int primary key deferrable initially immediate, parent int, ${COLUMNS});
    create table plain.direct (note text, id int primary key, parent int, body text, tenant_id uuid, views int);
    create table plain.owned (tenant_id uuid, id int, parent int, views int, doc jsonb, body text,
      primary key (tenant_id, id));`,
  );
}

/** Triggers of the application that change a row on its way: its wide columns, its tenant, or that keep it as it is. */
function rewritten(): Shape {
  const tables: Table[] = [
    { name: 'rewritten.bodies', wide: WIDE, swaps: true },
    { name: 'rewritten.owners', wide: [BODY, NOTE], conflict: 'id' },
  ];
  return shape(
    'rewritten',
    tables,
    `
    create table rewritten.bodies (id int primary key deferrable initially immediate, parent int, ${COLUMNS});
    create table rewritten.owners (id int primary key, parent int, ${COLUMNS});
    create function rewritten.bodies_before() returns trigger language plpgsql as $$
    begin
      if new.views % 5 = 0 then new.body := 'b' || new.views || repeat('y', 2500); end if;
      if new.views % 23 = 0 then new.note := 'b' || new.views; end if;
      if new.views % 9 = 0 then new.doc := jsonb_build_object('v', new.views); end if;
      if new.views % 37 = 0 then return null; end if;
      return new;
    end $$;
    create function rewritten.owners_before() returns trigger language plpgsql as $$
    begin
      if new.views % 41 = 0 then new.tenant_id := '00000000-0000-4000-8000-00000000000b'; end if;
      if new.views % 43 = 0 then new.id := new.id + 200; end if;
      if new.views % 3 = 0 then new.note := new.body; end if;
      return new;
    end $$;
    create trigger bodies_before before update on rewritten.bodies for each row
      execute function rewritten.bodies_before();
    create trigger owners_before before insert or update on rewritten.owners for each row
      execute function rewritten.owners_before();`,
  );
}

/** Rows that refer to rows of their own table. */
function reflexive(): Shape {
  const tables: Table[] = [
    { name: 'reflexive.loose', wide: [BODY, NOTE], conflict: 'id', parent: 'reflexive.loose' },
    { name: 'reflexive.tight', wide: [BODY, DOC], conflict: 'id', parent: 'reflexive.tight' },
    { name: 'reflexive.late', wide: [NOTE, BODY], conflict: 'id', parent: 'reflexive.late' },
  ];
  return shape(
    'reflexive',
    tables,
    `
    create table reflexive.loose (id int primary key, ${COLUMNS},
      parent int references reflexive.loose on update cascade on delete set null);
    create table reflexive.tight (id int primary key, ${COLUMNS},
      parent int references reflexive.tight on update cascade on delete cascade);
    create table reflexive.late (id int primary key, ${COLUMNS},
      parent int default 1 references reflexive.late on update set null on delete set default
        deferrable initially deferred);`,
  );
}

/** Parents whose foreign keys and triggers both write their children. */
function family(): Shape {
  const tables: Table[] = [
    { name: 'family.projects', wide: [NOTE], conflict: 'id' },
    { name: 'family.tasks', wide: [BODY, NOTE], conflict: 'id', parent: 'family.projects' },
    { name: 'family.lines', wide: [DOC, BODY], conflict: 'id', parent: 'family.tasks' },
  ];
  return shape(
    'family',
    tables,
    `
    create table family.projects (id int primary key, parent int, ${COLUMNS});
    create table family.tasks (id int primary key, ${COLUMNS},
      parent int references family.projects on delete set null on update cascade);
    create table family.lines (id int primary key, ${COLUMNS},
      parent int references family.tasks on delete cascade on update cascade);
    create function family.project_changed() returns trigger language plpgsql as $$
    begin
      if pg_trigger_depth() > 2 then return null; end if;
      case old.id % 5
        when 0 then update family.tasks set note = 'review' where tenant_id = old.tenant_id;
        when 1 then update family.tasks set views = views + 1 where id = old.id;
        when 2 then delete from family.tasks where id = old.id + 1;
        when 3 then update family.lines set body = 'review' where parent = old.id;
        else update family.tasks set parent = (select min(id) from family.projects) where parent is null and id % 4 = 0;
      end case;
      return null;
    end $$;
    create function family.task_changed() returns trigger language plpgsql as $$
    begin
      if pg_trigger_depth() > 2 then return null; end if;
      case old.id % 4
        when 0 then update family.lines set views = views + 1 where tenant_id = old.tenant_id and id % 3 = 0;
        when 1 then update family.lines set body = 'task ' || old.id where parent = old.id or parent = old.id + 1;
        when 2 then
          with gone as (delete from family.lines where id = old.id returning id, tenant_id)
            insert into family.lines (id, tenant_id, views, body) select id, tenant_id, 0, 'reborn' from gone;
        else update family.projects set views = views + 1 where id = old.id;
      end case;
      return null;
    end $$;
    create trigger changed after delete or update of id on family.projects for each row
      execute function family.project_changed();
    create trigger changed after delete or update of id, parent on family.tasks for each row
      execute function family.task_changed();`,
  );
}

function partitioned(): Shape {
  const tables: Table[] = [
    {
      name: 'partitioned.ranges',
      wide: [BODY, NOTE],
      conflict: 'id',
      parts: ['partitioned.ranges_low', 'partitioned.ranges_middle', 'partitioned.ranges_rest'],
    },
    {
      name: 'partitioned.lists',
      wide: [BODY, DOC],
      conflict: 'tenant_id, id',
      parts: ['partitioned.lists_a', 'partitioned.lists_b'],
    },
  ];
  return shape(
    'partitioned',
    tables,
    `
    create table partitioned.ranges (id int primary key, parent int, ${COLUMNS}) partition by range (id);
    create table partitioned.ranges_low partition of partitioned.ranges for values from (minvalue) to (20);
    create table partitioned.ranges_rest (parent int, ${WIDE_SQL}, views int, gone int, tenant_id uuid not null,
      id int not null);
    alter table partitioned.ranges_rest drop column gone;
    alter table partitioned.ranges attach partition partitioned.ranges_rest for values from (40) to (maxvalue);
    create table partitioned.ranges_middle partition of partitioned.ranges for values from (20) to (40)
      partition by range (id);
    create table partitioned.ranges_twenties partition of partitioned.ranges_middle for values from (20) to (30);
    create table partitioned.ranges_thirties partition of partitioned.ranges_middle for values from (30) to (40);
    create table partitioned.lists (id int, parent int, ${COLUMNS}, primary key (tenant_id, id))
      partition by list (tenant_id);
    create table partitioned.lists_a partition of partitioned.lists
      for values in ('00000000-0000-4000-8000-00000000000a');
    create table partitioned.lists_b partition of partitioned.lists default;`,
  );
}

/** Types without equality or that are kept as text, and columns that are computed. */
function types(): Shape {
  const tables: Table[] = [
    { name: 'types.given', wide: [AS_GIVEN, MARKUP, BODY], swaps: true },
    { name: 'types.computed', wide: [BODY, AS_GIVEN, MARKUP], conflict: 'id' },
  ];
  return shape(
    'types',
    tables,
    `
    create type types.mood as enum ('calm', 'loud');
    create domain types.word as text check (length(value) < 100000);
    create table types.given (id int primary key deferrable initially immediate, parent int,
      tenant_id uuid not null, views int,
      given json, markup xml, body text, mood types.mood default 'loud', seen timestamptz default clock_timestamp());
    create table types.computed (size int generated always as (coalesce(length(body), 0)) stored, id int primary key,
      parent int, tenant_id uuid not null, views int, body types.word,
      shout text generated always as (upper(body)) stored, given json, markup xml,
      span int4range default '[1,9)', ratio float8 default '-0');`,
  );
}

/** Tenants that are named by keys of other types: texts, padded ones, those whose case does not count, whole numbers. */
function keyed(): Shape {
  const tables: Table[] = [
    { name: 'keyed.texts', wide: WIDE, conflict: 'id', tenant: tenantColumn('text', ['cm4x/ä $1', 'acme']) },
    { name: 'keyed.padded', wide: [BODY, NOTE], conflict: 'id', tenant: tenantColumn('char(12)', ['acme', 'birch']) },
    {
      name: 'keyed.folded',
      wide: [DOC, BODY],
      swaps: true,
      tenant: tenantColumn('keyed.citext', ['acme', 'birch'], 'ACME', 'Birch'),
    },
    { name: 'keyed.numbers', wide: [NOTE], conflict: 'tenant_id, id', tenant: tenantColumn('int', ['42', '7']) },
  ];
  return shape(
    'keyed',
    tables,
    `
    create extension citext schema keyed;
    create table keyed.texts (id int primary key, parent int, ${columns('text')});
    create table keyed.padded (id int primary key, parent int, ${columns('char(12)')});
    create table keyed.folded (id int primary key deferrable initially immediate, parent int,
      ${columns('keyed.citext')});
    create table keyed.numbers (${columns('int')}, id int, parent int, primary key (tenant_id, id));`,
  );
}

/** Children that find their tenant through a parent, which is deleted, gets another key, or changes its tenant. */
function children(): Shape {
  const projects: Table = { name: 'children.projects', wide: [NOTE], conflict: 'id', calm: true };
  const through = { parent: projects.name, through: projects };
  const tables: Table[] = [
    projects,
    { name: 'children.tasks', wide: [BODY, NOTE], conflict: 'id', ...through },
    { name: 'children.ideas', wide: [DOC, BODY], swaps: true, ...through },
    { name: 'children.hours', wide: [NOTE], conflict: 'id', ...through },
  ];
  return shape(
    'children',
    tables,
    `
    create table children.projects (id int primary key, parent int, ${COLUMNS});
    create table children.tasks (id int primary key, views int, ${WIDE_SQL},
      parent int references children.projects on delete cascade on update cascade);
    create table children.ideas (id int primary key deferrable initially immediate, views int, ${WIDE_SQL},
      parent int references children.projects on delete set null on update cascade);
    create table children.hours (id int primary key, views int, ${WIDE_SQL},
      parent int default 1 references children.projects on update set null on delete set default
        deferrable initially deferred);
    create index on children.tasks (parent);
    create index on children.ideas (parent);
    create index on children.hours (parent);`,
  );
}

/** Grandchildren, whose parents get other parents. */
function grandchildren(): Shape {
  const projects: Table = {
    name: 'grandchildren.projects',
    wide: [NOTE],
    conflict: 'id',
    calm: true,
    tenant: tenantColumn('text', ['acme', 'birch']),
  };
  const tasks: Table = {
    name: 'grandchildren.tasks',
    wide: [BODY],
    conflict: 'id',
    calm: true,
    parent: projects.name,
    through: projects,
  };
  const through = { parent: tasks.name, through: tasks };
  const tables: Table[] = [
    projects,
    tasks,
    { name: 'grandchildren.lines', wide: [DOC, BODY], conflict: 'id', ...through },
    { name: 'grandchildren.marks', wide: [NOTE], conflict: 'id', ...through },
  ];
  return shape(
    'grandchildren',
    tables,
    `
    create table grandchildren.projects (id int primary key, parent int, ${columns('text')});
    create table grandchildren.tasks (id int primary key, views int, ${WIDE_SQL},
      parent int references grandchildren.projects on delete cascade on update cascade);
    create table grandchildren.lines (id int primary key, views int, ${WIDE_SQL},
      parent int references grandchildren.tasks on delete cascade on update cascade);
    create table grandchildren.marks (id int primary key, views int, ${WIDE_SQL},
      parent int references grandchildren.tasks on delete set null on update cascade deferrable initially deferred);
    create index on grandchildren.tasks (parent);
    create index on grandchildren.lines (parent);
    create index on grandchildren.marks (parent);`,
  );
}

/**
 * Left out: a child that is written while its parent moves to another tenant, by one writer; and a parent that takes a
 * key which another has given up, by keys that stay.
 */
const PATHS: readonly Shape[] = [children(), grandchildren()].map((one) => ({ ...one, writers: 1 }));

/** All of them. */
export const SHAPES: readonly Shape[] = [
  plain(),
  rewritten(),
  reflexive(),
  family(),
  partitioned(),
  types(),
  keyed(),
  ...PATHS,
];
