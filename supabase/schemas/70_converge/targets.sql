-- Targets: which tables a restore is to make what of.

-- One table to bring to its wanted rows. They come from the log, as of a moment; or from a
-- query, which may use the parameters of m23.touched_since for that moment.
create type m23.target as (
  tbl     m23.protected_tables,
  moment  m23.moment,
  wanted  text,
  columns text[],  -- those that are planned
  arrived text,    -- of an archive's rows: the keys that came from another tenant since
  path    text,    -- m23.path_of the table: for statements that touch it
  kept    text[],  -- those of the columns that are newer than the wanted rows: a live row keeps its value
  selection jsonb, -- which of the table's changed rows are written (m23.selection_of_table); null: all
  undo    m23.undoing  -- what is taken back of it, if no moment of all its rows is wanted
);

-- A target, by its fields: what makes one names those that it has.
create function m23.new_target(
  p_table m23.protected_tables, p_moment m23.moment default null, p_wanted text default null,
  p_columns text[] default null, p_arrived text default null, p_path text default null, p_kept text[] default null,
  p_selection jsonb default null, p_undo m23.undoing default null
) returns m23.target
language plpgsql immutable as $$
declare v_target m23.target;
begin
  v_target.tbl := p_table;
  v_target.moment := p_moment;
  v_target.wanted := p_wanted;
  v_target.columns := p_columns;
  v_target.arrived := p_arrived;
  v_target.path := p_path;
  v_target.kept := p_kept;
  v_target.selection := p_selection;
  v_target.undo := p_undo;
  return v_target;
end $$;

-- The columns of a table that hold values of their own.
create function m23.stored_columns(p_relid oid) returns text[]
language plpgsql stable as
$$ begin return array(select c.name from m23.columns_of(p_relid) c where not c.generated order by c.attnum); end $$;

-- The columns that were added after a moment.
create function m23.newer_columns(p_table m23.protected_tables, p_moment m23.moment) returns text[]
language plpgsql stable as $$
declare v_newer text[];
begin
  if not exists (select from m23.log_columns l where l.table_id = p_table.id and l.since > '0/0') then
    return '{}';
  end if;
  execute m23.fill($sql$
      select array(select a.attname from pg_attribute a join m23.log_columns l on l.attnum = a.attnum
                    where a.attrelid = $2 and not a.attisdropped and l.table_id = $3 and l.since > '0/0'
                      and {lies_after}
                      and l.since = (select min(f.since) from m23.log_columns f
                                      where f.table_id = $3 and f.attnum = l.attnum)
                    order by a.attnum)$sql$, 'lies_after', m23.lies_after('l.since_xid', '$1'))
    into v_newer using p_moment, p_table.relid, p_table.id;
  return v_newer;
end $$;

-- A table that is to be as the log has it at a moment.
create function m23.logged_target(
  p_table m23.protected_tables, p_moment m23.moment, p_selection jsonb default null
) returns m23.target
language plpgsql stable as $$
begin
  return m23.new_target(p_table, p_moment,
    p_columns => m23.stored_columns(p_table.relid),
    p_path => m23.path_of(p_table.relid),
    p_kept => m23.newer_columns(p_table, p_moment),
    p_selection => p_selection);
end $$;

-- Chosen tables that come from the log are only named at first: most have nothing to do, and are never looked at. So it
-- is with these: what is missing is added.
create function m23.complete_targets(p_targets m23.target[]) returns m23.target[]
language plpgsql stable as $$
begin
  return array(select case when (p_targets[n]).columns is null
                           then m23.logged_target((p_targets[n]).tbl, (p_targets[n]).moment, (p_targets[n]).selection)
                           else p_targets[n] end
                 from generate_subscripts(p_targets, 1) n order by n);
end $$;

-- The targets that there can be something to do for: of those that come from the log, the ones that it has something
-- of.
create function m23.with_entries(p_tenant text, p_targets m23.target[]) returns m23.target[]
language plpgsql volatile as $$
declare
  v_from   xid8 := (select min(coalesce(((t).moment).floor, '0')) from unnest(p_targets) t
                     where (t).wanted is null and ((t).undo).xids is null);
  v_logged int[] := array(select r.table_id from m23.removed_partitions r where r.xid >= v_from);
begin
  v_logged := v_logged || m23.logged_tables(
    array(select (t).tbl.id from unnest(p_targets) t where (t).wanted is null and ((t).undo).xids is null),
    p_tenant, v_from);
  return array(select p_targets[n] from generate_subscripts(p_targets, 1) n
                where (p_targets[n]).wanted is not null
                   or ((p_targets[n]).tbl).id = any (v_logged || ((p_targets[n]).undo).table_ids) order by n);
end $$;

-- The target that a table is, or is a partition of.
create function m23.planned_target(p_targets m23.target[], p_relid oid) returns m23.target
language sql stable as
$$ select t from unnest(p_targets) t where (t).tbl.relid = m23.root_of(p_relid) $$;

-- The search path of a statement that touches another table besides a target's.
create function m23.path_with(p_targets m23.target[], p_target m23.target, p_other oid) returns text
language plpgsql stable as $$
begin
  return case when p_target.path <> '' then p_target.path
              else coalesce((m23.planned_target(p_targets, p_other)).path, m23.path_of(p_other)) end;
end $$;

-- Whether a table was chosen: it is planned, or there is nothing to do for it.
create function m23.is_among(p_targets m23.target[], p_relid oid) returns boolean
language plpgsql volatile as $$
begin
  return exists (select from unnest(p_targets) t where (t).tbl.relid = p_relid)
      or exists (select from m23.plan p join m23.protected_tables k on k.id = p.table_id
                  where k.relid = p_relid and k.id not in (select (t).tbl.id from unnest(p_targets) t));
end $$;
