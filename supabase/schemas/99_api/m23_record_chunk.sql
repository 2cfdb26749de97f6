-- Notes a chunk that is safe in the store, and with it the job's progress. Saying the
-- same twice changes nothing.
-- open to: service_role
create function public.m23_record_chunk(p_chunk jsonb) returns void
language plpgsql security definer set row_security = off as $$
declare
  v_job     uuid := (p_chunk ->> 'job_id')::uuid;
  v_ordinal int := (p_chunk ->> 'ordinal')::int;
  v_history boolean := coalesce((p_chunk ->> 'history')::boolean, false);
begin
  perform m23.keep_lease(v_job, (p_chunk ->> 'lease')::uuid);
  if (select coalesce(max(c.seq), 0) + 1 from m23.backup_chunks c
       where c.job_id = v_job and c.ordinal = v_ordinal and c.history = v_history)
     < (p_chunk ->> 'seq')::int then
    -- A crash where commits are asynchronous, or a replica that took over. The next worker begins at the gap.
    perform m23.refuse('UNAVAILABLE', 'the database has lost the record of an earlier chunk of this backup');
  end if;
  if (p_chunk ->> 'rows')::int > 0 then
    insert into m23.backup_chunks (job_id, ordinal, history, seq, object, rows, bytes, stored_bytes, sha256,
                                   fingerprint, sealed_fingerprint, last_key)
      values (v_job, v_ordinal, v_history, (p_chunk ->> 'seq')::int, p_chunk ->> 'object', (p_chunk ->> 'rows')::int,
              (p_chunk ->> 'bytes')::bigint, (p_chunk ->> 'stored_bytes')::bigint, p_chunk ->> 'sha256',
              (p_chunk ->> 'fingerprint')::numeric, p_chunk ->> 'sealed_fingerprint',
              coalesce(m23.list_of(p_chunk -> 'last_key'), '{}'))
      on conflict do nothing;
  end if;
  update m23.backup_tables set done = case when v_history then done else (p_chunk ->> 'done')::boolean end,
         history_done = case when v_history then (p_chunk ->> 'done')::boolean else history_done end
   where job_id = v_job and ordinal = v_ordinal;
  update m23.leases set taken = 1 where work_id = v_job;
  update public.backup_jobs set metadata = metadata || jsonb_build_object('progress', m23.backup_progress(v_job))
   where id = v_job;
end $$;
comment on function public.m23_record_chunk(jsonb) is 'For the workers: a chunk that is stored.';
