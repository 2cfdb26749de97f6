-- Staging does not survive a crash of the server, nor is it of use once its table has another shape
-- or is not protected any more: then it begins anew, and so does the time.
create function m23.forget_lost_staging(p_test uuid) returns void
language plpgsql as $$
declare
  v_staged m23.staged_tables;
  v_lost   boolean;
begin
  for v_staged in select * from m23.staged_tables where restore_id = p_test loop
    execute format('select $1 > 0 and not exists (select from %s)', v_staged.staging) into v_lost
        using v_staged.standing;
    v_lost := v_lost or exists (select c.name, c.type_name from m23.columns_of(v_staged.staging::regclass) c
                                except select c.name, m23.type_with_nulls(t.relid, c.attnum)
                                         from m23.protected_tables t cross join m23.columns_of(t.relid) c
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
