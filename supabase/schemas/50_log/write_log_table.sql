-- Makes the log table of a protected table, or brings its columns up to the table's.
create function m23.write_log_table(p_table m23.protected_tables) returns void
language plpgsql as $$
declare
  v_log    text := m23.log_name(p_table.id);
  v_new    boolean := to_regclass(v_log) is null;
  v_column record;
  v_name   text;
begin
  if v_new then
    execute format('create table %s (
        tenant_id %s not null,
        xid       xid8 not null default pg_current_xact_id(),
        change_id pg_lsn not null default pg_current_wal_insert_lsn(),
        op        "char" not null,
        unchanged int,
        actor     uuid)', v_log, p_table.tenant_type);
    perform m23.close_table(v_log::regclass);
    execute format('revoke all on %s from public, anon, authenticated', v_log);
    perform m23.open_log_part(p_table.id);
  end if;
  update m23.log_columns f set column_name = c.name
    from m23.columns_of(p_table.relid) c where f.table_id = p_table.id and f.attnum = c.attnum;
  update m23.log_columns f set until_xid = pg_current_xact_id()
   where f.table_id = p_table.id and f.until_xid is null
     and not exists (select from m23.columns_of(p_table.relid) c
                      where c.attnum = f.attnum and not c.generated and m23.logged_type(c) = f.type_name);
  for v_column in
    select c.attnum, c.name, c.type_name as column_type, m23.logged_type(c) as type_name,
           (select count(*) from m23.log_columns f where f.table_id = p_table.id and f.attnum = c.attnum) as versions
      from m23.columns_of(p_table.relid) c
     where not c.generated
       and not exists (select from m23.log_columns f
                        where f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null)
  loop
    v_name := concat('c', v_column.attnum, '_' || nullif(v_column.versions, 0));
    execute format('alter table %s add column %s %s', v_log, v_name, v_column.type_name);
    insert into m23.log_columns (table_id, name, attnum, column_name, type_name, column_type, since, generated)
      values (p_table.id, v_name, v_column.attnum, v_column.name, v_column.type_name, v_column.column_type,
              case when v_new then '0/0' else pg_current_wal_insert_lsn() end,
              not v_new and v_column.versions = 0
                and v_column.attnum <= (select t.attributes from m23.protected_tables t where t.id = p_table.id));
  end loop;
  update m23.protected_tables t set attributes = c.relnatts
    from pg_class c where t.id = p_table.id and c.oid = p_table.relid;
end $$;
