-- Rollbacks: a rollback is a restore to a snapshot, which leaves a snapshot of its own, so that it can be rolled back
-- as well.

-- The tables of a snapshot by the names that they have now. Those that are no longer protected cannot come back: said,
-- not passed over.
create function m23.rollback_tables(p_snapshot public.pitr_snapshots, out tables text[], out warnings text[])
language sql stable as $$
  select array_agg(coalesce(c.name, s.name) order by s.n)
           filter (where c.name is not null or t.id is null and (m23.find_table(s.name)).id is not null),
         coalesce(array_agg(case
             when c.name <> s.name then format('%s is called %s now', s.name, c.name)
             when t.id is not null
               then format('%s was dropped since and was left out; its rows cannot come back', s.name)
             else format('%s is not protected any more and was left out', s.name) end order by s.n)
           filter (where c.name is distinct from s.name
                     and (t.id is not null or (m23.find_table(s.name)).id is null)), '{}')
    from rows from (unnest(p_snapshot.affected_tables),
                    jsonb_array_elements_text(p_snapshot.snapshot_data -> 'table_ids'))
         with ordinality s (name, id, n)
    left join m23.protected_tables t on t.id = s.id::int
   cross join lateral (select m23.public_name(t.relid)) c (name)
$$;

-- The tables that a rollback names: of a restore it takes back what that has touched.
create function m23.tables_of_rollback(p_snapshot public.pitr_snapshots, p_tables text[]) returns oid[]
language plpgsql volatile as $$
begin
  return case when p_snapshot.snapshot_type = 'pre_restore' then m23.tables_named_by(null, p_tables) end;
end $$;

-- The log row of a rollback that is done. The snapshot that it used is used up.
create function m23.finish_rollback(p_rollback public.pitr_rollbacks, p_outcome jsonb) returns json
language plpgsql as $$
declare v_done public.pitr_rollbacks;
begin
  update public.pitr_snapshots set status = 'rolled_back', is_rolled_back = true, rolled_back_at = clock_timestamp()
   where id = p_rollback.snapshot_id;
  update public.pitr_rollbacks r set status = 'completed', completed_at = clock_timestamp(),
         rows_restored = (p_outcome -> 'stats' ->> 'totalOperations')::bigint,
         affected_tables = coalesce(m23.list_of(p_outcome -> 'stats' -> 'affectedTables'), '{}'),
         pre_rollback_snapshot_id = (p_outcome ->> 'snapshot_id')::uuid,
         warnings = r.warnings || coalesce(m23.list_of(p_outcome -> 'warnings'), '{}')
   where r.id = p_rollback.id returning * into v_done;
  return json_build_object('restored_tables', v_done.affected_tables, 'rows_restored', v_done.rows_restored,
    'duration', round(extract(epoch from v_done.completed_at - v_done.created_at), 3),
    'snapshot_id', v_done.pre_rollback_snapshot_id,
    'warnings', v_done.warnings, 'stats', p_outcome -> 'stats');
end $$;
