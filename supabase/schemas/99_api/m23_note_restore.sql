-- Progress of a restore, for restore_logs.metadata.
-- open to: service_role
create function public.m23_note_restore(p_restore_id uuid, p_lease uuid, p_progress jsonb) returns void
language plpgsql security definer set row_security = off as $$
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  update public.restore_logs set metadata = metadata || jsonb_build_object('progress', p_progress)
   where id = p_restore_id;
end $$;
