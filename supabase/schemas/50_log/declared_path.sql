-- How m23.protect_table reads `via`: the columns that refer to the parent, and the parent.

-- What `via` says. `task_id`, `org_id, task_id`, `task_id -> public.tasks`: columns of the table. `<- public.orgs
-- (settings_id)`: columns of the parent, which refer to the table.
create type m23.path_words as (columns text[], parent text, points boolean);

-- The words of a `via`. One that has another form is refused.
create function m23.path_words(p_via text) returns m23.path_words
language plpgsql immutable as $$
declare
  v_forward text[] := regexp_match(p_via, '^\s*([^<>()]+?)\s*(?:->\s*([^<>()]+?)\s*)?$');
  v_back    text[] := regexp_match(p_via, '^\s*<-\s*([^<>()]+?)\s*\(([^<>()]+)\)\s*$');
  v_words   m23.path_words;
begin
  if v_forward is null and v_back is null then
    raise exception 'via says "%", which is no path', p_via using errcode = 'invalid_parameter_value',
      hint = 'Say ''task_id'', ''org_id, task_id'', ''task_id -> public.tasks'' or ''<- public.orgs (settings_id)''.';
  end if;
  v_words.points := v_back is not null;
  v_words.parent := case when v_words.points then v_back[1] else v_forward[2] end;
  v_words.columns := array(
    select coalesce((m23.parts_of_name(btrim(c)))[1], btrim(c))
      from regexp_split_to_table(case when v_words.points then v_back[2] else v_forward[1] end, ',')
           with ordinality u (c, n) order by u.n);
  return v_words;
end $$;

-- The numbers of columns; one that is not there is refused.
create function m23.attnums_named(p_relid oid, p_columns text[]) returns int2[]
language plpgsql stable as $$
declare v_missing text;
begin
  select u.name into v_missing from unnest(p_columns) u (name)
   where not exists (select from pg_attribute a where a.attrelid = p_relid and a.attname = u.name and a.attnum > 0
                        and not a.attisdropped);
  if v_missing is not null then
    raise exception '% has no column "%"', m23.public_name(p_relid), v_missing using errcode = 'undefined_column';
  end if;
  return array(select a.attnum from unnest(p_columns) with ordinality u (name, n)
                 join pg_attribute a on a.attrelid = p_relid and a.attname = u.name and not a.attisdropped
                order by u.n);
end $$;

-- A table of a path, by its name; it has to be there.
create function m23.path_relation(p_name text) returns oid
language plpgsql stable as $$
begin
  if to_regclass(p_name) is null then
    raise exception 'there is no table %', p_name using errcode = 'undefined_table',
      hint = 'Name it with its schema, as ''task_id -> public.tasks''.';
  end if;
  return m23.root_of(to_regclass(p_name));
end $$;

-- The foreign keys over these columns of a table, in whatever order; to one other table, if p_parent is given.
create function m23.keys_over(p_relid oid, p_attnums int2[], p_parent oid) returns setof pg_constraint
language plpgsql stable rows 1 as $$
begin
  return query
  select k.* from m23.references_from(p_relid) k
   where k.conrelid = p_relid and k.conkey @> p_attnums and k.conkey <@ p_attnums
     and (p_parent is null or m23.root_of(k.confrelid) = p_parent)
   order by k.oid;
end $$;

-- A table's path as m23.protected_tables keeps it: parent_id, via_attnums and parent_attnums.
create function m23.declared_path(p_table oid, p_via text) returns m23.protected_tables
language plpgsql stable as $$
declare
  v_words  m23.path_words := m23.path_words(p_via);
  v_parent oid := case when v_words.parent is not null then m23.path_relation(v_words.parent) end;
  v_mine   int2[] := case when not v_words.points then m23.attnums_named(p_table, v_words.columns) end;
  v_keys   pg_constraint[];
  v_path   m23.protected_tables;
begin
  v_keys := case when v_words.points
    then array(select k from m23.keys_over(v_parent, m23.attnums_named(v_parent, v_words.columns), p_table) k)
    else array(select k from m23.keys_over(p_table, v_mine, v_parent) k) end;
  if v_parent is null then v_parent := m23.only_parent(p_table, v_words, v_keys); end if;
  v_path := m23.protected_parent(p_table, v_parent, p_via);
  if v_words.points then
    v_path.parent_attnums := coalesce((v_keys[1]).conkey, m23.attnums_named(v_parent, v_words.columns));
    v_path.via_attnums := coalesce((v_keys[1]).confkey, m23.key_attnums(p_table));
  else
    v_path.via_attnums := coalesce((v_keys[1]).conkey, v_mine);
    v_path.parent_attnums := coalesce((v_keys[1]).confkey, m23.key_attnums(v_parent));
  end if;
  if cardinality(v_path.via_attnums) is distinct from cardinality(v_path.parent_attnums) then
    raise exception 'via says "%", which has % columns, and the key of the other table has %', p_via,
      cardinality(v_words.columns),
      case when v_words.points then cardinality(v_path.via_attnums) else cardinality(v_path.parent_attnums) end
      using errcode = 'invalid_parameter_value';
  end if;
  return v_path;
end $$;

-- The one table that the columns of a path refer to. None or several are refused, with what to say.
create function m23.only_parent(p_table oid, p_words m23.path_words, p_keys pg_constraint[]) returns oid
language plpgsql stable as $$
declare
  v_columns text := array_to_string(p_words.columns, ', ');
  v_parents oid[] := array(select distinct m23.root_of((k).confrelid) from unnest(p_keys) k);
begin
  if cardinality(v_parents) = 1 then return v_parents[1]; end if;
  raise exception '% has % by "%"', m23.public_name(p_table),
    case when v_parents = '{}' then 'no foreign key' else 'foreign keys to several tables' end, v_columns
    using errcode = 'invalid_parameter_value',
          hint = format('Name the table: %s.', coalesce((
            select string_agg(format('via => ''%s -> %s''', v_columns, m23.raw_name(p)), ' or ')
              from unnest(v_parents) p),
            format('via => ''%s -> schema.table''', v_columns)));
end $$;

-- A path to a parent, which has to be protected, and not by a path through the table itself.
create function m23.protected_parent(p_table oid, p_parent oid, p_via text) returns m23.protected_tables
language plpgsql stable as $$
declare
  v_parent m23.protected_tables := (select t from m23.protected_tables t where t.relid = p_parent);
  v_path   m23.protected_tables;
begin
  if p_parent = p_table then
    raise exception 'via says "%", which leads from % to itself', p_via, m23.public_name(p_table)
      using errcode = 'invalid_parameter_value',
            hint = 'Name the column that leads to another table, or the tenant column of its own.';
  elsif v_parent.id is null then
    raise exception '% is not protected, and % is to find its tenants through it', m23.public_name(p_parent),
      m23.public_name(p_table) using errcode = 'object_not_in_prerequisite_state',
      hint = format('Protect it first: select m23.protect_table(%L, …).', m23.raw_name(p_parent));
  elsif exists (select from m23.path_children((select t.id from m23.protected_tables t where t.relid = p_table)) c
                 where c.id = v_parent.id) then
    raise exception '% finds its tenants through %, and so not the other way round', m23.public_name(p_parent),
      m23.public_name(p_table) using errcode = 'invalid_parameter_value';
  end if;
  v_path.parent_id := v_parent.id;
  v_path.tenant_type := v_parent.tenant_type;
  return v_path;
end $$;

-- The `via` of a path as an archive has it (m23.path_facts); null where there is none.
create function m23.via_of_facts(p_table regclass, p_path jsonb) returns text
language plpgsql stable as $$
declare
  v_parent  oid;
  v_columns text[] := m23.list_of(p_path -> 'columns');
  v_theirs  text[] := m23.list_of(p_path -> 'parent_columns');
begin
  if p_path is null then return null; end if;
  v_parent := to_regclass(format('%I.%I', p_path -> 'parent' ->> 'schema', p_path -> 'parent' ->> 'name'));
  if v_parent is null then
    raise exception '% found its tenants through %.%, which does not exist', p_table, p_path -> 'parent' ->> 'schema',
      p_path -> 'parent' ->> 'name' using errcode = 'undefined_table';
  end if;
  if exists (select from m23.keys_over(v_parent, m23.attnums_named(v_parent, v_theirs), p_table)) then
    return format('<- %s (%s)', m23.qualified_name(v_parent),
                  (select string_agg(quote_ident(c), ', ') from unnest(v_theirs) c));
  end if;
  return format('%s -> %s', (select string_agg(quote_ident(c), ', ') from unnest(v_columns) c),
                m23.qualified_name(v_parent));
end $$;
