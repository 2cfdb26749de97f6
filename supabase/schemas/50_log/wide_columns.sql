-- Those of them whose values are long, by what some rows hold: three at most, the longest ones.
create function m23.wide_columns(p_table m23.protected_tables) returns int2[]
language plpgsql volatile set lock_timeout = '200ms' as $$
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
