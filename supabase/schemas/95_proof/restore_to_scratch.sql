-- Restores what is staged; the checks go to pg_temp.m23_checks. Gives `{"seconds", "rows", "undone"}`.
create function m23.restore_to_scratch(p_work m23.restore_work) returns jsonb
language plpgsql as $$
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
  v_all := array(select m23.make_scratch(v_schema, s) from m23.staged_tables s where s.restore_id = p_work.work_id
                  order by s.ordinal);
  foreach v_scratch in array v_all loop
    perform m23.note_check('constraint_broken', v_scratch.name, m23.rows_fit(v_scratch));
  end loop;
  foreach v_scratch in array v_all loop
    for v_key in
      select k.* from pg_constraint k
       where k.contype = 'f' and k.conrelid = (v_scratch.live).relid and k.conparentid = 0 and m23.is_enforced(k)
    loop
      perform m23.note_check('reference_broken', v_scratch.name,
                             m23.key_holds(p_work.tenant_id, v_all, v_scratch, v_key));
    end loop;
  end loop;
  v_done := jsonb_build_object('rows', (select coalesce(sum((s).staged.standing), 0) from unnest(v_all) s),
    'seconds', (select round(extract(epoch from clock_timestamp() - w.staging_at), 3) from m23.test_work w
                 where w.test_id = p_work.work_id));

  for v_table in select * from m23.backup_tables where job_id = p_work.job_id order by ordinal loop
    v_scratch := (select s from unnest(v_all) s where (s).staged.ordinal = v_table.ordinal);
    perform m23.note_check('not_protected', format('%s.%s', v_table.schema_name, v_table.table_name),
                           case when v_scratch.name is null then m23.left_out_sentence(v_table) end);
    if v_scratch.name is not null then
      v_foreign := m23.count_foreign(v_scratch, p_work.tenant_id);
      perform m23.note_check('foreign_row', v_scratch.name,
        case when v_foreign > 0 then format('%s row(s) of %s belong to another tenant', v_foreign, v_scratch.name) end);
      perform m23.check_fingerprint(v_scratch, v_table);
    end if;
  end loop;
  if not exists (select from pg_temp.m23_checks where sentence is not null) then
    v_done := v_done || jsonb_build_object('undone', m23.round_trip(v_schema, p_work.tenant_id, v_all, p_work.work_id));
  end if;
  return v_done;
end $$;
