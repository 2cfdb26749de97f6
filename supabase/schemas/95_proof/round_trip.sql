-- Gives how many rows went there and back.
create function m23.round_trip(p_schema text, p_tenant text, p_all m23.scratch[], p_work uuid) returns bigint
language plpgsql as $$
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
  v_rows := m23.converge_scratch(p_tenant, p_all,
    array(select format('select * from %s', (s).staged.staging) from unnest(p_all) s), p_work);
  perform m23.note_check('round_trip_differs', v_names, case when v_whole <> m23.fingerprints_now(p_all)
    then 'a restore in place of damaged rows did not give what is in the backup' end);
  perform m23.converge_scratch(p_tenant, p_all,
    array(select format('select * from %I.%I', p_schema, 'd' || (s).staged.ordinal) from unnest(p_all) s), p_work);
  perform m23.note_check('round_trip_differs', v_names, case when v_damaged <> m23.fingerprints_now(p_all)
    then 'undoing a restore in place did not give what was there before it' end);
  return v_rows;
end $$;
