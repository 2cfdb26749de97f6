-- Sequences are never left behind the rows that came back: the application's next INSERT takes a value that no row has.

-- The type that a domain is made of, however many domains lie between; another type is its own.
create function m23.base_of(p_type oid) returns oid
language plpgsql stable strict set search_path = '' as $$
declare v_base oid;
begin
  loop
    select t.typbasetype into v_base from pg_type t where t.oid = p_type and t.typtype = 'd';
    if v_base is null then return p_type; end if;
    p_type := v_base;
  end loop;
end $$;

-- What stands before and after a sequence's nextval in a default, that of a column (`pg_attrdef`) or of its domain
-- (`pg_type`): null where there are more of them, or code that is not PostgreSQL's own.
create function m23.around_nextval(p_class regclass, p_id oid, p_sequence oid) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_default text := case p_class when 'pg_attrdef'::regclass
    then (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d where d.oid = p_id)
    else (select pg_get_expr(t.typdefaultbin, 0) from pg_type t where t.oid = p_id) end;
  v_parts   text[] := string_to_array(v_default, format('nextval(%L::regclass)', p_sequence::regclass));
begin
  if cardinality(v_parts) <> 2 or v_parts[2] ~ 'nextval' or exists (
       select from pg_depend d where d.classid = p_class and d.objid = p_id
          and d.refclassid = any (array['pg_proc', 'pg_operator']::regclass[])) then return null; end if;
  return v_parts;
end $$;

-- A column that takes its values from a sequence.
create type m23.feed as (
  sequence    oid,
  column_name text,
  base        oid,    -- its type, or what its domain is made of
  type_name   text,   -- that with its length
  around      text[]  -- what stands before and after the sequence's number in a value
);

-- How the columns of a table or of its partitions take their values from sequences: by their defaults, or those of
-- their domains, or as their own (identity, serial).
create function m23.feeds_of(p_relid oid, p_columns text[]) returns setof m23.feed
language plpgsql stable rows 2 set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare v_relids oid[] := m23.with_partitions(p_relid);
begin
  return query
  with feeding as (
    select d.adrelid as relid, d.adnum as attnum, 'pg_attrdef'::regclass as class, d.oid as id, n.refobjid as sequence
      from pg_attrdef d join pg_depend n on n.classid = 'pg_attrdef'::regclass and n.objid = d.oid
     where d.adrelid = any (v_relids) and n.refclassid = 'pg_class'::regclass
    union all
    select a.attrelid, a.attnum, 'pg_type', t.oid, n.refobjid
      from pg_attribute a join pg_type t on t.oid = a.atttypid and t.typtype = 'd'
      join pg_depend n on n.classid = 'pg_type'::regclass and n.objid = t.oid
     where a.attrelid = any (v_relids) and a.attnum > 0 and not a.atthasdef and n.refclassid = 'pg_class'::regclass
    union all
    select o.refobjid, o.refobjsubid, null, null, o.objid
      from pg_depend o
     where o.refclassid = 'pg_class'::regclass and o.refobjid = any (v_relids) and o.refobjsubid > 0
       and o.classid = 'pg_class'::regclass and o.deptype in ('a', 'i'))
  select distinct f.sequence, a.attname::text, b.base, format_type(b.base, a.atttypmod), n.around
    from feeding f join pg_class s on s.oid = f.sequence and s.relkind = 'S'
    join pg_attribute a on a.attrelid = f.relid and a.attnum = f.attnum and a.attgenerated = ''
    cross join lateral (select m23.base_of(a.atttypid) offset 0) b (base)
    cross join lateral (select case when f.id is null then '{"",""}'
                                    else m23.around_nextval(f.class, f.id, f.sequence) end offset 0) n (around)
   where a.attname = any (p_columns) and n.around is not null;
end $$;

-- How far the numbers of a sequence go in a column that has them within a text, as by 'INV-' || nextval(…): of the
-- numbers that a value could hold, the last one that gives the same value again.
create function m23.furthest_within(p_rows text, p_path text, p_feed m23.feed, p_sequence pg_sequence) returns numeric
language plpgsql set search_path = '' as $$
begin
  return m23.number_of(p_path, m23.fill($sql$
    select c.n from (
        select n.n, v.v from (select {column}::{type}::text as v from {rows}) v, lateral (
               select distinct right(m.digits[1], k)::numeric as n
                 from regexp_matches(v.v, '[0-9]+', 'g') m (digits), generate_series(1, length(m.digits[1])) k) n
         where n.n between {least} and {greatest} order by n.n {order} offset 0) c
     where ({before}(c.n::bigint){after})::{type}::text = c.v limit 1$sql$,
    'column', quote_ident(p_feed.column_name), 'type', p_feed.type_name, 'rows', p_rows,
    'least', p_sequence.seqmin::text, 'greatest', p_sequence.seqmax::text,
    'order', case when p_sequence.seqincrement > 0 then 'desc' else 'asc' end,
    'before', p_feed.around[1], 'after', p_feed.around[2]));
exception when data_exception then return null;  -- a number that the default was not made for
end $$;

-- Takes the sequences that feed these columns past what a relation has in them, which is read under a path.
create function m23.advance_sequences(p_relid oid, p_columns text[], p_rows text, p_path text) returns void
language plpgsql set search_path = '' as $$
declare
  v_feed     m23.feed;
  v_sequence pg_sequence;
  v_top      numeric;
begin
  for v_feed in select * from m23.feeds_of(p_relid, p_columns) loop
    select * into v_sequence from pg_sequence where seqrelid = v_feed.sequence;
    if v_feed.around = '{"",""}' and v_feed.base = any ('{int2,int4,int8,numeric,float4,float8}'::regtype[]::oid[]) then
      v_top := trunc(m23.number_of(p_path, format('select %s(%I) from %s',
        case when v_sequence.seqincrement > 0 then 'max' else 'min' end, v_feed.column_name, p_rows)));
    else
      v_top := m23.furthest_within(p_rows, p_path, v_feed, v_sequence);
    end if;
    if v_top between v_sequence.seqmin and v_sequence.seqmax then
      -- Where it is that far already it is left alone: another session may be taking a number just now.
      execute format('select setval(%1$L, %2$s) from %1$s
                       where %2$s %3$s last_value or %2$s = last_value and not is_called',
        m23.qualified_name(v_feed.sequence), v_top, case when v_sequence.seqincrement > 0 then '>' else '<' end);
    end if;
  end loop;
end $$;

select m23.close_functions();
