-- Adds what is to be said of a foreign key that some rows would break: a fault of the choice of tables or of rows,
-- where others that would help were not chosen, or rows that are blocked. A row that should go from under one that
-- needs it is no blocked row: to refuse it is a matter of the choice, whatever the other table is.
create function m23.tell_broken(
  p_targets m23.target[], p_target m23.target, p_key pg_constraint, p_needs boolean, p_rows bigint,
  inout faults text[], inout blocked text[]
)
language plpgsql volatile as $$
declare
  v_other text := m23.public_name(m23.root_of(case when p_needs then p_key.confrelid else p_key.conrelid end));
  v_skip  text := 'set onBlocked: "skip" leaves these rows as they are, with what hangs on them';
  v_nulls text[];
begin
  if p_target.selection is not null and m23.is_of_selection(
       p_targets, case when p_needs then p_key.confrelid else p_key.conrelid end) then
    faults := faults || format('rows: %s; choose those of "%s" too, or set withRelated: "%s", or %s',
                               case when p_needs then m23.needs_parent(p_key, p_rows)
                                    else m23.leaves_child(p_key, p_rows) end, v_other,
                               case when p_needs then 'parents' else 'children' end, v_skip);
  elsif m23.is_of_choice(p_targets, case when p_needs then p_key.confrelid else p_key.conrelid end) then
    faults := faults || format('tables: %s; add "%s"', case when p_needs then m23.needs_parent(p_key, p_rows)
                                                            else m23.leaves_child(p_key, p_rows) end, v_other);
  elsif not p_needs then
    faults := faults || format('tables: %s; "%s" is not protected: take them away first, or %s',
                               m23.leaves_child(p_key, p_rows), v_other, v_skip);
  else
    v_nulls := m23.columns_to_null(p_target, p_key);
    blocked := blocked || format('%s: %s; %s, or %s%s', m23.reference_name(p_key), m23.needs_parent(p_key, p_rows),
      case when m23.is_among(p_targets, m23.root_of(p_key.confrelid))
             then 'this restore has none of these to bring back'
           else format('"%s" is not protected: put them back first', v_other) end,
      v_skip,
      case when v_nulls <> '{}' then format('; "null" sets %s null', array_to_string(v_nulls, ' and ')) else '' end);
  end if;
end $$;
