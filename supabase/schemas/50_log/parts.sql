-- Which parts of a log are read. A closed part knows its tenants, and the open one is looked into: a reader opens
-- the logs and parts that its tenant has touched since a moment, and no others. Hundreds of tables with a month of log
-- would fill the server's lock table.

-- A part is closed when capture goes on to the next one. Whoever was at work then may still write into it: it is
-- sealed, and its tenants are noted, once nobody is. Who comes even later, by a function that it had read before, notes
-- its tenants itself. So one tenant can stand here several times.
create table m23.log_tenants (
  id        uuid primary key default gen_random_uuid(),  -- no sequence: a writer's lastval() stays its own
  tenant_id text not null,
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
create function m23_log.note_late() returns trigger language plpgsql as $$
begin
  insert into m23.log_tenants (tenant_id, table_id, part, last_xid)
    select r.tenant_id::text, tg_argv[0]::int, tg_argv[1]::int, max(r.xid) from new_rows r group by r.tenant_id;
  return null;
end $$;

-- Whether a sealed part has a change of a transaction from this one on.
create function m23.part_reaches(p_table_id int, p_part int, p_from xid8) returns boolean
language plpgsql stable as $$
begin
  return exists (select from m23.log_tenants n
                  where n.table_id = p_table_id and n.part = p_part and n.last_xid >= p_from);
end $$;

-- Forgets a part that was dropped, and whose it was.
create function m23.forget_part(p_table_id int, p_part int) returns void
language plpgsql as $$
begin
  delete from m23.log_parts where table_id = p_table_id and part = p_part;
  delete from m23.log_tenants where table_id = p_table_id and part = p_part;
end $$;

-- Reading ------------------------------------------------------------------------

-- The parts that can have changes of a tenant from a transaction on (null: from the beginning), in their order.
create function m23.parts_of(p_table_id int, p_tenant text, p_from xid8) returns int[]
language plpgsql stable as $$
begin
  return array(select p.part from m23.log_parts p
                where p.table_id = p_table_id and (not p.sealed or exists (
                  select from m23.log_tenants n
                   where n.tenant_id in (p_tenant, lower(p_tenant)) and n.table_id = p_table_id and n.part = p.part
                     and n.last_xid >= coalesce(p_from, '0')))
                order by p.part);
end $$;

-- A tenant's entries of a log in parts that came to hold them after a reader had chosen its own: a part was opened
-- meanwhile, or somebody came late. It is stable, and so sees what its reader's statement sees. p_log: null, of the
-- log's type.
create function m23.entries_beside(p_log anyelement, p_table_id int, p_parts int[], p_tenant text, p_from xid8)
returns setof anyelement
language plpgsql stable rows 1 as $$
declare v_part int;
begin
  foreach v_part in array m23.parts_of(p_table_id, p_tenant, p_from) loop
    continue when v_part = any (p_parts);
    return query execute format('select * from %s l where %s and l.xid >= $2',
                                m23.part_name(p_table_id, v_part), m23.is_logged_of(p_table_id, '$1'))
      using p_tenant, coalesce(p_from, '0');
  end loop;
end $$;

-- Which logs have something -----------------------------------------------------------

-- Which of these statements, each a select of numbers, give some. Locks that they take are let go of: whatever is
-- taken in a block that fails is. What a tenant has written last lies at the end of a log, where only the index
-- finds it.
create function m23.glance(p_selects text[], p_tenant text, p_from xid8) returns int[]
language plpgsql volatile set enable_seqscan = off set lock_timeout = '200ms' as $$
declare v_seen int[];
begin
  begin
    execute format('select array(%s)', array_to_string(p_selects, ' union all ')) into v_seen using p_tenant, p_from;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  return v_seen;
end $$;
