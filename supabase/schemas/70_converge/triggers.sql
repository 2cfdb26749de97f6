-- The application's triggers, which are silent while a restore writes.

-- The application's triggers and foreign-key actions are silent while a restore writes:
-- the rows that they made are among the rows that come back.
create function m23.silence_triggers() returns boolean
language plpgsql as $$
begin
  perform set_config('session_replication_role', 'replica', true);
  return true;
exception when insufficient_privilege then
  return false;
end $$;

-- Whether a write to these tables sets anything off but M23's capture: triggers, those of foreign
-- keys among them, or rules. Where it does not, nothing is silenced: that would throw away every plan
-- that the session has kept.
create function m23.sets_off(p_targets m23.target[]) returns boolean
language plpgsql stable as $$
begin
  return exists (select from unnest(p_targets) t, m23.captured_relations((t).tbl.relid) c
     where exists (select from pg_trigger g where g.tgrelid = c.relid and g.tgname !~ '^(aaa|zzz)_m23_')
        or exists (select from pg_rewrite r where r.ev_class = c.relid));
end $$;

-- Triggers that fire all the same, or that cannot be silenced on this server.
create function m23.loud_triggers(p_table m23.protected_tables, p_silenced boolean) returns text[]
language sql stable as $$
  select coalesce(array_agg(t.tgname::text order by t.tgname), '{}') from pg_trigger t
   where t.tgrelid = p_table.relid and not t.tgisinternal and t.tgname !~ '^(aaa|zzz)_m23_'
     and case when p_silenced then t.tgenabled in ('A', 'R') else t.tgenabled in ('O', 'A') end
$$;

-- Silences triggers. Those that cannot be silenced are refused, and those that fire always are told of.
create function m23.check_triggers(p_targets m23.target[]) returns text[]
language plpgsql as $$
declare
  v_silenced boolean := m23.silence_triggers();
  v_said     text[] := m23.trigger_sentences(p_targets, v_silenced);
begin
  if not v_silenced and cardinality(v_said) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_said);
  end if;
  return v_said;
end $$;
