-- Moments inside a chain: between the full backup and its last incremental. A moment is reached
-- backwards, from the first member at or after it: that member's rows, taken back by the entries
-- of its own history that lie after the moment. The log in the database is not needed.

-- What a backup builds on, itself, and what has been built on it and can be read.
create function m23.members_around(p_job uuid) returns setof m23.backup_work
language sql stable rows 2 as $$
  with recursive later as (
    select p_job as id
    union
    select j.id from later l join public.backup_jobs j on j.parent_backup_id = l.id
     where j.status = 'completed' and j.deleted_at is null)
  select w.* from m23.backup_work w
   where w.job_id in (select id from later union select c.id from m23.chain_of(p_job) c)
$$;

-- The chosen tables as the member has them; all that it has and that are protected still, when
-- none is chosen.
create function m23.tables_of_member(p_job uuid, p_restore jsonb) returns text[]
language plpgsql volatile as $$
declare v_chosen text[] := m23.list_of(p_restore -> 'tables');
begin
  if v_chosen is null then
    return array(select b.schema_name || '.' || b.table_name from m23.backup_tables b
                  where b.job_id = p_job and (m23.table_now(b)).id is not null
                    and not m23.is_access_table((m23.table_now(b)).relid) order by b.ordinal);
  end if;
  return m23.tables_in_backup(p_job,
    m23.tables_of_choice(p_restore));
end $$;

-- The moment of work as the log knows it; null where only an archive does.
create function m23.known_moment(p_work m23.restore_work) returns m23.moment
language plpgsql volatile as $$
begin
  return case when (p_work.moment).position is not null then p_work.moment else m23.logged_moment(p_work) end;
end $$;

-- A table that a member has whole begins anew there: of the time since the parent it says nothing.
create function m23.refuse_moment_in_whole(
  p_member m23.backup_work, p_tables text[], p_in_chain m23.moment
) returns void
language plpgsql stable as $$
declare v_faults text[];
begin
  if (p_in_chain).taken is null then return; end if;
  v_faults := array(
    select format('targetTimestamp: %s.%s begins anew with the backup "%s": its shape, its protection or its '
                  'partitions changed after %s, and there is no moment of it before %s',
                  b.schema_name, b.table_name, j.backup_name, m23.iso(p.position_at), m23.iso(p_member.position_at))
      from m23.backup_tables b join public.backup_jobs j on j.id = b.job_id
      join m23.backup_work p on p.job_id = j.parent_backup_id
     where b.job_id = p_member.job_id and b.whole and b.schema_name || '.' || b.table_name = any (p_tables)
     order by b.ordinal);
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to', v_faults);
  end if;
end $$;

-- The log's own moment for work on a chain, where log and chain are of one life of the database.
create function m23.logged_moment(p_work m23.restore_work) returns m23.moment
language plpgsql volatile as $$
declare v_member m23.backup_work;
begin
  select * into v_member from m23.backup_work where job_id = p_work.job_id;
  if v_member.incarnation <> m23.incarnation() then
    return null;
  elsif (p_work.moment_in_chain).taken is null then
    return m23.moment_of(v_member.position, v_member.position_at);
  elsif (p_work.moment_in_chain).position is not null then
    return p_work.moment_in_chain;
  end if;
  return m23.moment_at((p_work.moment_in_chain).at);
end $$;

-- Whether the log alone can answer for tables at a moment.
create function m23.log_reaches(p_tenant text, p_tables text[], p_moment m23.moment) returns boolean
language sql volatile as $$
  select (p_moment).position is not null and m23.tenant_fault(p_tenant, p_moment) is null and not exists (
    select from m23.moment_faults(p_tables, p_moment))
$$;

-- Takes what is staged back to the moment inside the member: as in m23.touched_since, existence
-- is a balance, and the row is the first old image since.
create function m23.rewind_staged(p_work m23.restore_work) returns void
language plpgsql as $$
declare
  v_staged m23.staged_tables;
  v_table  m23.protected_tables;
begin
  if (p_work.moment_in_chain).taken is null then return; end if;
  for v_staged in
    select * from m23.staged_tables where restore_id = p_work.work_id and history is not null order by ordinal
  loop
    select * into v_table from m23.protected_tables where id = v_staged.table_id;
    perform m23.check_history(v_staged, v_table, p_work);
    perform m23.rewind_table(v_staged, v_table, p_work.moment_in_chain);
  end loop;
end $$;

-- Refuses a staged history that does not say when its changes were, or that has rows of another tenant.
create function m23.check_history(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_work m23.restore_work
) returns void
language plpgsql as $$
declare
  v_undated bigint;
  v_foreign bigint;
begin
  execute m23.fill($sql$
      select count(*) filter (where m23_at is null),
             count(*) filter (where m23_op in ('U', 'D') and {is_foreign}) from {history} r$sql$,
    'is_foreign', m23.is_foreign(p_table, p_work.tenant_id),
    'history', p_staged.history) into v_undated, v_foreign;
  if v_undated > 0 and (p_work.moment_in_chain).position is null then
    perform m23.refuse('BACKUP_UNUSABLE',
      format('the archive does not say when %s change(s) of %s were committed', v_undated,
             m23.public_name(p_table.relid)));
  elsif v_foreign > 0 then
    perform m23.refuse('BACKUP_UNUSABLE', format('the archive holds %s row(s) of another tenant', v_foreign));
  end if;
end $$;

-- The condition that a staged entry `r` lies after a moment inside its member.
create function m23.staged_lies_after(p_in_chain m23.moment) returns text
language sql stable as $$
  select case when (p_in_chain).position is null then format('r.m23_at > %L::timestamptz', (p_in_chain).at)
              else format('not pg_visible_in_snapshot(r.m23_xid, %L)', (p_in_chain).position) end
$$;

-- The keys that have come from another tenant since the staged rows' moment: what the log knows since
-- the backup, and the archive of the way back to a moment inside it. Of a backup from another life all
-- that is logged is later.
create function m23.arrived_since(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_work m23.restore_work, p_backup m23.moment
) returns text
language sql volatile as $$
  select concat_ws(' union all ',
    m23.arrived_keys(p_table, p_work.tenant_id, pg_snapshot_xmin((p_backup).position),
                case when (p_backup).position is null then 'true'
                     else format('not pg_visible_in_snapshot(l.xid, %L)', (p_backup).position) end, false),
    case when (p_work.moment_in_chain).taken is not null and p_staged.history is not null
      then format('select %s from %s r where r.m23_op = ''a'' and %s', m23.key_list(p_table.relid, 'r'),
                  p_staged.history, m23.staged_lies_after(p_work.moment_in_chain)) end)
$$;
