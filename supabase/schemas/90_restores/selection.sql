-- What a request chooses of the rows that have changed.

-- A request's body with the tables that it chooses in `tables`: those in `rows` or `where` where there are any. What
-- `tables` has besides stands in `left_out`.
create function m23.with_choice(p_restore jsonb) returns jsonb
language plpgsql volatile as $$
declare v_chosen text[] := array(select distinct n from unnest(m23.names_in(p_restore -> 'rows')
                                                                || m23.names_in(p_restore -> 'where')) n order by n);
begin
  if v_chosen = '{}' then return p_restore; end if;
  return p_restore || jsonb_build_object('tables', v_chosen, 'left_out', array(
    select n from unnest(m23.list_of(p_restore -> 'tables')) n
     where (m23.find_table(n)).id not in (select t.id from m23.tables_named(v_chosen) t) order by n));
end $$;

-- What to say of tables that a request names to no end.
create function m23.choice_warnings(p_restore jsonb) returns text[]
language plpgsql immutable as $$
begin
  return array(select format('%s is named in tables and was left out: rows and where say what is chosen', n)
                 from unnest(m23.list_of(p_restore -> 'left_out')) n);
end $$;

-- The selection of a body: rows, exceptRows and where by the numbers of their tables, `tables` likewise where related
-- rows come along, operations and withRelated as they are. A mode takes operations away: a row that is missing was
-- deleted, one that would be overwritten was updated. Null where the body selects nothing.
create function m23.selection_of(p_job uuid, p_restore jsonb) returns jsonb
language plpgsql volatile as $$
declare v_selection jsonb := '{}';
begin
  select v_selection || coalesce(jsonb_object_agg(s.field, s.by_table), '{}') into v_selection
    from (select f.field, jsonb_object_agg((m23.table_called(e.key, p_job)).id, e.value) as by_table
            from unnest('{rows,exceptRows,where}'::text[]) f (field)
           cross join lateral jsonb_each(case jsonb_typeof(p_restore -> f.field) when 'object' then p_restore -> f.field
                                              else '{}' end) e
           group by f.field) s;
  select v_selection || coalesce(jsonb_object_agg(e.key, e.value), '{}') into v_selection
    from jsonb_each(p_restore) e where e.key in ('operations', 'withRelated') and e.value <> 'null';
  if p_restore ->> 'mode' in ('missing_only', 'overwrite_existing') then
    v_selection := v_selection || jsonb_build_object('operations', array(
      select o from unnest(array['delete', 'update']) with ordinality u (o, n)
       where (u.n = 1 or p_restore ->> 'mode' = 'overwrite_existing')
         and coalesce(v_selection -> 'operations' ? u.o, true)));
  end if;
  if v_selection ? 'withRelated' and jsonb_typeof(p_restore -> 'tables') = 'array' then
    v_selection := v_selection || jsonb_build_object('tables', array(
      select (m23.table_called(n, p_job)).id from jsonb_array_elements_text(p_restore -> 'tables') n));
  end if;
  return nullif(v_selection, '{}');
end $$;

-- The part of a selection that is about one table; null where everything is selected. `chosen` is false of a table that
-- only related rows can come from.
create function m23.selection_of_table(p_selection jsonb, p_table_id int) returns jsonb
language plpgsql immutable as $$
declare v_id text := p_table_id;
begin
  if p_selection is null then return null; end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'rows', p_selection -> 'rows' -> v_id, 'exceptRows', p_selection -> 'exceptRows' -> v_id,
    'operations', p_selection -> 'operations', 'withRelated', p_selection -> 'withRelated',
    'chosen', coalesce(p_selection -> 'tables' @> to_jsonb(p_table_id), true)))
    || case when p_selection -> 'where' ? v_id then jsonb_build_object('where', p_selection -> 'where' -> v_id)
            else '{}' end;
end $$;

-- The tables of a restore, `schema.table`: the chosen ones, and those that related rows can come from.
create function m23.tables_of_choice(p_restore jsonb) returns text[]
language plpgsql volatile as $$
declare
  v_tables text[] := m23.restored_tables(m23.list_of(p_restore -> 'tables'),
                                         coalesce((p_restore ->> 'includeRelated')::boolean, false));
begin
  if p_restore ->> 'withRelated' is null then return v_tables; end if;
  return array(select m23.raw_name(r) from unnest(m23.related_tables(m23.relations_named(v_tables),
                                                                     p_restore ->> 'withRelated')) r order by 1);
end $$;

-- The same of a backup's parts, by their names in it; null for all of them.
create function m23.parts_of_choice(p_job uuid, p_restore jsonb) returns text[]
language plpgsql volatile as $$
declare
  v_named   text[] := m23.list_of(p_restore -> 'tables');
  v_parts   text[] := m23.restored_parts(p_job, v_named);
  v_related text[];
begin
  if p_restore ->> 'withRelated' is null or v_named is null then return v_parts; end if;
  v_related := array(
    select m23.raw_name(r) from unnest(m23.related_tables(m23.relations_named(m23.names_now(p_job, v_parts)),
                                                          p_restore ->> 'withRelated')) r);
  return array(select distinct c.part_name from m23.parts_called(p_job) c
                where c.name = any (v_related) or c.part_name = any (v_parts) order by 1);
end $$;

-- Tables with those that foreign keys, or paths of protection, make their children or parents; of both, the parents of
-- the children too. Tables that say who has access come along by no key.
create function m23.related_tables(p_relids oid[], p_related text) returns oid[]
language plpgsql stable as $$
declare v_found oid[] := p_relids;
begin
  for v_step in 1..2 loop
    continue when p_related = (array['parents', 'children'])[v_step];
    v_found := array(
      with recursive tied as materialized (
        select m23.root_of(k.conrelid) as child, m23.root_of(k.confrelid) as parent from pg_constraint k
         where k.contype = 'f' and k.conparentid = 0
        union
        select c.relid, p.relid from m23.protected_tables c join m23.protected_tables p on p.id = c.parent_id),
      found (relid) as (
        select unnest(v_found)
        union
        select t.relid from found f
          join tied on f.relid = case v_step when 1 then tied.parent else tied.child end
          join m23.protected_tables t on t.relid = case v_step when 1 then tied.child else tied.parent end)
      select f.relid from found f where f.relid = any (p_relids) or not m23.is_access_table(f.relid));
  end loop;
  return v_found;
end $$;
