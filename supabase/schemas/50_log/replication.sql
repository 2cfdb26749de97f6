-- Rows that come by logical replication. Its workers run no statements: of a table's triggers, only those for each row
-- fire. A table that a subscription writes to has some more of them, and no other table pays for that:
--   aaa_m23_row_replicated   after each row: logs it where no statement is open, as it comes by none then
--   zzz_m23_statement[_done] before and after each statement: say which are open, in such a worker too, where the
--                            application's triggers run some, or which copies a table to begin with

-- Whether a subscription writes to a table or to a partition of it.
create function m23.is_subscribed(p_relid oid) returns boolean
language plpgsql stable as $$
begin
  return exists (select from pg_subscription_rel)  -- mostly there is none
     and exists (select from pg_subscription_rel s join m23.captured_relations(p_relid) c on c.relid = s.srrelid);
end $$;

-- The setting that says how many statements on a table are open in this transaction.
create function m23.statements_setting(p_table_id int) returns text
language sql immutable as $$ select 'm23.statements_' || p_table_id $$;

-- Fires before and after a statement.
create function m23_log.count_statements() returns trigger language plpgsql as $$
declare
  v_setting text := 'm23.statements_' || tg_argv[0];
  v_open    int := coalesce(nullif(current_setting(v_setting, true), ''), '0');
begin
  perform set_config(v_setting, (v_open + case tg_when when 'BEFORE' then 1 else -1 end)::text, true);
  return null;
end $$;

-- What is logged of one row that was written, by the expressions for it before and after.
create function m23.row_statements(p_table m23.protected_tables, p_event text, p_old text, p_new text) returns text[]
language plpgsql stable as $$
declare
  v_old text := format('(select %s.*)', p_old);
  v_new text := format('(select %s.*)', p_new);
begin
  return m23.log_statement(p_table, p_event, 'all', case p_event when 'insert' then v_new else v_old end)
      || case p_event when 'update' then m23.move_statements(p_table, v_old, v_new) end;
end $$;

-- The same where no event trigger has followed an ALTER TABLE; the row is $1 before and $2 after.
create function m23.stale_row_statements(p_table_id int, p_relid oid, p_event text) returns text[]
language plpgsql as $$
declare v_table m23.protected_tables := m23.follow_layout(p_table_id, p_relid);
begin
  return case when v_table.id is null then '{}'
              else m23.row_statements(v_table, p_event, '($1)', '($2)')
                || m23.row_path_statements(p_table_id, p_event) end;
end $$;

-- The statements besides where paths lead to a table's tenants, or through it; the row is $1 before and $2 after.
create function m23.row_path_statements(p_table_id int, p_event text) returns text[]
language plpgsql stable as $$
begin
  return (select m23.path_statements(t, p_event, '(select ($1).*)', '(select ($2).*)')
            from m23.protected_tables t where t.id = p_table_id);
end $$;

-- Whether rows are replicated into a table, or a partition of it, without being captured.
create function m23.misses_replication(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
begin
  return m23.is_subscribed(p_table.relid) and exists (
    select from m23.captured_relations(p_table.relid) c
     where c.leaf and not exists (select from pg_trigger g
                                   where g.tgrelid = c.relid and g.tgname = 'aaa_m23_row_replicated'
                                     and g.tgenabled = 'A'));
end $$;

-- Whether a table is still captured for a subscription that is gone.
create function m23.replication_has_ended(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
begin
  return exists (select from m23.captured_relations(p_table.relid) c join pg_trigger g on g.tgrelid = c.relid
                  where g.tgname = 'aaa_m23_row_replicated') and not m23.is_subscribed(p_table.relid);
end $$;
