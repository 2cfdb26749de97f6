-- Keeps the plan within the foreign keys. A planned row that would break one is left alone where it stands back for
-- another tenant, or hangs on a row that does. Where a choice of more tables would help, that is a fault, which names
-- what to add. Else p_on_blocked says what becomes of the row (`refuse`, `skip` or `null`).
create function m23.keep_references(
  p_tenant text, p_targets m23.target[], p_on_blocked text, out faults text[], out blocked text[]
)
language plpgsql as $$
declare
  v_target m23.target;
  v_risk   record;
  v_kept   record;
  v_moved  bigint;
begin
  loop  -- until nothing more hangs on what was left
    v_moved := 0;
    faults := '{}';
    blocked := '{}';
    foreach v_target in array p_targets loop
      for v_risk in select * from m23.references_at_risk(p_tenant, p_targets, v_target) loop
        v_kept := m23.keep_reference(p_tenant, p_targets, v_target, v_risk, p_on_blocked);
        v_moved := v_moved + v_kept.moved;
        if v_kept.broken > 0 then
          select * into faults, blocked
            from m23.tell_broken(p_targets, v_target, v_risk.key, v_risk.needs, v_kept.broken, faults, blocked);
        end if;
      end loop;
      v_kept := m23.keep_shared(p_targets, v_target, p_on_blocked, blocked);
      blocked := v_kept.blocked;
      v_moved := v_moved + v_kept.moved;
    end loop;
    exit when v_moved = 0;
  end loop;
end $$;
