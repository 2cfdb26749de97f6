-- The statement that makes an enum, composite type, range or domain again where there is none of its name.
create function m23.type_definition(p_type oid) returns text
language plpgsql stable as $$
begin
  return (select coalesce(
    (select format('create extension if not exists %I with schema %I', e.extname, n.nspname)
       from pg_depend d join pg_extension e on e.oid = d.refobjid join pg_namespace n on n.oid = e.extnamespace
      where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'),
    case t.typtype
      when 'e' then format('create type %s as enum (%s)', format_type(t.oid, null),
        (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
           from pg_enum e where e.enumtypid = t.oid))
      when 'c' then format('create type %s as (%s)', format_type(t.oid, null),
        (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
           from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped))
      when 'r' then format('create type %s as range (subtype = %s)', format_type(t.oid, null),
        (select format_type(r.rngsubtype, null) from pg_range r where r.rngtypid = t.oid))
      when 'd' then concat(
        format('create domain %s as %s', format_type(t.oid, null), format_type(t.typbasetype, t.typtypmod)),
        ' default ' || pg_get_expr(t.typdefaultbin, 0), case when t.typnotnull then ' not null' end,
        (select string_agg(format(' constraint %I %s', k.conname, pg_get_constraintdef(k.oid)), '' order by k.conname)
           from pg_constraint k where k.contypid = t.oid and k.contype = 'c'))
    end)
    from pg_type t where t.oid = p_type);
end $$;
