-- A restore beside the live data makes a copy, which expires. Dropping takes away what M23
-- made and nothing else: whatever somebody has added keeps the whole copy.

create table m23.copies (
  restore_log_id uuid primary key references public.restore_logs (id),
  tenant_id      text not null,
  schema_name    text not null,
  made           boolean not null,  -- the schema, too: it was not there before
  contents       text[] not null default '{}',
  created_by     uuid,
  created_at     timestamptz not null default clock_timestamp(),
  expires_at     timestamptz not null
);
select m23.close_table('m23.copies');
create index copies_tenant on m23.copies (tenant_id);
comment on table m23.copies is 'Restores beside the live data: which schema, whose, and until when.';

insert into m23.settings (name, value, about)
  values ('copy_days', '7', 'how long a restore into a schema of its own is kept');

-- Makes a table like another, with its primary key and no other rule.
create function m23.make_bare(p_table text, p_relid oid, p_path text) returns void
language plpgsql volatile as $$
declare v_column name;
begin
  perform m23.run(p_path, format('create table %s (like %s including generated including identity including comments, '
                                 'primary key (%s))', p_table, m23.qualified_name(p_relid),
                                 (select string_agg(quote_ident(k), ', ') from unnest(m23.key_of(p_relid)) k)));
  for v_column in
    select c.name from m23.columns_of(p_relid) c where c.not_null and c.key_ord is null and c.identity = ''
  loop
    execute format('alter table %s alter column %I drop not null', p_table, v_column);
  end loop;
end $$;

-- Writes the wanted rows that were chosen into a copy; gives how many. Those to which certain things have happened
-- since are the plan's.
create function m23.fill_copy(p_target m23.target, p_tenant text, p_copy text) returns bigint
language plpgsql as $$
begin
  return m23.run_at(p_target, p_tenant, m23.fill($sql$
      insert into {copy} ({columns}) overriding system value select {values} from ({wanted}) w where {is_selected}$sql$,
    'copy', p_copy, 'columns', (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c),
    'values', array_to_string(m23.wanted_values(p_target, false), ', '),
    'wanted', case when p_target.selection ? 'operations'
                     then format('select * from %s where m23_op <> ''D''', m23.diff_name(p_target.tbl))
                   else coalesce(p_target.wanted, m23.statement(
                          p_target.tbl, 'as_of', 'log',
                          m23.log_of((p_target.tbl).id, p_tenant, (p_target.moment).floor))) end,
    'is_selected', case when p_target.selection is null then 'true'
                        when p_target.selection ? 'operations' then m23.is_chosen(p_target, 'w')
                        else m23.is_selected(p_target, 'w') end));
end $$;

-- A schema with everything that hangs on it, wherever it is, and the columns of its tables.
create function m23.schema_contents(p_schema text) returns table (object text, description text)
language sql stable as $$
  with recursive found (classid, objid) as (
    select 'pg_namespace'::regclass::oid, n.oid from pg_namespace n where n.nspname = p_schema
    union
    select d.classid, d.objid from found f join pg_depend d on d.refclassid = f.classid and d.refobjid = f.objid
     where not exists (select from pg_class c
                        where d.classid = 'pg_class'::regclass and c.oid = d.objid
                          and c.relnamespace = 'pg_toast'::regnamespace))
  select concat_ws('.', o.classid, o.objid, o.part), pg_describe_object(o.classid, o.objid, o.part)
    from (select classid, objid, 0 as part from found
          union all
          select f.classid, f.objid, a.attnum from found f
            join pg_class c on f.classid = 'pg_class'::regclass and c.oid = f.objid and c.relkind = 'r'
            join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) o
$$;

-- Makes the schema of a copy where it is not there, and notes the copy.
create function m23.begin_copy(p_restore public.restore_logs) returns void
language plpgsql as $$
declare v_made boolean := not exists (select from pg_namespace where nspname = p_restore.target_schema);
begin
  if v_made then
    execute format('create schema %I', p_restore.target_schema);
  end if;
  insert into m23.copies (restore_log_id, tenant_id, schema_name, made, created_by, expires_at)
    values (p_restore.id, p_restore.tenant_id, p_restore.target_schema, v_made, p_restore.created_by,
            clock_timestamp() + make_interval(days => m23.setting('copy_days')::int));
end $$;

-- Notes what a copy has once it is filled: what is found besides later, somebody has added.
create function m23.end_copy(p_restore public.restore_logs) returns void
language sql as $$
  update m23.copies set contents = array(select object from m23.schema_contents(schema_name))
   where restore_log_id = p_restore.id;
  update public.restore_logs r
     set metadata = r.metadata || jsonb_build_object('copy', jsonb_build_object('expires_at', c.expires_at))
    from m23.copies c where r.id = p_restore.id and c.restore_log_id = r.id;
$$;

-- What somebody has added to a copy, described.
create function m23.added_to_copy(p_copy m23.copies) returns text[]
language sql stable as $$
  select coalesce(array_agg(c.description order by c.description), '{}') from m23.schema_contents(p_copy.schema_name) c
   where c.object <> all (p_copy.contents)
$$;

-- The tables that M23 has made in a copy, as a list for a statement; null for none.
create function m23.tables_of_copy(p_copy m23.copies) returns text
language sql stable as $$
  select string_agg(format('%I.%I', n.nspname, c.relname), ', ')
    from pg_namespace n join pg_class c on c.relnamespace = n.oid and c.relkind = 'r'
   where n.nspname = p_copy.schema_name
     and concat_ws('.', 'pg_class'::regclass::oid, c.oid, 0) = any (p_copy.contents)
$$;
