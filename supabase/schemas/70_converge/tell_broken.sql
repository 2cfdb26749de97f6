-- Adds what is to be said of a foreign key that some rows would break: a fault of the choice of tables, or rows that
-- are blocked.
create function m23.tell_broken(
  p_targets m23.target[], p_target m23.target, p_key pg_constraint, p_needs boolean, p_rows bigint,
  inout faults text[], inout blocked text[]
)
language plpgsql volatile as $$
declare
  v_other  oid := case when p_needs then p_key.confrelid else p_key.conrelid end;
  v_broken text := case when p_needs then m23.needs_parent(p_key, p_rows) else m23.leaves_child(p_key, p_rows) end;
begin
  if m23.is_of_choice(p_targets, v_other) then
    faults := faults || format('tables: %s; add "%s"', v_broken, m23.public_name(m23.root_of(v_other)));
    return;
  end if;
  blocked := blocked || format('%s: %s; %s', m23.reference_name(p_key), v_broken, concat_ws(', or ',
    case when m23.is_among(p_targets, m23.root_of(v_other)) then 'this restore has none of these to bring back'
         else format('"%s" is not protected: %s', m23.public_name(m23.root_of(v_other)),
                     case when p_needs then 'put them back first' else 'take them away first' end) end,
    'set onBlocked: "skip" leaves these rows as they are, with what hangs on them'
      || case when p_needs and m23.columns_to_null(p_target, p_key) <> '{}'
              then format('; "null" sets %s null', array_to_string(m23.columns_to_null(p_target, p_key), ' and '))
              else '' end));
end $$;
