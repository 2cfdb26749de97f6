-- Restores that name transactions in place of a time: an undo takes some back, and beforeTransaction goes back to where
-- one was about to commit.

-- The work of such a restore.
create function m23.transaction_work(p_tenant text, p_restore jsonb) returns m23.restore_work
language plpgsql volatile as $$
declare
  v_tables text[] := m23.tables_of_choice(p_restore);
  v_undo   m23.undoing;
  v_first  xid8[];
  v_field  text := case when p_restore ->> 'undo' is not null then 'undo' else 'beforeTransaction' end;
  v_work   m23.restore_work;
begin
  if v_field = 'undo' then
    v_undo := m23.undoing_of(p_tenant, p_restore, v_tables);
    v_first := v_undo.xids;
    v_tables := array(select n.nspname || '.' || c.relname from m23.protected_tables t
                        join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
                       where t.id = any (v_undo.table_ids) order by 1);
  else
    perform m23.refuse_unknown(p_tenant, array[p_restore ->> v_field], v_field);
    v_first := array[p_restore ->> v_field];
  end if;
  v_work := m23.new_work(p_tenant, 'pitr',
    p_moment => m23.moment_before(p_tenant, v_first, v_tables, v_field),
    p_tables => v_tables,
    p_plan_hash => p_restore ->> 'planHash',
    p_dry_run => coalesce((p_restore ->> 'dryRun')::boolean, false),
    p_on_blocked => coalesce(p_restore ->> 'onBlocked', case when v_field = 'undo' then 'skip' end),
    p_selection => m23.selection_of(null, p_restore),
    p_undo => v_undo);
  v_work.named := m23.tables_named_by(null, m23.list_of(p_restore -> 'tables'));
  return v_work;
end $$;

-- The moment just before the first of some transactions was committed, for tables that can answer for it.
create function m23.moment_before(p_tenant text, p_xids xid8[], p_tables text[], p_field text) returns m23.moment
language plpgsql volatile as $$
declare
  v_at     timestamptz := (select min(coalesce(m23.time_of(x), clock_timestamp())) from unnest(p_xids) x);
  v_moment m23.moment;
  v_faults text[];
begin
  v_at := coalesce(v_at, clock_timestamp()) - interval '1 microsecond';
  v_faults := case when m23.clock_fault(v_at) is not null then array['targetTimestamp: ' || m23.clock_fault(v_at)]
                   else '{}' end;
  if v_faults = '{}' then
    v_moment := m23.moment_at(v_at);
    v_faults := case when v_moment is null then m23.target_faults(p_tenant, v_at, p_tables)
                     else m23.moment_refusals(p_tenant, v_moment, p_tables) end;
  end if;
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to',
                       array(select regexp_replace(f, '^targetTimestamp:', p_field || ':') from unnest(v_faults) f));
  end if;
  return v_moment;
end $$;
