-- Makes the log table of a protected table, or brings its columns up to the table's.
create function m23.write_log_table(p_table m23.protected_tables) returns void
language plpgsql as $$
declare
  v_log     text := m23.log_name(p_table.id);
  v_new     boolean := to_regclass(v_log) is null;
  v_columns text[];
begin
  update m23.log_columns f set column_name = c.name
    from m23.columns_of(p_table.relid) c where f.table_id = p_table.id and f.attnum = c.attnum;
  update m23.log_columns f set until_xid = pg_current_xact_id()
   where f.table_id = p_table.id and f.until_xid is null
     and not exists (select from m23.columns_of(p_table.relid) c
                      where c.attnum = f.attnum and not c.generated and m23.logged_type(c) = f.type_name);
  v_columns := array(select format('%s %s', c.name, c.type_name) from m23.columns_to_log(p_table) c order by c.attnum);
  if v_new then
    execute format('create table %s (
        tenant_id %s not null,
        xid       xid8 not null default pg_current_xact_id(),
        change_id pg_lsn not null default pg_current_wal_insert_lsn(),
        op        "char" not null,
        unchanged int,
        actor     uuid,
        source    bigint,
        request   text, %s)', v_log, p_table.tenant_type, array_to_string(v_columns, ', '));
    perform m23.close_table(v_log::regclass);
    execute format('revoke all on %s from public, anon, authenticated', v_log);
    perform m23.open_log_part(p_table.id);
  elsif v_columns <> '{}' then
    execute format('alter table %s add %s', v_log, array_to_string(v_columns, ', add '));
  end if;
  insert into m23.log_columns (table_id, name, attnum, column_name, type_name, column_type, since, generated)
    select p_table.id, c.name, c.attnum, c.column_name, c.type_name, c.column_type,
           case when v_new then '0/0' else pg_current_wal_insert_lsn() end,
           not v_new and c.versions = 0
             and c.attnum <= (select t.attributes from m23.protected_tables t where t.id = p_table.id)
      from m23.columns_to_log(p_table) c;
  update m23.protected_tables t set attributes = c.relnatts
    from pg_class c where t.id = p_table.id and c.oid = p_table.relid;
end $$;

-- The columns of a table that its log does not have, or has in another type, as the log is to have them; versions: how
-- many it has of that column.
create function m23.columns_to_log(p_table m23.protected_tables)
returns table (name text, attnum int2, type_name text, column_name text, column_type text, versions bigint)
language plpgsql stable rows 5 as $$
begin
  return query
  select concat('c', c.attnum, '_' || nullif(had.versions, 0)), c.attnum, m23.logged_type(c), c.name, c.type_name,
         had.versions
    from m23.columns_of(p_table.relid) c
   cross join lateral (select count(*), count(*) filter (where f.until_xid is null) from m23.log_columns f
                        where f.table_id = p_table.id and f.attnum = c.attnum) had (versions, current)
   where not c.generated and had.current = 0;
end $$;
