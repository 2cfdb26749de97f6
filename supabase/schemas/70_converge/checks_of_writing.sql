-- Whether a table is as it was planned, once it is written.

-- Whether a table is known to be as planned without a look at its rows: every planned row was written, and found stored
-- as it should be where triggers could have had a say, and nothing has been logged of the tenant's rows since the plan
-- but what that takes. Else some trigger has done more, or otherwise.
create function m23.is_as_written(p_table m23.protected_tables, p_tenant text, p_since pg_lsn) returns boolean
language plpgsql as $$
declare v_known boolean;
begin
  if to_regclass(m23.log_name(p_table.id)) is null then return false; end if;  -- a copy, whose changes nobody logs
  execute format('select p.written = d.changes and l.changes = d.changes from m23.plan p,
      (select count(*) + count(*) filter (where m23_op = ''R'') as changes from %s) d,
      (select count(*) as changes from %s log
        where tenant_id = %s and xid = pg_current_xact_id() and change_id >= $2) l where p.table_id = $3',
    m23.diff_name(p_table), m23.log_of(p_table.id, p_tenant, pg_current_xact_id()),
    m23.tenant_value(p_table, '$1')) into v_known
    using p_tenant, p_since, p_table.id;
  return v_known;
end $$;

-- How many rows differ from what a target wants, but for those left alone; it is planned anew.
create function m23.differs_still(p_target m23.target, p_tenant text) returns bigint
language plpgsql as $$
declare v_rows bigint;
begin
  perform m23.plan_table(p_target, p_tenant);
  perform m23.set_aside_again(p_target);
  perform m23.null_again(p_target, p_tenant);
  -- an undo does not want what was left
  select c.inserts + c.updates + c.deletes - case when (p_target.undo).xids is null then p.left_alone else 0 end
    into v_rows
    from m23.count_diff(p_target.tbl) c, m23.plan p where p.table_id = (p_target.tbl).id;
  return v_rows;
end $$;

-- Fails where a target is not as it is wanted, but for the rows that were left alone.
create function m23.refuse_difference(p_target m23.target, p_tenant text) returns void
language plpgsql as $$
begin
  if m23.differs_still(p_target, p_tenant) <> 0 then
    raise exception 'after the restore some rows of % are not as they should be', (p_target.tbl).relid::regclass;
  end if;
end $$;

-- The targets among the chosen ones that were not planned, and that this transaction has written to all the same: by
-- triggers of the application, or rules.
create function m23.written_beside(p_tenant text, p_targets m23.target[], p_chosen m23.target[]) returns m23.target[]
language plpgsql as $$
declare
  v_others int[] := array(select (t).tbl.id from unnest(p_chosen) t except select (t).tbl.id from unnest(p_targets) t);
  v_logged int[] := m23.logged_tables(v_others, p_tenant, pg_current_xact_id());
begin
  return m23.complete_targets(array(select t from unnest(p_chosen) t where ((t).tbl).id = any (v_logged)));
end $$;
