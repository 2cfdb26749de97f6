-- Lets go of a job that this worker cannot bring further now: the next one need not wait.
-- open to: service_role
create function public.m23_release_work(p_work_id uuid, p_lease uuid) returns void
language sql security definer set row_security = off as
$$ update m23.leases set until = clock_timestamp() where work_id = p_work_id and token = p_lease $$;
