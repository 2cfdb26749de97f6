-- The condition that a row `r` of an archive is another tenant's. Where a path leads to it, the parent that is there
-- now says nothing of then: a plan sees to it that no row comes to hang on another tenant's (m23.path_at_risk).
create function m23.is_foreign(p_table m23.protected_tables, p_tenant text) returns text
language plpgsql stable as $$
begin
  if m23.tenant_column(p_table) is null then return 'false'; end if;
  return format('%s is distinct from %s', m23.row_tenant(p_table, 'r'),
                m23.tenant_value(p_table, quote_literal(p_tenant)));
end $$;

-- The rows of a staged table: all that the manifest promises (staging does not survive a
-- crash of the server), and this tenant's. An archive holds no others; should one do so
-- all the same, the restore is refused.
create function m23.staged_query(p_staged m23.staged_tables, p_table m23.protected_tables, p_tenant text) returns text
language plpgsql as $$
declare
  v_rows    bigint;
  v_foreign bigint;
begin
  execute format('select count(*), count(*) filter (where %s) from %s r', m23.is_foreign(p_table, p_tenant),
                 p_staged.staging) into v_rows, v_foreign;
  if v_rows <> p_staged.standing then
    perform m23.refuse('UNAVAILABLE',
                       'the database was restarted while the archive was read back; start the restore again');
  end if;
  if v_foreign > 0 then
    perform m23.refuse('BACKUP_UNUSABLE', format('the archive holds %s row(s) of another tenant', v_foreign));
  end if;
  return format('select * from %s', p_staged.staging);
end $$;
