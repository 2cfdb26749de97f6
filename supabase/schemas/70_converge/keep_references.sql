-- Keeps the plan within the foreign keys. A planned row that would break one is left alone where the
-- other table is planned as well: then that row is another tenant's, or was left itself. Else a choice
-- of more tables would help: gives such faults, each naming what to add.
create function m23.keep_references(p_tenant text, p_targets m23.target[]) returns text[]
language plpgsql as $$
declare
  v_target m23.target;
  v_broken record;
  v_path   text;
  v_count  bigint;
  v_left   bigint;
  v_faults text[];
begin
  loop  -- until nothing more hangs on what was left
    v_left := 0;
    v_faults := '{}';
    foreach v_target in array p_targets loop
      for v_broken in select * from m23.references_at_risk(p_tenant, p_targets, v_target) loop
        v_path := m23.path_with(p_targets, v_target, v_broken.other);
        v_count := m23.number_of(v_path, format('select count(*) from %s d where %s',
                                                m23.diff_name(v_target.tbl), v_broken.condition));
        if v_count = 0 then continue; end if;
        if v_broken.key is null or m23.is_among(p_targets, m23.root_of(v_broken.other)) then
          v_left := v_left + m23.note_left(v_target, m23.leave_alone(v_target, v_broken.condition, v_path));
        else
          v_faults := v_faults
            || case when v_broken.needs then m23.needs_parent(v_broken.key, v_count)
                    else m23.leaves_child(v_broken.key, v_count) end;
        end if;
      end loop;
    end loop;
    exit when v_left = 0;
  end loop;
  return v_faults;
end $$;
