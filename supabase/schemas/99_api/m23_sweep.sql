-- open to: service_role
create function public.m23_sweep() returns json
language plpgsql security definer set row_security = off as $$
declare
  v_step   record;
  v_count  bigint;
  v_told   jsonb := '{}';
  v_failed text[] := '{}';
begin
  for v_step in
    select * from (values
        ('requests', 'sweep_requests', true), ('snapshots', 'sweep_snapshots', false),
        ('previews', 'sweep_previews', false), ('commit times', 'keep_commit_times', false),
        ('absent parents', 'settle_absent_parents', false), ('moved parents', 'settle_moved_parents', false),
        ('log parts', 'sweep_logs', false),
        ('summaries', 'sweep_summaries', false), ('sources', 'sweep_sources', false), ('tenants', 'see_tenants', false),
        ('restores', 'sweep_restores', true), ('copies', 'sweep_copies', true),
        ('captures', 'renew_captures', true), ('statements', 'renew_statements', false),
        ('jobs', 'sweep_pending_jobs', true),
        -- Last, as calls of their tenants wait for the audit until the end.
        ('audit', 'prune_audit', true), ('refusals', 'write_refusals', true)) s (name, step, is_told)
  loop
    v_count := m23.sweep_step(v_step.step);
    if v_count is null then v_failed := v_failed || v_step.name; end if;
    if v_count > 0 and v_step.is_told then v_told := v_told || jsonb_build_object(v_step.name, v_count); end if;
  end loop;
  return v_told || case when v_failed <> '{}' then jsonb_build_object('failed', v_failed) else '{}' end;
end $$;
comment on function public.m23_sweep() is
  'For the workers, every minute: the upkeep, step by step. Gives what was done, and which steps failed.';
