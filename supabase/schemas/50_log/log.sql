-- Capture: what every row of a protected table was before each change, in one typed
-- log table per protected table, written by statement-level triggers.
--
-- The log of a key answers two questions about a position:
--   was the key there?   there now, minus the arrivals since, plus the departures
--                        since. Only sums are used, so the order in which triggers of
--                        one statement fire does not matter.
--   what was its row?    the first old image since, in order of change_id. What that
--                        image does not carry is as in the next one that does, or as in
--                        the row that is there (below).
--
--   op  balance  meaning                               carries
--   I     +1     inserted                              the key
--   D     -1     deleted (or truncated)                the old row
--   U      0     updated                               the old row
--   o     -1     an update took this key away          the key
--   n     +1     an update made this key               the key
--   l     -1     the row left for another tenant       the key
--   a     +1     the row arrived from another tenant   the key
--
-- The columns of a log table are c<attnum>: a rename costs nothing. They have types of
-- pg_catalog only; whatever the application could drop or alter is kept as text. A column
-- whose type changes gets another column in the log (m23.log_columns says since when); what
-- is logged is never rewritten.
--
-- A change id is the place in the server's log (WAL) at which the change was noted: a later change of
-- the same row has a larger one, in whichever session, and no sequence of the writer's session is
-- touched, whose lastval() stays as it was. Two transactions can read one place: what is unique is a
-- change id together with its transaction, and the entries of one key never tie.

-- Those codes, and what each is called outside.
create function m23.operations() returns table (op "char", name text)
language sql immutable as $$
  values ('I'::"char", 'INSERT'), ('U', 'UPDATE'), ('D', 'DELETE'), ('o', 'KEY_FROM'), ('n', 'KEY_TO'),
         ('l', 'TENANT_FROM'), ('a', 'TENANT_TO')
$$;

create table m23.log_columns (
  table_id  int not null references m23.protected_tables (id) on delete cascade,
  name      text not null check (name ~ '^c[0-9]+(_[0-9]+)?$'),  -- in the log table
  attnum    int2 not null check (attnum > 0),  -- of the table
  column_name text not null,  -- as it was last seen
  type_name text not null,    -- in the log table
  column_type text not null,  -- in the table, when this column of the log was made
  since     pg_lsn not null,  -- the first change id that has it; 0/0: all
  since_xid xid8 not null default pg_current_xact_id(),
  until_xid xid8,             -- retyped or dropped by this transaction
  generated boolean not null, -- it had been generated before `since`
  primary key (table_id, name)
);
select m23.close_table('m23.log_columns');
comment on table m23.log_columns is 'Which column of a log holds which column of its table, from which change on.';

create table m23.log_parts (
  table_id  int not null references m23.protected_tables (id) on delete cascade,
  part      int not null check (part > 0),
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,                    -- capture has gone on to the next one
  sealed    boolean not null default false, -- its tenants stand in m23.log_tenants
  check (not sealed or closed_at is not null),
  primary key (table_id, part)
);
select m23.close_table('m23.log_parts');
comment on table m23.log_parts is
  'The parts of each log: capture writes into the newest, straight, and old ones are dropped whole.';

-- Columns that an update leaves as they are need not be in its image. They are told in groups: an
-- entry's `unchanged` has the bit of each group that its image does not carry, and is null where it
-- carries all. Only entries of updates that change neither key nor tenant leave a group out. A value
-- that is not there is as in the next image of the key that has it, and as in the live row where
-- there is none: nothing refers to what is older, so that old parts can be dropped.
create table m23.log_groups (
  table_id int not null references m23.protected_tables (id) on delete cascade,
  bit      int not null check (bit between 0 and 30),
  attnums  int2[] not null check (cardinality(attnums) > 0),  -- of the table
  wide     boolean not null, -- one column whose values are long
  in_use   boolean not null default true,
  check (not wide or cardinality(attnums) = 1),
  primary key (table_id, bit)
);
select m23.close_table('m23.log_groups');
comment on table m23.log_groups is
  'Which columns a bit of a log''s `unchanged` stands for. A bit is not given to other columns within a history.';

-- The log of one table ---------------------------------------------------------

-- The log of a table: all its parts, which inherit from it.
create function m23.log_name(p_table_id int) returns text
language plpgsql immutable as $$ begin return 'm23_log.log_' || p_table_id; end $$;

-- One part of a log.
create function m23.part_name(p_table_id int, p_part int) returns text
language plpgsql immutable as $$ begin return format('m23_log.log_%s_%s', p_table_id, p_part); end $$;

-- The part of a log that capture writes into.
create function m23.log_part(p_table_id int) returns text
language plpgsql stable as $$
begin
  return (select m23.log_name(p_table_id) || '_' || max(part) from m23.log_parts where table_id = p_table_id);
end $$;

-- Two that open one at once would both take the next number: the second waits, and takes the one after it.
create function m23.open_log_part(p_table_id int) returns void
language plpgsql as $$
declare v_part int;
begin
  perform pg_advisory_xact_lock(hashtextextended('m23.layout.' || p_table_id, 0));
  v_part := coalesce((select max(part) from m23.log_parts where table_id = p_table_id), 0) + 1;
  update m23.log_parts set closed_at = clock_timestamp() where table_id = p_table_id and closed_at is null;
  insert into m23.log_parts (table_id, part) values (p_table_id, v_part);
  execute format('create table %1$s_%2$s () inherits (%1$s)', m23.log_name(p_table_id), v_part);
  execute format('create index on %s_%s (tenant_id, xid, change_id)', m23.log_name(p_table_id), v_part);
  perform m23.close_table(format('%s_%s', m23.log_name(p_table_id), v_part)::regclass);
  execute format('revoke all on %s_%s from public, anon, authenticated', m23.log_name(p_table_id), v_part);
end $$;

-- The type that a column has in the log.
create function m23.logged_type(p_column m23.column_shape) returns text
language plpgsql immutable as $$ begin return case when p_column.native then p_column.type_name else 'text' end; end $$;

-- The setting that says, to the end of the transaction, that a row's column of a group was changed. A trigger
-- for each row writes it, which fires before the one that logs the statement.
create function m23.group_flag(p_table_id int, p_bit int) returns text
language plpgsql immutable as $$ begin return format('m23.changed_%s_%s', p_table_id, p_bit); end $$;

-- The condition that a row has changed a group.
create function m23.has_changed_group(p_table_id int, p_bit int) returns text
language plpgsql immutable as $$
begin
  return format('pg_catalog.current_setting(%L, true) operator(pg_catalog.=) ''yes''',
                m23.group_flag(p_table_id, p_bit));
end $$;

-- The log's present columns for a table, and the expressions that fill them from a row `r`: with all groups of columns
-- that an image can leave out, none, or some, by what was changed (m23.changed_groups).
create function m23.log_fields(p_table m23.protected_tables, p_keys_only boolean, p_groups text default 'all',
                               out names text, out expressions text)
language plpgsql stable as $$
begin
  select string_agg(f.name, ', ' order by c.attnum),
         string_agg(case when p_groups = 'some' and g.bit is not null
                         then format('case when changed.g%s then %s end', g.bit, e.value) else e.value end,
                    ', ' order by c.attnum)
    into names, expressions
    from m23.columns_of(p_table.relid) c
    join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
   cross join lateral (select case when c.native then format('r.%I', c.name) else m23.text_of(c, 'r') end) e (value)
    left join m23.log_groups g on g.table_id = p_table.id and g.in_use and c.attnum = any (g.attnums)
   where not c.generated and (c.key_ord is not null or not p_keys_only) and (p_groups <> 'none' or g.bit is null);
end $$;

-- The log's column for a key column, which is never retyped: that would begin another history.
create function m23.log_field(p_table m23.protected_tables, p_attnum int2) returns text
language sql stable as
$$ select name from m23.log_columns where table_id = p_table.id and attnum = p_attnum and until_xid is null $$;
