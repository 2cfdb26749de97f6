-- M23's tables beside those of the application, in public. Only the memberships among them can be protected: they are
-- the application's own, if it has no other.
create function m23.own_tables() returns text[]
language sql immutable as $$
  select array['tenant_members', 'backup_jobs', 'restore_logs', 'pitr_snapshots', 'pitr_rollbacks', 'dr_plans',
               'recovery_tests', 'health_snapshots', 'audit_log']
$$;

-- The schema of a table that belongs to the system or to M23, with the reason; null where it is the application's.
create function m23.not_the_applications(p_table oid) returns text
language plpgsql stable as $$
begin
  return (select case when n.nspname = 'public' and c.relname = any (m23.own_tables())
                       and c.relname <> 'tenant_members' then 'it is a table of M23'
                      when n.nspname in ('auth', 'information_schema', 'm23', 'm23_log', 'm23_staging')
                        or n.nspname like 'pg\_%' then format('the schema %s belongs to the system', n.nspname) end
            from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
end $$;
