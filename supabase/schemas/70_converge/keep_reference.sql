-- Keeps the plan of a table within one foreign key. Gives how many rows have changed for that or left the plan, and how
-- many break it all the same.
create function m23.keep_reference(
  p_tenant text, p_targets m23.target[], p_target m23.target, p_risk record, p_on_blocked text,
  out moved bigint, out broken bigint
)
language plpgsql as $$
declare
  v_path text := m23.path_with(p_targets, p_target, p_risk.other);
  v_left bigint := 0;
begin
  moved := 0;
  broken := m23.number_of(v_path, format('select count(*) from %s d where %s', m23.diff_name(p_target.tbl),
                                         p_risk.condition));
  if broken = 0 then return; end if;
  if (p_risk.key).oid is null then  -- a row that its path would make another tenant's
    moved := m23.note_left(p_target, m23.leave_alone(p_target, p_risk.yields, v_path));
    broken := 0;
    return;
  end if;
  if m23.is_of_choice(p_targets, p_risk.other) and (p_target.selection is null or p_on_blocked = 'refuse') then
    return;
  end if;
  if p_risk.needs and p_on_blocked = 'null' then
    moved := m23.null_references(p_target, p_tenant, p_risk.key, p_risk.condition, v_path);
  end if;
  -- under an undo, rows that others still need are in conflict, whoever they are
  if moved < broken and p_risk.yields is not null and (p_risk.needs or (p_target.undo).xids is null)
     and m23.is_among(p_targets, m23.root_of(p_risk.other)) then
    v_left := m23.leave_alone(p_target, p_risk.yields, v_path);
  end if;
  if moved + v_left < broken and p_on_blocked <> 'refuse' then
    v_left := v_left + m23.leave_alone(p_target, p_risk.condition, v_path, (p_risk.key).oid);
  end if;
  moved := moved + m23.note_left(p_target, v_left);
  broken := broken - moved;
end $$;
