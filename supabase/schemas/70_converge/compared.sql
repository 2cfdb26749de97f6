-- Columns of a live row `l` with the expressions that are wanted for them, and what tells two of
-- them apart. `value`: their type's equality, as none of its values is stored in two ways; that is
-- quickest. `image`: what is stored. `text`: for where two images may stand for one value; it costs
-- ten times as much.
create function m23.compared(p_table m23.protected_tables, p_columns text[], p_wanted text[])
returns table (live text, wanted text, by text)
language plpgsql stable rows 20 as $$
begin
  return query
  select format(f.form, format('l.%I', c.name)), format(f.form, c.expression), f.by
    from unnest(p_columns, p_wanted) with ordinality c (name, expression, n)
    join pg_attribute a on a.attrelid = p_table.relid and a.attname = c.name
    join pg_type t on t.oid = a.atttypid
    cross join lateral (select case
        when a.atttypid = any (array['text', 'varchar']::regtype[]::oid[])
          then '(%s)::pg_catalog.text collate pg_catalog."C"'
        when t.typtype = 'd' then '(%s)::' || m23.type_with_nulls(a.attrelid, a.attnum) else '%s' end, case
        when a.atttypid = any (array['bool', 'int2', 'int4', 'int8', 'oid', 'uuid', 'date', 'time', 'timestamp',
                                     'timestamptz', 'text', 'varchar', 'bytea']::regtype[]::oid[]) then 'value'
        when a.atttypid = any (array['bpchar', 'json']::regtype[]::oid[]) then 'image'
        else 'text' end) f (form, by)
   order by c.n;
end $$;
