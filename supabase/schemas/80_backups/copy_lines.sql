-- The lines of a chunk: rows in the text format of COPY.

-- One line of COPY's text format for a row `r`: tab-separated, \N for null, and
-- backslash, tab, newline and carriage return escaped. With a list: of these columns only.
create function m23.copy_line(p_relid oid, p_columns text[] default null) returns text
language sql stable as $$
  select string_agg(case
      when c.plain then format('coalesce(%s, ''\N'')', m23.text_of(c, 'r'))
      when c.type_name = 'jsonb'  -- it escapes the others itself
        then format('coalesce(replace((%s) collate "C", ''\'', ''\\''), ''\N'')', m23.text_of(c, 'r'))
      when c.type_name = 'bytea' then format('coalesce(''\'' || r.%I::text, ''\N'')', c.name)
      -- A column's own collation may be one that replace() does not support.
      else format('coalesce(replace(replace(replace(replace((%s) collate "C", ''\'', ''\\''), '
                  'chr(9), ''\t''), chr(10), ''\n''), chr(13), ''\r''), ''\N'')',
                  m23.text_of(c, 'r')) end, ' || chr(9) || ' order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated and (p_columns is null or c.name = any (p_columns))
$$;

-- A sum over lines, whatever their order and however they are cut into chunks: those of a
-- restored copy must come to the same.
create function m23.fingerprint_of(p_lines text[]) returns numeric
language sql immutable as
$$ select coalesce(sum(hashtextextended(l collate "C", 0)), 0) from unnest(p_lines) l $$;

-- PostgREST gives a function's result as raw bytes when its type is called so.
create domain m23."application/octet-stream" as bytea;

-- The key of the n-th live row after a key, null where there are fewer: where the next chunk will end if nothing
-- changes.
create function m23.key_ahead(p_table m23.protected_tables, p_tenant text, p_after text[], p_rows int) returns text[]
language plpgsql volatile as $$
declare
  v_query text := m23.statement(p_table, 'key_ahead', 'limit', '1', 'skipped', (p_rows - 1)::text);
  v_path  text := m23.path_of(p_table.relid);
  v_at    m23.moment;
  v_ahead text[];
begin
  perform set_config('search_path', v_path, true);
  execute v_query into v_ahead using p_tenant, v_at, p_after;
  return v_ahead;
end $$;

-- The key of the first of live rows after so many others. p_live: m23.live_query.
create function m23.key_ahead_query(p_table m23.protected_tables, p_live text, p_skipped text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill('select array[{key}] from ({live} offset {skipped}) r',
    'key', m23.part_key(p_table, false), 'live', p_live, 'skipped', p_skipped);
end $outer$;

-- The key of such a line `r`, as texts.
create function m23.part_key(p_table m23.protected_tables, p_history boolean) returns text
language sql stable as $$
  select case when p_history then 'r.m23_change_id::text, r.m23_xid::text' else
    (select string_agg(m23.text_of(c, 'r'), ', ' order by c.key_ord)
       from m23.columns_of(p_table.relid, p_of_key => true) c) end
$$;
