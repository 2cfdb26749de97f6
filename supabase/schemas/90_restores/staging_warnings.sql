-- What the staging of an archive has found, for whoever is told how the work ends; a dry run too.
create table m23.staging_warnings (
  work_id uuid not null references m23.restore_work (work_id) on delete cascade,
  said    text not null,
  n       bigint generated always as identity,
  primary key (work_id, said)
);
select m23.close_table('m23.staging_warnings');

-- What has been noted for the caller of this work, in order.
create function m23.staging_warnings(p_work uuid) returns text[]
language plpgsql stable as $$
begin
  return array(select w.said from m23.staging_warnings w where w.work_id = p_work order by w.n);
end $$;

-- Notes what a caller is told when work ends.
create function m23.add_staging_warning(p_work uuid, p_said text) returns void
language plpgsql as
$$ begin insert into m23.staging_warnings (work_id, said) values (p_work, p_said) on conflict do nothing; end $$;

-- Whether no table of a backup is there to be restored any more: the staging has told why of each.
create function m23.is_empty(p_work m23.restore_work) returns boolean
language plpgsql stable as $$
begin
  return p_work.job_id is not null
     and not exists (select from m23.staged_tables s where s.restore_id = p_work.work_id);
end $$;

-- What is said of a backup none of whose tables is there any more.
create function m23.empty_sentence() returns text
language sql immutable as
$$ select 'none of these tables can be restored; nothing was changed' $$;
