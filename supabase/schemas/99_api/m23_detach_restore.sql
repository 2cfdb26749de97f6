-- Its caller was told that it goes on (202). A dry run has a row to follow it by from then on.
-- open to: service_role
create function public.m23_detach_restore(p_restore_id uuid, p_lease uuid) returns void
language plpgsql security definer set row_security = off as $$
declare v_work m23.restore_work;
begin
  perform m23.check_lease(p_restore_id, p_lease);
  update m23.restore_work set detached = true where work_id = p_restore_id returning * into v_work;
  if v_work.dry_run then
    insert into public.restore_logs (id, tenant_id, restore_type, backup_job_id, target_timestamp, tables, status,
                                     started_at, metadata)
      values (v_work.work_id, v_work.tenant_id, v_work.kind, v_work.job_id, (v_work.moment_in_chain).taken,
              v_work.tables,
              'in_progress', clock_timestamp(), '{"dry_run": true}');
  end if;
end $$;
