-- Groups of columns that an update may leave out of its image: which they are, and how an update
-- tells that it has changed one.

-- Which groups a statement has changed, as a relation of one row with a column for each. It is asked once: asked for each row,
-- the settings would be half of what logging the row costs.
create function m23.changed_groups(p_table_id int) returns text
language sql stable set search_path = '' as $$
  select format('(select %s offset 0) changed',
                string_agg(format('%s as g%s', m23.has_changed_group(p_table_id, g.bit), g.bit), ', ' order by g.bit))
    from m23.log_groups g where g.table_id = p_table_id and g.in_use
$$;

-- The value of `unchanged` for an update: the bits of the groups that nobody has changed; null for none.
create function m23.unchanged_bits(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $$
  select 'nullif(' || string_agg(format('case when changed.g%s then 0 else %s end', g.bit, 1 << g.bit), ' + ' order by g.bit) || ', 0)'
    from m23.log_groups g where g.table_id = p_table.id and g.in_use
$$;

-- The columns that can be left out: of variable length, but for numbers, keys and what foreign keys refer with,
-- by which the order of changes is told. A table of very many columns has none, as a query into its past names each of
-- them twice and can have 1,664; a partitioned table has none: a row that changes its partition
-- fires no trigger for updated rows.
create function m23.groupable_columns(p_table m23.protected_tables) returns table (attnum int2, name text)
language plpgsql stable rows 10 set search_path = '' as $$
begin
  return query
  select a.attnum, a.attname::text
    from pg_attribute a join pg_class c on c.oid = a.attrelid
   where a.attrelid = p_table.relid and c.relkind = 'r' and c.relnatts <= 500 and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     and a.attlen = -1 and a.atttypid <> 'numeric'::regtype and a.attnum <> p_table.tenant_attnum and a.attnum <> all (p_table.key_attnums)
     and not exists (select from pg_constraint k where k.conrelid = a.attrelid and k.contype = 'f' and a.attnum = any (k.conkey))
   order by a.attnum;
end $$;

-- Those of them whose values are long, by what some rows hold: three at most, the longest ones.
create function m23.wide_columns(p_table m23.protected_tables) returns int2[]
language plpgsql volatile set search_path = '' set lock_timeout = '200ms' as $$
declare
  v_query text := (
    select m23.fill($sql$
        select array(select w.attnum from (select {sizes} from (select * from {live} limit 200) r) s,
                            unnest(array[{attnums}]::int2[], array[{bytes}]) w (attnum, bytes)
                      where w.bytes > 500 order by w.bytes desc limit 3)$sql$,
      'sizes', string_agg(format('avg(pg_catalog.pg_column_size(r.%I)) as w%s', g.name, g.attnum), ', '),
      'live', m23.qualified_name(p_table.relid),
      'attnums', string_agg(g.attnum::text, ', '), 'bytes', string_agg('s.w' || g.attnum, ', '))
      from m23.groupable_columns(p_table) g having count(*) > 0);
  v_path  text := m23.path_of(p_table.relid);
  v_wide  int2[];
begin
  if v_query is null then return '{}'; end if;  -- none can be left out
  perform set_config('search_path', v_path, true);
  execute v_query into v_wide;
  return coalesce(v_wide, '{}');
exception when lock_not_available then return '{}';  -- there is a next time
end $$;

-- Brings the groups of a table up to its columns. A group stays as long as its columns do; three long columns
-- have one each, and one is for all others.
create function m23.write_log_groups(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare
  v_columns int2[] := array(select g.attnum from m23.groupable_columns(p_table) g);
  v_wide    int2[] := m23.wide_columns(p_table);
  v_rest    int2[];
begin
  update m23.log_groups set in_use = false where table_id = p_table.id and in_use and not attnums <@ v_columns;
  v_wide := array(select w from unnest(v_wide) with ordinality u (w, n)
                   where not exists (select from m23.log_groups g where g.table_id = p_table.id and g.in_use and g.wide and w = any (g.attnums)) order by n
                   limit greatest(3 - (select count(*) from m23.log_groups g where g.table_id = p_table.id and g.in_use and g.wide), 0));
  v_rest := array(select c from unnest(v_columns) c
                   where c <> all (v_wide) and not exists (select from m23.log_groups g where g.table_id = p_table.id and g.in_use and g.wide and c = any (g.attnums)) order by c);
  if exists (select from m23.log_groups g where g.table_id = p_table.id and g.in_use and not g.wide and g.attnums = v_rest) then
    v_rest := '{}';
  else
    update m23.log_groups set in_use = false where table_id = p_table.id and not wide;
  end if;
  -- Without a bit to give, columns are in every image.
  insert into m23.log_groups (table_id, bit, attnums, wide)
    select p_table.id, bits.used + n.n - 1, n.attnums, n.wide
      from (select coalesce(max(bit), -1) + 1 as used from m23.log_groups where table_id = p_table.id) bits,
           (select w.attnums, w.wide, row_number() over () as n
              from (select array[w], true from unnest(v_wide) w union all select v_rest, false where v_rest <> '{}') w (attnums, wide)) n
     where bits.used + n.n - 1 <= 30;
end $$;

-- The bits of the groups that a column is or has been in: an image that has any of them does not carry it.
create function m23.column_bits(p_table m23.protected_tables, p_attnum int2) returns int
language sql stable set search_path = '' as $$
  select coalesce(bit_or(1 << g.bit), 0) from m23.log_groups g where g.table_id = p_table.id and p_attnum = any (g.attnums)
$$;

-- The groups by bit, as lists of the columns' present names; null where there are none.
create function m23.groups_of(p_table m23.protected_tables) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_agg((select coalesce(jsonb_agg(a.attname order by a.attnum), '[]') from m23.log_groups g join pg_attribute a on a.attnum = any (g.attnums)
                     where g.table_id = p_table.id and g.bit = b.bit and a.attrelid = p_table.relid and not a.attisdropped) order by b.bit)
    from generate_series(0, (select max(g.bit) from m23.log_groups g where g.table_id = p_table.id)) b (bit)
$$;

-- The condition that a column, or a list of them, differs in `old` and `new` by what is stored. A value that lies
-- outside its row, and was not touched, lies where it did, which only a server from 17 on tells.
create function m23.columns_differ(p_columns text[], p_wide text[] default '{}') returns text
language sql stable set search_path = '' as $$
  select concat_ws(' or ',
    (select format('row(%s)::pg_catalog.record operator(pg_catalog.*<>) row(%s)::pg_catalog.record',
                   string_agg(format('old.%I', c), ', '), string_agg(format('new.%I', c), ', '))
       from unnest(p_columns) c where c <> all (p_wide) or not v.knows having count(*) > 0),
    (select string_agg(format('case when pg_catalog.pg_column_toast_chunk_id(old.%1$I) operator(pg_catalog.=) pg_catalog.pg_column_toast_chunk_id(new.%1$I) then false
                                    else row(old.%1$I)::pg_catalog.record operator(pg_catalog.*<>) row(new.%1$I)::pg_catalog.record end', c), ' or ')
       from unnest(p_columns) c where c = any (p_wide) and v.knows))
    from (select current_setting('server_version_num')::int >= 170000) v (knows)
$$;

select m23.close_functions();
