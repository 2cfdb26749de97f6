-- Which parts of a log are read. A closed part knows its tenants, and the open one is looked into: a reader opens
-- the logs and parts that its tenant has touched since a moment, and no others. Hundreds of tables with a month of log
-- would fill the server's lock table.

-- A part is closed when capture goes on to the next one. Whoever was at work then may still write into it: it is
-- sealed, and its tenants are noted, once nobody is. Who comes even later, by a function that it had read before, notes
-- its tenants itself. So one tenant can stand here several times.
create table m23.log_tenants (
  id        uuid primary key default gen_random_uuid(),  -- no sequence: a writer's lastval() stays its own
  tenant_id uuid not null,
  table_id  int not null references m23.protected_tables (id) on delete cascade,
  part      int not null,
  last_xid  xid8 not null  -- no later transaction has changed rows of the tenant in this part
);
select m23.close_table('m23.log_tenants');
create index log_tenants_tenant on m23.log_tenants (tenant_id, table_id, last_xid, part);
create index log_tenants_part on m23.log_tenants (table_id, part, last_xid);
comment on table m23.log_tenants is 'Whose changes the sealed parts of each log hold.';

-- Sealing ------------------------------------------------------------------------

-- Fires after an insert into a sealed part.
create function m23_log.note_late() returns trigger language plpgsql set search_path = '' as $$
begin
  insert into m23.log_tenants (tenant_id, table_id, part, last_xid)
    select r.tenant_id, tg_argv[0]::int, tg_argv[1]::int, max(r.xid) from new_rows r group by r.tenant_id;
  return null;
end $$;
revoke execute on function m23_log.note_late() from public, anon, authenticated, service_role;

-- Seals a part that was closed. The lock that making a trigger takes waits until nobody is writing into it, and whoever
-- comes after finds the trigger. What its statement sees must be newer than that lock.
create function m23.seal_log_part(p_table_id int, p_part int) returns boolean
language plpgsql set search_path = '' as $$
declare v_name text := m23.part_name(p_table_id, p_part);
begin
  if current_setting('transaction_isolation') not like 'read %' then return false; end if;
  perform set_config('m23.writing_capture', 'yes', true);
  execute m23.fill($ddl$create or replace trigger m23_note_late after insert on {part} referencing new table as new_rows
      for each statement execute function m23_log.note_late({table}, {number})$ddl$,
    'part', v_name, 'table', p_table_id::text, 'number', p_part::text);
  perform set_config('m23.writing_capture', '', true);
  execute format('insert into m23.log_tenants (tenant_id, table_id, part, last_xid)
      select l.tenant_id, $1, $2, max(l.xid) from %s l group by l.tenant_id', v_name) using p_table_id, p_part;
  update m23.log_parts set sealed = true where table_id = p_table_id and part = p_part;
  return true;
end $$;

-- Whether a sealed part has a change of a transaction from this one on.
create function m23.part_reaches(p_table_id int, p_part int, p_from xid8) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from m23.log_tenants n
                  where n.table_id = p_table_id and n.part = p_part and n.last_xid >= p_from);
end $$;

create function m23.forget_part(p_table_id int, p_part int) returns void
language plpgsql set search_path = '' as $$
begin
  delete from m23.log_parts where table_id = p_table_id and part = p_part;
  delete from m23.log_tenants where table_id = p_table_id and part = p_part;
end $$;

-- Reading ------------------------------------------------------------------------

-- The parts that can have changes of a tenant from a transaction on (null: from the beginning), in their order.
create function m23.parts_of(p_table_id int, p_tenant uuid, p_from xid8) returns int[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select p.part from m23.log_parts p
                where p.table_id = p_table_id and (not p.sealed or exists (
                  select from m23.log_tenants n
                   where n.tenant_id = p_tenant and n.table_id = p_table_id and n.part = p.part
                     and n.last_xid >= coalesce(p_from, '0')))
                order by p.part);
end $$;

-- A tenant's entries of a log in parts that came to hold them after a reader had chosen its own: a part was opened
-- meanwhile, or somebody came late. It is stable, and so sees what its reader's statement sees. p_log: null, of the
-- log's type.
create function m23.entries_beside(p_log anyelement, p_table_id int, p_parts int[], p_tenant uuid, p_from xid8)
returns setof anyelement
language plpgsql stable rows 1 set search_path = '' as $$
declare v_part int;
begin
  foreach v_part in array m23.parts_of(p_table_id, p_tenant, p_from) loop
    continue when v_part = any (p_parts);
    return query execute format('select * from %s l where l.tenant_id = $1 and l.xid >= $2',
                                m23.part_name(p_table_id, v_part)) using p_tenant, coalesce(p_from, '0');
  end loop;
end $$;

-- What stands for a log in a query: its parts that can have changes of a tenant from a transaction on. They are held
-- until the transaction ends, so that none is dropped before it is read. Whoever makes the query long before it runs,
-- and has not taken the table itself, holds nothing: an ALTER TABLE takes the table before its log.
create function m23.log_of(p_table_id int, p_tenant uuid, p_from xid8, p_held boolean default true) returns text
language plpgsql volatile set search_path = '' as $$
declare v_parts int[];
begin
  loop
    begin
      v_parts := m23.parts_of(p_table_id, p_tenant, p_from);
      exit when not p_held or v_parts = '{}';
      execute format('lock table %s in access share mode',
                     (select string_agg(m23.part_name(p_table_id, p), ', ' order by p) from unnest(v_parts) p));
      exit;
    exception when undefined_table then null;  -- one was dropped meanwhile
    end;
  end loop;
  return m23.fill('({parts} select * from m23.entries_beside(null::{log}, {table}, {numbers}, {tenant}, {from}))',
    'parts', coalesce((select string_agg(format('select * from %s union all', m23.part_name(p_table_id, p)), ' ' order by p)
                         from unnest(v_parts) p), ''),
    'log', m23.log_name(p_table_id), 'table', p_table_id::text, 'numbers', quote_literal(v_parts) || '::int[]',
    'tenant', quote_literal(p_tenant), 'from', quote_nullable(p_from) || '::xid8');
end $$;

-- Which logs have something -----------------------------------------------------------

-- Which of these statements, each a select of numbers, give some. Locks that they take are let go of: whatever is
-- taken in a block that fails is. What a tenant has written last lies at the end of a log, where only the index
-- finds it.
create function m23.glance(p_selects text[], p_tenant uuid, p_from xid8) returns int[]
language plpgsql volatile set search_path = '' set enable_seqscan = off set lock_timeout = '200ms' as $$
declare v_seen int[];
begin
  begin
    execute format('select array(%s)', array_to_string(p_selects, ' union all ')) into v_seen using p_tenant, p_from;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  return v_seen;
end $$;

-- The tables among these whose logs can have changes of a tenant from a transaction on. It only says less than all
-- where there is nothing: parts that are sealed are known, and the others are looked into, some at a time. A schema
-- change of several tables is waited for while nothing is held, and under the fence nobody is.
create function m23.logged_tables(p_ids int[], p_tenant uuid, p_from xid8) returns int[]
language plpgsql volatile set search_path = '' as $$
declare
  v_some  constant int := 32;
  v_found int[] := array(select distinct n.table_id from m23.log_tenants n
                          where n.tenant_id = p_tenant and n.table_id = any (p_ids) and n.last_xid >= p_from);
  v_looks text[] := array(
    select format('select %s where exists (select from %s l where l.tenant_id = $1 and l.xid >= $2)',
                  p.table_id, m23.part_name(p.table_id, p.part))
      from m23.log_parts p
     where not p.sealed and p.table_id = any (p_ids) and p.table_id <> all (v_found)
       and pg_relation_size(to_regclass(m23.part_name(p.table_id, p.part))) > 0);
  v_deadline timestamptz := clock_timestamp() + interval '5 seconds';
  v_first    int := 1;
begin
  while v_first <= cardinality(v_looks) loop
    begin
      v_found := v_found || m23.glance(v_looks[v_first:v_first + v_some - 1], p_tenant, p_from);
      v_first := v_first + v_some;
      continue;
    exception when lock_not_available then
      if current_setting('lock_timeout') = '200ms' or clock_timestamp() > v_deadline then raise; end if;
    end;
    perform pg_sleep(0.02);
  end loop;
  return array(select distinct f from unnest(v_found) f order by f);
end $$;

select m23.close_functions();
