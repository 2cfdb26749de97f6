-- The application's triggers that act when rows of a table are deleted, and what is recognised of what they do outside
-- of it. It is read in their code, as far as that goes: that nothing is recognised proves nothing.
create function m23.delete_triggers(p_relid oid)
returns table (name text, acts text[], unread text[])
language plpgsql stable rows 1 as $$
begin
  return query
  select t.tgname::text,
         array(select distinct a from unnest(c.codes) code, m23.acts_in(code, p_relid, c.schemas) a order by a),
         array(select distinct u from unnest(c.functions) f, m23.unread_in(f) u order by u)
    from (select distinct on (g.tgname) g.tgname, g.tgfoid from pg_trigger g
           where g.tgrelid = any (m23.with_partitions(p_relid)) and not g.tgisinternal and g.tgenabled <> 'D'
             and g.tgtype & 40 <> 0  -- DELETE, TRUNCATE
             and g.tgname !~ '^(aaa|zzz)_m23_' order by g.tgname) t
   cross join lateral (select s, m23.functions_reached(t.tgfoid, s) from m23.schemas_for(t.tgfoid, p_relid) s)
         r (schemas, functions)
   cross join lateral (select r.schemas, r.functions, array(select m23.readable_code(f) from unnest(r.functions) f))
         c (schemas, functions, codes);
end $$;

-- The schemas in which names in the code of a trigger are looked for: those of the function's own path, the table's,
-- the function's, and those of its owner.
create function m23.schemas_for(p_function oid, p_relid oid) returns text[]
language plpgsql stable as $$
begin
  return array(select trim(both ' "' from s)
                 from pg_proc p, unnest(p.proconfig) c, string_to_table(substr(c, length('search_path=') + 1), ',') s
                where p.oid = p_function and c like 'search_path=%')
      || array(select n.nspname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where c.oid = p_relid)
      || array(select n.nspname::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                where p.oid = p_function)
      || array(select s.name from pg_proc p, m23.path_of_role(p.proowner) s where p.oid = p_function);
end $$;

-- The code of a function without its comments, its own name first; empty where it is in a language that is not read.
create function m23.readable_code(p_function oid) returns text
language plpgsql stable as $$
begin
  return (
    select n.nspname || '.' || p.proname || '('
           || case when l.lanname in ('sql', 'plpgsql')
                then regexp_replace(regexp_replace(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc),
                                                   '/\*.*?\*/', ' ', 'g'), '--[^\n]*', ' ', 'g') else '' end
      from pg_proc p join pg_language l on l.oid = p.prolang join pg_namespace n on n.oid = p.pronamespace
     where p.oid = p_function);
end $$;

-- A function, and those of the application that it calls by name, however deep. What extensions have is known by name.
create function m23.functions_reached(p_function oid, p_schemas text[]) returns oid[]
language plpgsql stable as $$
declare
  v_known oid[] := array[p_function];
  v_more  oid[] := v_known;
begin
  while cardinality(v_more) > 0 loop
    v_more := array(
      select distinct p.oid
        from unnest(v_more) f,
             regexp_matches(m23.readable_code(f),
                            '(?:("[^"]+"|[[:alpha:]_][\w$]*)\s*\.\s*)?("[^"]+"|[[:alpha:]_][\w$]*)\s*\(', 'g') m
        join pg_proc p on p.proname = m23.name_in_code(m[2])
        join pg_namespace n on n.oid = p.pronamespace
       where n.nspname = any (case when m[1] is null then p_schemas else array[m23.name_in_code(m[1])] end)
         and n.nspname not in ('pg_catalog', 'information_schema', 'm23') and p.oid <> all (v_known)
         and not exists (select from pg_depend d
                          where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'));
    v_known := v_known || v_more;
  end loop;
  return v_known;
end $$;

-- A name as the catalogue has it.
create function m23.name_in_code(p_name text) returns text
language sql immutable as $$
  select case when p_name like '"%' then replace(trim(both '"' from p_name), '""', '"') else lower(p_name) end
$$;

-- What code does outside of a table, as far as it is recognised: calls that no transaction takes back, and writes to
-- tables that are not protected.
create function m23.acts_in(p_code text, p_relid oid, p_schemas text[]) returns setof text
language plpgsql stable rows 2 as $$
begin
  return query
  select k.what || ' (' || regexp_replace(lower(c[1]), '\s', '', 'g') || ')'
    from (values
      ('sends HTTP requests', '\m((?:net|supabase_functions|extensions)\s*\.\s*http\w*|http(?:_\w+)?)\s*\('),
      ('runs statements on another server', '\m(dblink\w*)\s*\('),
      ('hands work to a queue, a schedule or listeners',
       '\m((?:pgmq\w*|graphile_worker|pgboss|realtime|cron)\s*\.\s*\w+|pg_notify)\s*\('),
      ('writes files of the server', '\m(lo_unlink|lo_export|pg_file_\w+)\s*\(')) k (what, pattern),
    regexp_matches(p_code, k.pattern, 'gi') c
  union
  select case left(lower(w[1]), 3) when 'ins' then 'inserts into ' when 'del' then 'deletes from '
              when 'upd' then 'updates ' when 'mer' then 'merges into ' else 'empties ' end
         || m23.public_name(r.relid)
    from regexp_matches(p_code, '\m(insert\s+into|delete\s+from|merge\s+into|truncate(?:\s+table)?|update)\s+'
                                '(?:only\s+)?(?:("[^"]+"|[[:alpha:]_][\w$]*)\s*\.\s*)?("[^"]+"|[[:alpha:]_][\w$]*)',
                        'gi') w,
    lateral (select m23.root_of(c.oid) from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where c.relname = m23.name_in_code(w[3]) and c.relkind in ('r', 'p', 'f', 'v')
                and n.nspname = any (case when w[2] is null then p_schemas else array[m23.name_in_code(w[2])] end)
              order by array_position(p_schemas, n.nspname::text) limit 1) r (relid)
   where r.relid <> m23.root_of(p_relid) and not m23.is_protected(r.relid);
end $$;

-- Why the code of a function is not read, or not wholly.
create function m23.unread_in(p_function oid) returns setof text
language plpgsql stable rows 1 as $$
begin
  return query
  select case when l.lanname not in ('sql', 'plpgsql') then format('"%s" is written in %s', p.proname, l.lanname)
              else format('"%s" makes statements as it runs', p.proname) end
    from pg_proc p join pg_language l on l.oid = p.prolang
   where p.oid = p_function and l.lanname <> 'internal'
     and (l.lanname not in ('sql', 'plpgsql')
          or l.lanname = 'plpgsql' and m23.readable_code(p.oid) ~* '\mexecute\M(?!\s+(function|procedure)\M)');
end $$;

-- What is known of a table's triggers on deletes, a sentence that goes on from its name; null where it has none.
create function m23.delete_triggers_sentence(p_relid oid) returns text
language plpgsql stable as $$
begin
  return (
    select 'acts on deletes by ' || string_agg(m23.trigger_label(t.name, t.acts, t.unread), ', ' order by t.name)
           || ': what that does outside of the table (files over HTTP, say) no restore undoes'
      from m23.delete_triggers(p_relid) t having count(*) > 0);
end $$;

-- A trigger, with what was recognised of it.
create function m23.trigger_label(p_name text, p_acts text[], p_unread text[]) returns text
language sql immutable as $$
  select format('"%s" (%s)', p_name, concat_ws('; ', nullif(array_to_string(p_acts, ', '), ''),
    case when p_unread <> '{}' then 'not all could be read: ' || array_to_string(p_unread, ', ')
         when p_acts = '{}' then 'nothing outside was recognised in its code' end))
$$;

-- What a restore says of a table whose rows come back: what triggers did outside of it when they were deleted.
create function m23.delete_trigger_warnings(p_relid oid) returns text[]
language plpgsql stable as $$
begin
  return array(
    select format('%s: the trigger %s acts on deletes; what it did outside of the table is not undone',
                  m23.public_name(p_relid), m23.trigger_label(t.name, t.acts, t.unread))
      from m23.delete_triggers(p_relid) t where t.acts <> '{}' or t.unread <> '{}' order by t.name);
end $$;
