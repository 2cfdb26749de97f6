-- Whether two rows differ, as conditions of a statement.

-- Two rows are compared by what is stored, not by what their types call equal: that would miss
-- 1.0 and 1.00, and some types have no equality.
create function m23.images_differ(p_these text[], p_those text[]) returns text
language plpgsql immutable strict as $$
begin
  return format('row(%s)::record operator(pg_catalog.*<>) row(%s)::record', array_to_string(p_these, ', '),
                array_to_string(p_those, ', '));
end $$;

-- The condition that a live row `l` is not the wanted one, given by one expression a column.
create function m23.differs(p_table m23.protected_tables, p_columns text[], p_wanted text[]) returns text
language plpgsql stable as $$
begin
  return (select '(' || concat_ws(' or ',
             string_agg(format('%s is distinct from %s', u.live, u.wanted), ' or ') filter (where u.by = 'value'),
             m23.images_differ(array_agg(u.live) filter (where u.by = 'image'),
                               array_agg(u.wanted) filter (where u.by = 'image')),
             m23.images_differ(array_agg(u.live) filter (where u.by = 'text'),
                               array_agg(u.wanted) filter (where u.by = 'text'))
               || format(' and row(%s)::text <> row(%s)::text',
                         string_agg(u.live, ', ') filter (where u.by = 'text'),
                         string_agg(u.wanted, ', ') filter (where u.by = 'text'))) || ')'
            from m23.compared(p_table, p_columns, p_wanted) u);
end $$;

-- The condition that a live row `l` differs from another in a column that takes no UPDATE; null where there is none.
create function m23.fixed_differ(p_target m23.target, p_other text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('l.%1$I is distinct from %2$s.%1$I', c.name, p_other), ' or ')
            from m23.columns_of((p_target.tbl).relid) c
           where c.identity = 'a' and c.name = any (p_target.columns) and c.name <> all (p_target.kept)
             and c.key_ord is null);
end $$;

-- The condition that a live row `l` is stored as planned in `d`.
create function m23.is_stored_as_planned(p_target m23.target) returns text
language plpgsql stable as $$
begin
  return (select format('not (%s)', concat_ws(' or ',
             string_agg(format('%s is distinct from %s', u.live, u.wanted), ' or ') filter (where u.by = 'value'),
             m23.images_differ(array_agg(u.live) filter (where u.by <> 'value'),
                               array_agg(u.wanted) filter (where u.by <> 'value'))))
            from m23.compared(p_target.tbl, p_target.columns,
                              array(select format('d.%I', c) from unnest(p_target.columns) c)) u);
end $$;
