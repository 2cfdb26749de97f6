-- Sequences are never left behind the rows that came back: the application's next INSERT takes a value that no row has.

-- The type that a domain is made of, however many domains lie between; another type is its own.
create function m23.base_of(p_type oid) returns oid
language plpgsql stable strict as $$
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
language plpgsql stable as $$
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
