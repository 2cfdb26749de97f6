-- The deepest test: the staged archive is restored into a scratch schema, compared with what was
-- backed up, damaged, restored in place and taken back again. All of it is one transaction that
-- rolls that back: nobody else ever sees the schema, and nothing of it can stay.

create function public.m23_stage_test(p_test_id uuid, p_lease uuid) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_test public.recovery_tests;
  v_work m23.restore_work;
begin
  perform m23.keep_lease(p_test_id, p_lease);
  select * into v_test from public.recovery_tests where id = p_test_id;
  perform m23.forget_lost_staging(p_test_id);
  select * into v_work from m23.restore_work where work_id = p_test_id;
  if v_work.work_id is null then
    insert into m23.restore_work (work_id, tenant_id, kind, job_id) values (p_test_id, v_test.tenant_id, 'test', v_test.backup_job_id) returning * into v_work;
    update m23.test_work set staging_at = clock_timestamp() where test_id = p_test_id;
  end if;
  return m23.order_of(v_work, p_lease);
end $$;
comment on function public.m23_stage_test(uuid, uuid) is
  'For the workers: what has to be read back for a deep test, as for a restore, from where the last worker stopped. The time to recover counts from the first call.';

-- Staging does not survive a crash of the server, nor is it of use once its table has another shape
-- or is not protected any more: then it begins anew, and so does the time.
create function m23.forget_lost_staging(p_test uuid) returns void
language plpgsql set search_path = '' as $$
declare
  v_staged m23.staged_tables;
  v_lost   boolean;
begin
  for v_staged in select * from m23.staged_tables where restore_id = p_test loop
    execute format('select $1 > 0 and not exists (select from %s)', v_staged.staging) into v_lost using v_staged.standing;
    v_lost := v_lost or exists (select c.name, c.type_name from m23.columns_of(v_staged.staging::regclass) c
                                except select c.name, m23.type_with_nulls(t.relid, c.attnum) from m23.protected_tables t cross join m23.columns_of(t.relid) c
                                       where t.id = v_staged.table_id);
    exit when v_lost;
  end loop;
  if v_lost then
    for v_staged in select * from m23.staged_tables where restore_id = p_test loop
      execute format('drop table if exists %s', v_staged.staging);
    end loop;
    delete from m23.restore_work where work_id = p_test;
  end if;
end $$;

-- The copy ------------------------------------------------------------------------------

-- A staged table and its copy, which stands for a protected table wherever a restore needs one.
create type m23.scratch as (
  staged m23.staged_tables,
  live   m23.protected_tables,
  copy   m23.protected_tables,
  name   text,  -- of the live table, as callers write it
  path   text   -- m23.path_of the live table
);

-- A copy as what a restore converges, to the rows of a query.
create function m23.target_of(p_scratch m23.scratch, p_wanted text) returns m23.target
language plpgsql stable set search_path = '' as
$$
begin
  return row(p_scratch.copy, null, p_wanted, (p_scratch.staged).columns, null, p_scratch.path, '{}')::m23.target;
end $$;

-- Makes the copy of a table: everything that a row of it has to fit, but for foreign keys.
create function m23.make_scratch(p_schema text, p_staged m23.staged_tables) returns m23.scratch
language plpgsql set search_path = '' as $$
declare
  v_live m23.protected_tables;
  v_copy m23.protected_tables;
  v_name text := format('%I.%I', p_schema, 't' || p_staged.ordinal);
  v_path text;
begin
  select * into v_live from m23.protected_tables where id = p_staged.table_id;
  v_path := m23.path_of(v_live.relid);
  perform m23.make_like(v_name, v_live.relid,
                        'including defaults including generated including identity including constraints', v_path);
  perform m23.without_fills(v_name, v_live, p_staged);
  perform m23.close_table(v_name::regclass);
  v_copy := v_live;
  v_copy.id := 2000000000 + p_staged.ordinal;
  v_copy.relid := v_name::regclass;
  v_copy.tenant_attnum := (select attnum from pg_attribute where attrelid = v_copy.relid and attname = m23.tenant_column(v_live));
  return row(p_staged, v_live, v_copy, m23.public_name(v_live.relid), v_path)::m23.scratch;
end $$;

-- A column that the backup does not have, and that a function would fill in a restore, may be empty in the copy.
create function m23.without_fills(p_copy text, p_live m23.protected_tables, p_staged m23.staged_tables) returns void
language plpgsql set search_path = '' as $$
declare v_column name;
begin
  for v_column in
    select a.attname from pg_attribute a
     where a.attrelid = p_live.relid and a.attnotnull and a.attname <> all (p_staged.columns)
       and m23.fill_call(p_live, a.attnum, p_staged.columns) is not null
  loop
    execute format('alter table %s alter column %I drop not null', p_copy, v_column);
  end loop;
end $$;

-- Gives the planner its statistics. From PostgreSQL 17 on, ANALYZE has a search path of its own: where the functions
-- of an index do not get by with it, there are none, as of the live table.
create function m23.look_at(p_scratch m23.scratch) returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.run(p_scratch.path, format('analyze %s', m23.qualified_name((p_scratch.copy).relid)));
exception when others then null;
end $$;

create function m23.rows_fit(p_scratch m23.scratch) returns text
language plpgsql set search_path = '' as $$
declare
  v_list       text := (select string_agg(quote_ident(c), ', ') from unnest((p_scratch.staged).columns) c);
  v_constraint text;
  v_rows       bigint;
begin
  v_rows := m23.run(p_scratch.path, format('insert into %s (%s) overriding system value select %s from %s',
    m23.qualified_name((p_scratch.copy).relid), v_list, v_list, (p_scratch.staged).staging));
  if v_rows <> (p_scratch.staged).standing then  -- no damage of the backup: the next worker stages anew
    perform m23.refuse('UNAVAILABLE', 'the database was restarted while the archive was read back');
  end if;
  perform m23.look_at(p_scratch);
  return null;
exception
  when integrity_constraint_violation then
    get stacked diagnostics v_constraint = constraint_name;
    return format('rows of %s break "%s"', p_scratch.name, v_constraint);
  when data_exception then
    return (select string_agg(u, '; ') from m23.unfit_columns(row(p_scratch.live, null, format('select * from %s', (p_scratch.staged).staging),
              (p_scratch.staged).columns, null, p_scratch.path, '{}')::m23.target, null) u);
end $$;

create function m23.count_foreign(p_scratch m23.scratch, p_tenant uuid) returns bigint
language plpgsql set search_path = '' as $$
begin
  return m23.number_of(p_scratch.path, format('select count(*) from %s where %I is distinct from %L',
    m23.qualified_name((p_scratch.copy).relid), m23.tenant_column(p_scratch.copy), p_tenant));
end $$;

-- Foreign keys between copies are made, and so are checked by the server. Of one that leads out
-- of the archive, or to another tenant's rows, they are looked up, without a lock on anybody's table.
create function m23.key_holds(p_tenant uuid, p_all m23.scratch[], p_child m23.scratch, p_key pg_constraint) returns text
language plpgsql set search_path = '' as $$
declare
  v_parent m23.scratch := (select s from unnest(p_all) s where (s).live.relid = p_key.confrelid);
  v_path   text := coalesce(nullif(p_child.path, ''), m23.path_of(p_key.confrelid));
  v_count  bigint;
begin
  if (v_parent.copy).id is not null then
    perform m23.run(v_path, format('alter table %s add constraint %I %s', m23.qualified_name((p_child.copy).relid),
      p_key.conname, replace(pg_get_constraintdef(p_key.oid),
        'REFERENCES ' || m23.qualified_name(p_key.confrelid) || '(',
        'REFERENCES ' || m23.qualified_name((v_parent.copy).relid) || '(')));
    return null;
  end if;
  v_count := m23.number_of(v_path, format('
      select count(*) from %s d where row(%s) is not null and not exists (select from %s p where %s)',
    m23.qualified_name((p_child.copy).relid), m23.columns_text(p_key.conrelid, p_key.conkey, 'd'), m23.qualified_name(p_key.confrelid),
    m23.refers(p_key, 'p', 'd')));
  return case when v_count > 0 then format('%s row(s) of %s refer to rows of %s that do not exist, and %3$s is not in the backup', v_count, p_child.name, m23.public_name(p_key.confrelid)) end;
exception
  when foreign_key_violation then
    v_count := m23.number_of(v_path, format('select count(*) from %1$s d
                     where row(%2$s) is not null and not exists (select from %3$s p where %4$s)
                     and not exists (select from %5$s p where %4$s and p.%6$I <> %7$L)',
      m23.qualified_name((p_child.copy).relid), m23.columns_text(p_key.conrelid, p_key.conkey, 'd'), m23.qualified_name((v_parent.copy).relid),
      m23.refers(p_key, 'p', 'd'), m23.qualified_name(p_key.confrelid), m23.tenant_column(v_parent.live), p_tenant));
    return case when v_count > 0 then format('%s row(s) of %s refer to rows of %s that are not in the backup ("%s")', v_count, p_child.name, v_parent.name, p_key.conname) end;
  when undefined_column then return null;  -- newer than the backup
end $$;

-- What it holds ---------------------------------------------------------------------------

create function m23.fingerprint_now(p_scratch m23.scratch) returns numeric
language plpgsql set search_path = '' as $$
begin
  return m23.number_of(p_scratch.path, format('
      select coalesce(sum(pg_catalog.hashtextextended((%s) collate "C", 0::bigint)), 0) from %s r',
    m23.copy_line((p_scratch.copy).relid, (p_scratch.staged).columns), m23.qualified_name((p_scratch.copy).relid)));
end $$;

-- Whether the database knows what was read of a backup and all that it builds on: not where it has
-- adopted one without fingerprints.
create function m23.is_noted(p_job uuid) returns boolean
language sql stable set search_path = '' as
$$ select not exists (select from m23.chain_of(p_job) j join m23.backup_chunks c on c.job_id = j.id where c.fingerprint is null) $$;

create function m23.fingerprint_then(p_job uuid, p_table m23.backup_tables) returns numeric
language sql stable set search_path = '' as
$$ select coalesce(sum(c.fingerprint), 0) from m23.backup_chunks c where c.job_id = p_job and c.ordinal = p_table.ordinal and not c.history $$;

-- A chunk that is read back, with what m23_stage_chunk is told of it. A database that has adopted an
-- encrypted backup learns what a chunk has to come to when its archive is opened. A table of an
-- incremental is put together from many chunks, so each is compared by itself.
create function m23.examine_chunk(p_staged m23.staged_tables, p_head jsonb, p_lines text) returns void
language plpgsql set search_path = '' as $$
declare
  v_from  jsonb := p_head -> 'from';
  v_chunk m23.backup_chunks;
begin
  update m23.backup_chunks c set fingerprint = coalesce(c.fingerprint, (p_head ->> 'fingerprint')::numeric)
   where c.job_id = (v_from ->> 'backup_id')::uuid and c.ordinal = (v_from ->> 'ordinal')::int and c.seq = (v_from ->> 'seq')::int
     and c.history = (v_from ->> 'history')::boolean returning * into v_chunk;
  if exists (select from m23.restore_work w join m23.backup_tables b on b.job_id = w.job_id and b.ordinal = p_staged.ordinal
              where w.work_id = p_staged.restore_id and not b.whole) and m23.fingerprint_of(string_to_array(p_lines, chr(10))) <> v_chunk.fingerprint then
    update m23.staged_tables set altered = altered + 1 where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  end if;
end $$;

create function m23.check_fingerprint(p_scratch m23.scratch, p_then m23.backup_tables) returns void
language plpgsql set search_path = '' as $$
declare
  v_same  boolean := m23.shape_of((p_scratch.live).relid) @> p_then.columns and not coalesce(
    (select m23.has_altered_type((p_scratch.live).relid, w.position) from m23.backup_work w
      where w.job_id = p_then.job_id and w.incarnation = m23.incarnation()), false);
  v_right boolean;
begin
  perform m23.note_check('shape_changed', p_scratch.name, case when not v_same
    then format('the columns of %s have changed since the backup, so its rows cannot be compared with what was backed up', p_scratch.name) end);
  if (v_same or not p_then.whole) and m23.is_noted(p_then.job_id) then
    v_right := case when p_then.whole then m23.fingerprint_now(p_scratch) = m23.fingerprint_then(p_then.job_id, p_then) else (p_scratch.staged).altered = 0 end;
    perform m23.note_check('fingerprint_differs', p_scratch.name, case when not v_right
      then format('the restored rows of %s are not those that were backed up', p_scratch.name) end);
  end if;
end $$;

-- There and back --------------------------------------------------------------------------

-- Does to the copy what a customer might: takes rows away and empties a column of others, as far
-- as foreign keys and constraints allow.
create function m23.damage_scratch(p_scratch m23.scratch) returns void
language plpgsql set search_path = '' as $$
declare
  v_copy   text := m23.qualified_name((p_scratch.copy).relid);
  v_some   text := format('ctid in (select x.ctid from (select ctid, row_number() over () as n from %s) x where x.n %% 3 = 1)', v_copy);
  v_column text := (select c.name from m23.columns_of((p_scratch.copy).relid) c
                     where c.key_ord is null and not c.not_null and not c.generated and c.name = any ((p_scratch.staged).columns) order by c.attnum desc limit 1);
begin
  begin
    perform m23.run(p_scratch.path, format('delete from %s where %s', v_copy, v_some));
  exception when foreign_key_violation then null;
  end;
  if v_column is not null then
    begin
      perform m23.run(p_scratch.path, format('update %s set %I = null where %s', v_copy, v_column, v_some));
    exception when integrity_constraint_violation then null;
    end;
  end if;
end $$;

-- Converges the copies to what a query gives of each, as a restore does to live tables; gives
-- how many rows that changed.
create function m23.converge_scratch(p_tenant uuid, p_all m23.scratch[], p_wanted text[], p_work uuid) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_left text;
  v_done jsonb;
begin
  v_done := m23.converge(p_tenant, array(
    select m23.target_of(p_all[n], p_wanted[n]) from generate_subscripts(p_all, 1) n order by n), null, p_work);
  for v_left in select relname from pg_class where relnamespace = pg_my_temp_schema() and relkind = 'r' and relname ~ '^m23_' and relname <> 'm23_checks' loop
    execute format('drop table pg_temp.%I', v_left);
  end loop;
  return (v_done -> 'stats' ->> 'totalOperations')::bigint;
end $$;

create function m23.fingerprints_now(p_all m23.scratch[]) returns numeric[]
language sql volatile set search_path = '' as
$$ select array_agg(m23.fingerprint_now(p_all[n]) order by n) from generate_subscripts(p_all, 1) n $$;

-- The copies, those that others refer to last.
create function m23.children_first(p_all m23.scratch[]) returns m23.scratch[]
language sql stable set search_path = '' as $$
  with targets (t) as (select m23.parents_first(array(select m23.target_of(s, null) from unnest(p_all) s)))
  select array_agg((select s from unnest(p_all) s where (s).copy.relid = (t[n]).tbl.relid) order by n desc) from targets, generate_subscripts(t, 1) n
$$;

-- Gives how many rows went there and back.
create function m23.round_trip(p_schema text, p_tenant uuid, p_all m23.scratch[], p_work uuid) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_scratch m23.scratch;
  v_rows    bigint;
  v_names   text := (select string_agg((s).name, ', ') from unnest(p_all) s);
  v_whole   numeric[] := m23.fingerprints_now(p_all);
  v_damaged numeric[];
begin
  set constraints all immediate;
  foreach v_scratch in array m23.children_first(p_all) loop
    perform m23.damage_scratch(v_scratch);
  end loop;
  v_damaged := m23.fingerprints_now(p_all);
  foreach v_scratch in array p_all loop
    perform m23.run(v_scratch.path, format('create table %I.%I as select %s from %s',
      p_schema, 'd' || (v_scratch.staged).ordinal,
      (select string_agg(quote_ident(c), ', ') from unnest((v_scratch.staged).columns) c),
      m23.qualified_name((v_scratch.copy).relid)));
  end loop;
  v_rows := m23.converge_scratch(p_tenant, p_all, array(select format('select * from %s', (s).staged.staging) from unnest(p_all) s), p_work);
  perform m23.note_check('round_trip_differs', v_names, case when v_whole <> m23.fingerprints_now(p_all)
    then 'a restore in place of damaged rows did not give what is in the backup' end);
  perform m23.converge_scratch(p_tenant, p_all, array(select format('select * from %I.%I', p_schema, 'd' || (s).staged.ordinal) from unnest(p_all) s), p_work);
  perform m23.note_check('round_trip_differs', v_names, case when v_damaged <> m23.fingerprints_now(p_all)
    then 'undoing a restore in place did not give what was there before it' end);
  return v_rows;
end $$;

-- The whole of it ---------------------------------------------------------------------------

-- Restores what is staged; the checks go to pg_temp.m23_checks. Gives `{"seconds", "rows", "undone"}`.
create function m23.restore_to_scratch(p_work m23.restore_work) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_schema  text := 'm23_scratch_' || replace(p_work.work_id::text, '-', '');
  v_all     m23.scratch[];
  v_scratch m23.scratch;
  v_table   m23.backup_tables;
  v_key     pg_constraint;
  v_foreign bigint;
  v_done    jsonb;
begin
  perform m23.check_staged(p_work.work_id);
  execute format('create schema %I', v_schema);
  v_all := array(select m23.make_scratch(v_schema, s) from m23.staged_tables s where s.restore_id = p_work.work_id order by s.ordinal);
  foreach v_scratch in array v_all loop
    perform m23.note_check('constraint_broken', v_scratch.name, m23.rows_fit(v_scratch));
  end loop;
  foreach v_scratch in array v_all loop
    for v_key in select k.* from pg_constraint k where k.contype = 'f' and k.conrelid = (v_scratch.live).relid and k.conparentid = 0
       and m23.is_enforced(k) loop
      perform m23.note_check('reference_broken', v_scratch.name, m23.key_holds(p_work.tenant_id, v_all, v_scratch, v_key));
    end loop;
  end loop;
  v_done := jsonb_build_object('rows', (select coalesce(sum((s).staged.standing), 0) from unnest(v_all) s),
    'seconds', (select round(extract(epoch from clock_timestamp() - w.staging_at), 3) from m23.test_work w where w.test_id = p_work.work_id));

  for v_table in select * from m23.backup_tables where job_id = p_work.job_id order by ordinal loop
    v_scratch := (select s from unnest(v_all) s where (s).staged.ordinal = v_table.ordinal);
    perform m23.note_check('not_protected', format('%s.%s', v_table.schema_name, v_table.table_name),
                           case when v_scratch.name is null then m23.left_out_sentence(v_table) end);
    if v_scratch.name is not null then
      v_foreign := m23.count_foreign(v_scratch, p_work.tenant_id);
      perform m23.note_check('foreign_row', v_scratch.name, case when v_foreign > 0 then format('%s row(s) of %s belong to another tenant', v_foreign, v_scratch.name) end);
      perform m23.check_fingerprint(v_scratch, v_table);
    end if;
  end loop;
  if not exists (select from pg_temp.m23_checks where sentence is not null) then
    v_done := v_done || jsonb_build_object('undone', m23.round_trip(v_schema, p_work.tenant_id, v_all, p_work.work_id));
  end if;
  return v_done;
end $$;

create function public.m23_execute_test(p_test_id uuid, p_lease uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '1h' as $$
declare
  v_work    m23.restore_work;
  v_done    jsonb;
  v_tally   jsonb;
  v_state   text;
  v_message text;
begin
  -- Held to the end, however long it takes: the lease is not seen to be renewed until then.
  perform pg_advisory_xact_lock(m23.test_key(p_test_id));
  perform m23.keep_lease(p_test_id, p_lease);
  select w.trial into v_done from m23.test_work w where w.test_id = p_test_id;
  if v_done is not null then return v_done; end if;
  select * into v_work from m23.restore_work where work_id = p_test_id;
  begin
    perform m23.open_checks();
    begin
      v_done := m23.restore_to_scratch(v_work);
    exception when others then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
      if v_state = 'PGRST' and v_message::json ->> 'code' = 'UNAVAILABLE' then raise; end if;
      perform m23.note_check('not_restorable', 'the restore', case when v_state = 'PGRST' then v_message::json ->> 'message' else 'the restore failed; the database''s log tells why' end);
      raise log 'm23: the restore of a recovery test failed: % (%)', v_message, v_state;
    end;
    v_tally := m23.close_checks();
    raise exception 'done' using errcode = 'M2302';
  exception when sqlstate 'M2302' then null;  -- the schema and all that is in it is gone
  end;
  perform m23.keep_lease(p_test_id, p_lease);
  v_done := coalesce(v_done, '{}') || jsonb_build_object('tally', v_tally);
  update m23.test_work set trial = v_done where test_id = p_test_id;
  return v_done;
end $$;
comment on function public.m23_execute_test(uuid, uuid) is 'For the workers: restores the staged archive of a deep test, gives what was found and the measured time, and leaves nothing behind.';

select m23.open_to('{service_role}', 'public.m23_stage_test(uuid, uuid)', 'public.m23_execute_test(uuid, uuid)');
select m23.close_functions();
