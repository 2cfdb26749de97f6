-- Plans the targets. Gives those that there can be something to do for, complete, and the foreign keys that this choice
-- of tables would break; and what is to be said of blocked rows, if they are to be refused. No other table is opened.
create function m23.plan_targets(
  p_tenant text, inout targets m23.target[], p_on_blocked text, out faults text[], out blocked text[],
  p_lock boolean default false
)
language plpgsql as $$
declare
  v_chosen  m23.target[] := targets;
  v_target  m23.target;
  v_count   record;
  v_left    bigint;
  v_arrived bigint;
  v_taken   bigint;
  v_gone    record;
  v_kept    record;
  v_spared  record;
  v_fell    bigint := 0;
  v_falling bigint;
begin
  targets := m23.with_entries(p_tenant, v_chosen);
  perform m23.lock_tables(m23.opened_by(targets, v_chosen)) where not p_lock;
  perform m23.refuse_unreached(p_tenant, v_chosen);
  perform m23.follow_layout((t).tbl.id, (t).tbl.relid) from unnest(targets) t
    where not m23.ddl_is_followed() and m23.capture_is_stale((t).tbl);
  targets := m23.complete_targets(targets);
  perform m23.end_plan();  -- one that was given up
  perform m23.plan_nothing(v_chosen, array(select (t).tbl.id from unnest(targets) t));
  foreach v_target in array targets loop
    perform m23.forget_nulled(v_target.tbl);
    perform m23.forget_undo(v_target.tbl);
    perform m23.plan_table(v_target, p_tenant, p_lock);
  end loop;
  perform m23.narrow(p_tenant, targets, v_chosen);
  foreach v_target in array targets loop
    select * into v_count from m23.count_diff(v_target.tbl);
    v_taken := case when v_count.inserts > 0 then m23.take_back(v_target) else 0 end;
    v_arrived := case when v_count.deletes > 0 then m23.leave_arrived(v_target, p_tenant) else 0 end;
    v_left := case when v_count.inserts + v_count.updates > 0
                     then m23.leave_claimed(v_target, p_tenant, v_count.inserts > 0) else 0 end + v_arrived;
    select * into v_gone from m23.leave_unreachable(v_target, p_tenant);
    select * into v_spared from m23.keep_access(v_target, p_tenant);
    insert into m23.plan (table_id, name, inserts, updates, deletes, left_alone, unreachable, taken_back, warnings)
      values ((v_target.tbl).id, m23.public_name((v_target.tbl).relid),
              v_count.inserts, v_count.updates, v_count.deletes, v_left + v_gone.left_alone + v_spared.left_alone,
              v_gone.left_alone + v_spared.left_alone,
              case when v_taken > 0 then (m23.count_diff(v_target.tbl)).taken_back else 0 end,
              m23.shape_warnings(v_target) || m23.arrival_warnings(v_target, v_count.deletes - v_arrived)
                || v_gone.warnings || v_spared.warnings || m23.undo_warnings(v_target));
  end loop;
  loop
    v_kept := m23.keep_references(p_tenant, targets, p_on_blocked);
    faults := v_kept.faults;
    blocked := v_kept.blocked;
    v_falling := m23.keep_within_rules(p_tenant, targets);
    v_fell := v_fell + v_falling;
    if v_fell = 0 and not exists (select from m23.plan where left_alone + nulled > 0) then return; end if;
    exit when m23.leave_dependent(p_tenant, targets) + v_falling = 0;
  end loop;
  foreach v_target in array targets loop
    update m23.plan p
       set inserts = c.inserts, updates = c.updates, deletes = c.deletes, taken_back = c.taken_back,
           blocked = b.skipped, warnings = p.warnings || b.warnings
      from m23.count_diff(v_target.tbl) c, m23.blocked_outcome(v_target) b where p.table_id = (v_target.tbl).id;
  end loop;
end $$;
