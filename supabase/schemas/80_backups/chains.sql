-- Chains: a full backup and the incrementals that build on it. An incremental holds, of each
-- table, the rows as of its own position of the keys that have changed since its parent's, and
-- what the log says of them: a moment between the two is reached backwards, from its end.

-- A chain up to one of its members, the full backup first.
create function m23.chain_of(p_job uuid) returns setof public.backup_jobs
language plpgsql stable rows 20 as $$
begin
  return query
  with recursive chain as (
    select j.id, j.parent_backup_id, 0 as back from public.backup_jobs j where j.id = p_job
    union all
    select j.id, j.parent_backup_id, c.back + 1 from chain c join public.backup_jobs j on j.id = c.parent_backup_id)
  select j.* from chain c join public.backup_jobs j on j.id = c.id order by c.back desc;
end $$;

-- What keeps a backup, with all that it builds on, from being read; null when nothing does. A
-- recovery test looks at one whose key was erased all the same.
create function m23.chain_fault(p_job public.backup_jobs, p_needs_key boolean default true) returns text
language plpgsql stable as $$
begin
  return (select case when j.id = p_job.id then 'this backup is '
                      else format('the chain is broken: "%s" is ', j.backup_name) end
           || case when j.deleted_at is not null then 'deleted'
                   when j.status <> 'completed' then replace(j.status, '_', ' ') || ', not completed'
                   else 'encrypted with a key that was erased' end
      from m23.chain_of(p_job.id) j
     where j.deleted_at is not null or j.status <> 'completed' or p_needs_key and m23.key_is_erased(j.id)
      order by j.id <> p_job.id, j.created_at limit 1);
end $$;

-- The tables that a backup is of, by their present names; null for all.
create function m23.tables_of_job(p_job public.backup_jobs) returns text[]
language plpgsql volatile as
$$ begin return case when p_job.tables is not null then m23.names_now(p_job.id, null) end; end $$;

-- Whether a member has a table whole: it is new since the parent, or has another shape, key or
-- history than it had there, or a partition was dropped with its rows.
create function m23.is_whole(p_table m23.protected_tables, p_parent m23.backup_work) returns boolean
language plpgsql stable as $$
begin
  return (select p_parent.job_id is null or not pg_visible_in_snapshot(p_table.xid, p_parent.position)
      or m23.lost_since(p_table, p_parent.tenant_id, m23.moment_of(p_parent.position)) is not null or not exists (
    select from m23.backup_tables b
     where b.job_id = p_parent.job_id and b.table_id = p_table.id
       and b.columns = m23.shape_of(p_table.relid) and b.key = m23.key_of(p_table.relid)
       and b.tenant_column is not distinct from m23.tenant_column(p_table)
       and b.path is not distinct from m23.path_facts(p_table)
       and format('%I.%I', b.schema_name, b.table_name) = m23.qualified_name(p_table.relid)));
end $$;

-- The position of the backup that one builds on; null for a full one.
create function m23.parent_position(p_job uuid) returns pg_snapshot
language sql stable as
$$ select w.position from public.backup_jobs j join m23.backup_work w on w.job_id = j.parent_backup_id
    where j.id = p_job $$;

-- What a manifest says of its parent.
create function m23.parent_facts(p_parent uuid) returns json
language sql stable as $$
  select json_build_object('backup_id', w.job_id, 'manifest', w.manifest, 'sha256', w.manifest_sha256,
                           'position', w.position::text, 'position_at', w.position_at)
    from m23.backup_work w where w.job_id = p_parent
$$;

-- Parameters of these queries: those of m23.touched_since for the member's own position, and
-- $4, the parent's as a moment. p_log: the log's entries since the parent, as m23.log_of() gives them.
