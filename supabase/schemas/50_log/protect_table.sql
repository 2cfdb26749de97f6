-- runs under: text settings
create function m23.protect_table(p_table regclass, p_tenant_column name default 'tenant_id') returns void
language plpgsql as $$
declare
  v_class    pg_class;
  v_tenant   pg_attribute;
  v_obstacle m23.obstacle;
  v_already  m23.protected_tables;
  v_row      m23.protected_tables;
begin
  select * into v_class from pg_class where oid = p_table;
  if v_class.relkind not in ('r', 'p') or v_class.relispartition or v_class.relpersistence = 't' then
    raise exception '% cannot be protected: only ordinary and partitioned tables can, and it is %', p_table,
      case when v_class.relispartition then 'a partition; protect the table that it is part of'
           when v_class.relpersistence = 't' then 'temporary'
           when v_class.relkind in ('v', 'm') then 'a view'
           when v_class.relkind = 'f' then 'a foreign table' else 'no table' end
      using errcode = 'wrong_object_type';
  end if;
  if m23.not_the_applications(p_table) is not null then
    raise exception '% cannot be protected: %', p_table, m23.not_the_applications(p_table)
      using errcode = 'insufficient_privilege';
  end if;
  select * into v_tenant from pg_attribute
   where attrelid = p_table and attname = p_tenant_column and attnum > 0 and not attisdropped;
  if v_tenant.attnum is null then
    raise exception '% has no column "%" to tell its tenants apart', p_table, p_tenant_column
      using errcode = 'undefined_column',
            hint = 'Name the tenant column: select m23.protect_table(''schema.table'', ''column'').';
  end if;
  select * into v_already from m23.protected_tables where relid = p_table;
  if v_already.tenant_attnum <> v_tenant.attnum and m23.tenant_column(v_already) is not null then
    raise exception '% is protected already, with another tenant column', p_table
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Call m23.unprotect_table first; its history is dropped then.';
  end if;

  -- Writers in flight end first: whatever is written from here on is captured.
  execute format('lock table %s in share row exclusive mode', m23.qualified_name(p_table));
  select * into v_obstacle from m23.obstacles(p_table, v_tenant.attnum) limit 1;
  if v_obstacle.kind is not null then
    raise exception '% cannot be protected: it %', p_table, v_obstacle.sentence
      using errcode = v_obstacle.code, hint = v_obstacle.advice;
  end if;
  insert into m23.protected_tables as t (relid, tenant_attnum, tenant_type, key_attnums, name, incarnation)
    values (p_table, v_tenant.attnum, m23.tenant_type(v_tenant.atttypid), m23.key_attnums(p_table),
            m23.public_name(p_table), m23.incarnation())
    on conflict (relid) do update set tenant_attnum = excluded.tenant_attnum  -- the former may have been dropped
    returning * into v_row;
  -- What was logged in another life of the database, or missed, is no history.
  if v_row.incarnation <> m23.incarnation() then
    v_row := m23.begin_history(v_row, 'the database was restored or copied');
  elsif v_already.id is not null then
    v_row := m23.end_broken_history(v_row);
  end if;
  perform m23.write_capture(v_row);
  perform m23.note_tick();
  if v_already.id is null then
    perform m23.warn_of_protection(v_row);
  end if;
end $$;
comment on function m23.protect_table(regclass, name) is
  'Puts a table under protection: from the end of this transaction on, every change of it can be undone. '
  'It needs a primary key, or a unique index over columns that are NOT NULL, and a tenant column of type uuid, text or '
  'a whole number. '
  'Called again, it renews the capture.';
