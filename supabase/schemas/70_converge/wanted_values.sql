-- What a target wants of each column, from its row `w`. Of a column that was added since, the moment says nothing: a
-- live row `l` keeps its value, and without one it gets what m23.filled says. So does a column that may not be null
-- any more, where the project has said how.
-- Without p_live there is no live row.
create function m23.wanted_values(p_target m23.target, p_live boolean default true) returns text[]
language plpgsql stable as $$
declare
  v_archive boolean := p_target.wanted is not null and (p_target.moment).taken is null;
  v_is_live text := case when p_live then 'l.m23_place is not null' end;
begin
  return (select array_agg(case
        -- renamed or dropped meanwhile: whoever runs the query is told
        when a.attname is null then format('w.%I', u.name)
        when a.attname = any (p_target.kept)
          then m23.if_live(v_is_live, a.attname,
                           m23.or_else(format('w.%I', a.attname),
                                       m23.filled(p_target.tbl, a.attnum, p_target.columns, v_archive)))
        else m23.or_else(case when a.atttypmod = -1 then format('w.%I', a.attname)
                              else m23.fitted(format('w.%I', a.attname), a.atttypid, a.atttypmod) end,
                         case when a.attnotnull then case when p_live then format('l.%I, ', a.attname) else '' end
                                || m23.fill_call(p_target.tbl, a.attnum, p_target.columns) end) end
        order by u.n)
      from unnest(p_target.columns) with ordinality u (name, n)
      left join pg_attribute a on a.attrelid = (p_target.tbl).relid and a.attnum > 0 and a.attname = u.name);
end $$;

-- A value in the length and precision of a column, as an assignment would make it; one that
-- does not fit stays as it is, for the assignment to refuse.
create function m23.fitted(p_value text, p_type oid, p_modifier int) returns text
language sql stable as $$
  select case
    when p_type = any (array['bit', 'varbit', 'bit[]', 'varbit[]', 'varchar[]', 'bpchar[]']::regtype[]::oid[])
      then p_value
    when p_type in ('varchar'::regtype, 'bpchar'::regtype)
      then format('case when length(%1$s) <= %2$s then (%1$s)::%3$s else %1$s end', p_value, p_modifier - 4,
                  format_type(p_type, p_modifier))
    else format('(%s)::%s', p_value, format_type(p_type, p_modifier)) end
$$;

-- The expression of a live row's column where there is such a row, else another. p_is_live: the condition; null, if
-- there is never one.
create function m23.if_live(p_is_live text, p_column text, p_else text) returns text
language plpgsql immutable as $$
begin
  return case when p_is_live is null then p_else
              else format('case when %s then l.%I else %s end', p_is_live, p_column, p_else) end;
end $$;
