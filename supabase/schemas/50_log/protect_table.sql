-- runs under: text settings
create function m23.protect_table(p_table regclass, p_tenant_column name default null, via text default null)
returns void
language plpgsql as $$
declare
  v_already  m23.protected_tables := (select t from m23.protected_tables t where t.relid = p_table);
  v_wanted   m23.protected_tables;
  v_obstacle m23.obstacle;
  v_row      m23.protected_tables;
begin
  perform m23.refuse_unprotectable(p_table);
  v_wanted := m23.declared_tenancy(p_table, p_tenant_column, via, v_already);
  -- Writers in flight end first: whatever is written from here on is captured.
  perform m23.lock_to_protect(p_table, v_wanted, v_already);
  v_wanted.relid := p_table;
  v_wanted.id := v_already.id;
  v_wanted.key_attnums := m23.key_attnums(p_table);
  v_obstacle := m23.obstacle_of(v_wanted);
  if v_obstacle.kind is not null then
    raise exception '% cannot be protected: it %', p_table, v_obstacle.sentence
      using errcode = v_obstacle.code, hint = v_obstacle.advice;
  end if;
  insert into m23.protected_tables as t (relid, tenant_attnum, parent_id, via_attnums, parent_attnums, tenant_type,
                                         key_attnums, name, incarnation)
    values (p_table, v_wanted.tenant_attnum, v_wanted.parent_id, v_wanted.via_attnums, v_wanted.parent_attnums,
            v_wanted.tenant_type, v_wanted.key_attnums, m23.public_name(p_table), m23.incarnation())
    on conflict (relid) do update  -- the former tenancy may be gone
      set tenant_attnum = excluded.tenant_attnum, parent_id = excluded.parent_id,
          via_attnums = excluded.via_attnums, parent_attnums = excluded.parent_attnums
    returning * into v_row;
  -- What was logged in another life of the database, or missed, is no history.
  if v_row.incarnation <> m23.incarnation() then
    v_row := m23.begin_history(v_row, 'the database was restored or copied');
  elsif v_already.id is not null then
    v_row := m23.end_broken_history(v_row);
  end if;
  if v_row.parent_id is not null and v_already.parent_id is distinct from v_row.parent_id then
    perform m23.write_parent_capture(v_row);
    perform m23.begin_path(v_row);
  end if;
  perform m23.write_capture(v_row);
  perform m23.note_tick();
  if v_already.id is null then
    perform m23.warn_of_protection(v_row);
  end if;
end $$;
comment on function m23.protect_table(regclass, name, text) is
  'Puts a table under protection: from the end of this transaction on, every change of it can be undone. '
  'It needs a primary key, or a unique index over columns that are NOT NULL, and a tenant: a column of type uuid, text '
  'or a whole number (the column "tenant_id" unless another is named), or a path to a protected table: '
  'via => ''task_id'', ''org_id, task_id'', ''task_id -> public.tasks'' (without a foreign key, or where there are '
  'several), ''<- public.organizations (settings_id)'' (the tenant''s row points at it). '
  'Called again without either, it renews the capture.';
