-- Protection: a table comes under capture, with its partitions, and leaves it again.

-- Something that keeps a table from being captured.
create type m23.obstacle as (
  kind     text,  -- as the list of gaps names it
  sentence text,  -- goes on from the table's name
  advice   text,
  code     text   -- the SQLSTATE of a refusal
);

-- The first thing that keeps a protected table from being captured; null where nothing does.
create function m23.obstacle_of(p_table m23.protected_tables) returns m23.obstacle
language plpgsql stable as $$
begin
  return coalesce((select o from m23.obstacles(p_table.relid, p_table.tenant_attnum) o limit 1),
                  m23.path_obstacle(p_table));
end $$;

-- Notes that a table cannot be captured any more, for an obstacle of that kind. What fires would only be in the
-- application's way, but for a table that is still seen in part.
create function m23.suspend_capture(p_table m23.protected_tables, p_kind text) returns void
language plpgsql as $$
begin
  perform m23.note_name(p_table);
  perform m23.note_writes(p_table);
  update m23.protected_tables set suspended = coalesce(suspended, p_kind) where id = p_table.id;
  if p_kind not in ('unlogged', 'inheritance', 'no path') then
    perform set_config('m23.writing_capture', 'yes', true);
    perform m23.drop_triggers(c.relid) from m23.captured_relations(p_table.relid) c;
    perform set_config('m23.writing_capture', '', true);
  end if;
end $$;

-- Another history where the former one has missed changes. Partitions that have gone are followed.
create function m23.end_broken_history(p_table m23.protected_tables) returns m23.protected_tables
language plpgsql as $$
begin
  return case when m23.history_fault(p_table) is null then p_table
              when m23.is_unwritten_since(p_table) and not m23.key_is_another(p_table) then m23.resume_history(p_table)
              when p_table.suspended is not null
              then m23.begin_history(p_table, 'capture was suspended: ' || p_table.suspended)
              when m23.misses_replication(p_table) then m23.begin_history(p_table, 'a subscription wrote to it unseen')
              when m23.key_is_another(p_table) then m23.begin_history(p_table, 'the primary key was another')
              else m23.begin_history(p_table, 'capture was switched off') end;
end $$;

-- Goes on with a history that has missed nothing.
create function m23.resume_history(p_table m23.protected_tables) returns m23.protected_tables
language plpgsql as $$
begin
  update m23.protected_tables set suspended = null where id = p_table.id returning * into p_table;
  return p_table;
end $$;

-- Whether a table's primary key is not the one that its log tells rows apart by.
create function m23.key_is_another(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
begin
  return (select m23.key_attnums(p_table.relid) is distinct from p_table.key_attnums
        or exists (select from m23.columns_of(p_table.relid, p_of_key => true) c
                     join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
                    where m23.logged_type(c) <> f.type_name));
end $$;

-- What protected tables were called: another table may have the name now.
create table m23.former_names (
  table_id int not null references m23.protected_tables (id) on delete cascade,
  name     text not null,
  until    timestamptz not null default clock_timestamp(),
  primary key (table_id, until)
);
select m23.close_table('m23.former_names');
comment on table m23.former_names is 'What protected tables were called before they were renamed, as callers write it.';

-- Notes a table's present name, and keeps the former one.
create function m23.note_name(p_table m23.protected_tables) returns void
language plpgsql as $$
declare v_name text := m23.public_name(p_table.relid);
begin
  if v_name <> p_table.name then
    insert into m23.former_names (table_id, name) values (p_table.id, p_table.name);
    update m23.protected_tables set name = v_name where id = p_table.id;
  end if;
end $$;

create function m23.unprotect_table(p_table regclass) returns void
language plpgsql as $$
declare
  v_row      m23.protected_tables;
  v_children text := (select string_agg(m23.public_name(c.relid), ', ' order by c.id)
                        from m23.protected_tables t join m23.protected_tables c on c.parent_id = t.id
                       where t.relid = p_table);
begin
  if v_children is not null then
    raise exception '% find(s) the tenants of its rows through %', v_children, p_table
      using errcode = 'dependent_objects_still_exist', hint = 'Unprotect what hangs on it first.';
  end if;
  delete from m23.protected_tables where relid = p_table returning * into v_row;
  if v_row.id is null then
    raise exception '% is not protected', p_table using errcode = 'undefined_object';
  end if;
  perform m23.drop_triggers(c.relid) from m23.captured_relations(p_table) c;
  execute format('drop function %s', m23.capture_functions(v_row.id));
  execute format('drop table %s cascade', m23.log_name(v_row.id));
  delete from m23.absent_parents where table_id = v_row.id;
  delete from m23.moved_parents where table_id = v_row.id;
  if exists (select from pg_class where oid = (m23.parent_of(v_row)).relid) then
    perform m23.write_capture(m23.parent_of(v_row));
  end if;
end $$;
comment on function m23.unprotect_table(regclass) is
  'Takes a table out of protection and drops its history. Backups of it stay as they are.';
