-- Blocked rows: those that need a row which is not there and cannot come, because its table is not protected or it is
-- another tenant's. The caller says what becomes of them (`onBlocked`): everything is refused, they are skipped, or
-- their references are set null. What stands in another tenant's way is none of these: it is left alone, whatever the
-- caller says.

-- Whether a choice of more tables would help: the other table of a foreign key is protected, and was not chosen.
create function m23.is_of_choice(p_targets m23.target[], p_other oid) returns boolean
language plpgsql volatile as $$
begin
  return not m23.is_among(p_targets, m23.root_of(p_other))
     and exists (select from m23.protected_tables t where t.relid = m23.root_of(p_other));
end $$;

-- Whether a choice of more rows would help: those of the other table of a foreign key were not chosen, or not all.
create function m23.is_of_selection(p_targets m23.target[], p_other oid) returns boolean
language plpgsql volatile as $$
begin
  return m23.is_of_choice(p_targets, p_other)
      or m23.has_aside(m23.planned_target(p_targets, p_other));
end $$;

-- A foreign key for a reader: table, columns, and the constraint's name.
create function m23.reference_name(p_key pg_constraint) returns text
language plpgsql stable as $$
begin
  return format('%s.%s (%s)', m23.public_name(p_key.conrelid), m23.reference_columns(p_key), p_key.conname);
end $$;

-- The columns of a foreign key for a reader; several stand in brackets.
create function m23.reference_columns(p_key pg_constraint) returns text
language plpgsql stable as $$
begin
  return (select format(case when count(*) = 1 then '%s' else '(%s)' end, string_agg(a.attname, ', ' order by u.n))
            from unnest(p_key.conkey) with ordinality u (attnum, n)
            join pg_attribute a on a.attrelid = p_key.conrelid and a.attnum = u.attnum);
end $$;

-- Refuses a restore because of blocked rows.
create function m23.refuse_blocked(p_blocked text[]) returns void
language plpgsql as $$
begin
  if cardinality(p_blocked) > 0 then
    perform m23.refuse('CONFLICT', m23.blocked_sentence(), p_blocked);
  end if;
end $$;

-- What a refusal because of blocked rows is called, wherever it is said.
create function m23.blocked_sentence() returns text
language sql immutable as
$$ select 'rows are blocked by references that cannot be kept; nothing was changed' $$;

-- What became of a table's blocked rows, a sentence for each foreign key; and how many were skipped.
create function m23.blocked_outcome(p_target m23.target, out skipped bigint, out warnings text[])
language plpgsql as $$
begin
  select coalesce(sum(b.rows) filter (where b.became <> 'nulled'), 0),
         coalesce(array_agg(m23.blocked_warning(p_target, b.key, b.became, b.rows)
                            order by (b.key).conname, (b.key).oid, b.became), '{}')
    into skipped, warnings
    from m23.blocked_rows(p_target) b;
end $$;

-- What to say of rows that a foreign key has blocked.
create function m23.blocked_warning(p_target m23.target, p_key pg_constraint, p_became text, p_rows bigint) returns text
language plpgsql stable as $$
begin
  return format(case p_became
      when 'kept' then '%s: %s row(s) were left as they are: rows of "%s" need them (%s)'
      when 'skipped' then '%s: %s row(s) were left as they are: they need rows of "%s" that are not there (%s)'
      else '%s: %s row(s) have no %5$s: they need rows of "%3$s" that are not there (%4$s)' end,
    m23.public_name((p_target.tbl).relid), p_rows,
    m23.public_name(case p_became when 'kept' then p_key.conrelid else p_key.confrelid end),
    m23.reference_name(p_key), array_to_string(m23.columns_to_null(p_target, p_key), ' and '));
end $$;
