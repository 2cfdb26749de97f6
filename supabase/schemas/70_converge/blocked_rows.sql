-- How many rows of a table's plan each foreign key has blocked, and what became of them: `skipped`, `kept` (they should
-- have gone), or `nulled`. A row that was left in the end is not among the latter.
create function m23.blocked_rows(p_target m23.target) returns table (key pg_constraint, became text, rows bigint)
language plpgsql volatile rows 2 as $$
declare
  v_left   text := to_regclass('pg_temp.m23_left_' || (p_target.tbl).id);
  v_nulled text := to_regclass('pg_temp.m23_nulled_' || (p_target.tbl).id);
  v_each   text := concat_ws(' union all ',
    'select m23_lacks, case m23_op when ''D'' then ''kept'' else ''skipped'' end from ' || v_left
      || ' where m23_lacks is not null',
    'select r.m23_lacks, ''nulled'' from ' || v_nulled || ' r where '
      || coalesce('not ' || m23.key_in((p_target.tbl).relid, 'r', v_left), 'true'));
begin
  if v_each = '' then return; end if;
  return query execute format('
      select k, g.became, g.rows
        from (select e.lacks, e.became, count(*) as rows from (%s) e (lacks, became) group by 1, 2) g
        join pg_constraint k on k.oid = g.lacks', v_each);
end $$;
