-- What a plan comes to, for a caller; with that it is over.
create function m23.plan_report(p_warnings text[]) returns jsonb
language plpgsql volatile as $$
declare
  v_report jsonb := (select jsonb_build_object(
      'stats', jsonb_build_object(
        'totalOperations', coalesce(sum(inserts + updates + deletes), 0), 'insertCount', coalesce(sum(inserts), 0),
        'updateCount', coalesce(sum(updates), 0), 'deleteCount', coalesce(sum(deletes), 0),
        'affectedTables', coalesce(jsonb_agg(name order by name) filter (where inserts + updates + deletes > 0), '[]')),
      'warnings', to_jsonb(p_warnings || array(select w from m23.plan, unnest(warnings) with ordinality u (w, n)
                                                order by name, n)
                            || m23.planned_losses())
        || coalesce(jsonb_agg(
             format('%s: %s row(s) that had become nobody''s (their tenant is null) were taken back as they were then',
                    name, taken_back)
             order by name) filter (where taken_back > 0), '[]')
        || coalesce(jsonb_agg(
             format('%s: %s row(s) were left alone: their key, or a value that only one row may have, is another '
                    'tenant''s or nobody''s, they came from there, or they depend on such a row',
                    name, left_alone - unreachable - blocked)
             order by name) filter (where left_alone > unreachable + blocked), '[]'))
    from m23.plan);
begin
  perform m23.end_plan();
  return v_report;
end $$;
