-- Summaries of the log: what a part of it comes to, made once, by the upkeep, when the part is sealed. Writers have no
-- share in it. Whoever searches reads the summary of a part that has one, and the entries of the others as they are.

insert into m23.settings (name, value, about) values
  ('search_seconds', '5', 'how long one search of the history goes on; it says how far it came'),
  ('search_step',    '50000', 'entries of a log that a search looks at before it asks the clock');

create table m23.part_summaries (
  table_id int not null,
  part     int not null,
  seen     pg_snapshot not null,  -- every transaction that it sees is in the summary
  keyed    boolean not null,      -- the part has an index by key
  made_at  timestamptz not null default clock_timestamp(),
  primary key (table_id, part),
  foreign key (table_id, part) references m23.log_parts (table_id, part) on delete cascade
);
select m23.close_table('m23.part_summaries');
comment on table m23.part_summaries is 'Which parts of the logs have a summary, and of which transactions.';

create table m23.change_sums (
  table_id     int not null,
  part         int not null,
  n            bigint not null,       -- counts them
  tenant_id    text not null,         -- as the log has it
  minute       timestamptz not null,  -- in which they were committed
  operation    text not null check (operation in ('INSERT', 'UPDATE', 'DELETE')),
  actor        uuid,
  rows         bigint not null check (rows > 0),
  transactions bigint not null check (transactions > 0),
  primary key (table_id, part, n),
  foreign key (table_id, part) references m23.part_summaries (table_id, part) on delete cascade
);
select m23.close_table('m23.change_sums');
create index change_sums_minute on m23.change_sums (tenant_id, table_id, minute);
comment on table m23.change_sums is 'How many rows of a part were changed in each minute, by whom.';

create table m23.large_transactions (
  table_id  int not null,
  part      int not null,
  n         bigint not null,  -- counts them
  tenant_id text not null,  -- as the log has it
  xid       xid8 not null,
  at        timestamptz not null,
  actor     uuid,
  inserts   bigint not null,
  updates   bigint not null,
  deletes   bigint not null,
  source    bigint,
  check (least(inserts, updates, deletes) >= 0 and inserts + updates + deletes > 0),
  primary key (table_id, part, xid, n),
  foreign key (table_id, part) references m23.part_summaries (table_id, part) on delete cascade
);
select m23.close_table('m23.large_transactions');
create index large_transactions_at on m23.large_transactions (tenant_id, at);
comment on table m23.large_transactions is
  'Transactions that changed ten rows of a part or more, and the hundred largest of each tenant.';

-- How many rows the entries `l` of a log come to. A row that leaves for another tenant is gone, and one that comes from
-- one is new; an update that takes a row away is told as that.
create function m23.counted_changes() returns text
language sql immutable as $$
  select $sql$count(*) filter (where l.op in ('I', 'a')) as inserts,
             greatest(0, count(*) filter (where l.op = 'U') - count(*) filter (where l.op = 'l')) as updates,
             count(*) filter (where l.op in ('D', 'l')) as deletes$sql$
$$;

-- A tenant as the log of a table keeps it, as text; null where it cannot have rows there.
create function m23.logged_tenant(p_table m23.protected_tables, p_tenant text) returns text
language plpgsql stable as $$
declare v_tenant text;
begin
  execute format('select (%s)::text', m23.tenant_value(p_table, '$1')) into v_tenant using p_tenant;
  return v_tenant;
end $$;

-- Forgets what the summaries of a table have of a tenant.
create function m23.forget_sums(p_table_id int, p_tenant text) returns void
language plpgsql volatile as $$
declare v_tenant text := (select m23.logged_tenant(t, p_tenant) from m23.protected_tables t where t.id = p_table_id);
begin
  perform pg_advisory_xact_lock(m23.prune_key());  -- none is being made
  delete from m23.change_sums where tenant_id = v_tenant and table_id = p_table_id;
  delete from m23.large_transactions where tenant_id = v_tenant and table_id = p_table_id;
end $$;

-- Holds parts of a log until the transaction ends; gives those that are there.
create function m23.hold_parts(p_table_id int, p_parts int[]) returns int[]
language plpgsql volatile as $$
declare v_there int[];
begin
  loop
    begin
      v_there := array(select p from unnest(p_parts) p
                        where to_regclass(m23.part_name(p_table_id, p)) is not null order by p);
      exit when v_there = '{}';
      execute format('lock table %s in access share mode',
                     (select string_agg(m23.part_name(p_table_id, p), ', ' order by p) from unnest(v_there) p));
      exit;
    exception when undefined_table then null;  -- one was dropped meanwhile
    end;
  end loop;
  return v_there;
end $$;

-- The upkeep of the summaries, oldest part first, for a second or two; gives how many were made. A part is dropped or
-- forgotten under the same lock.
create function m23.sweep_summaries() returns bigint
language plpgsql as $$
declare
  v_until timestamptz := clock_timestamp() + interval '2 seconds';
  v_part  record;
  v_count bigint := 0;
begin
  if not pg_try_advisory_xact_lock(m23.prune_key()) then return 0; end if;
  for v_part in
    select t as tbl, p.part from m23.log_parts p join m23.protected_tables t on t.id = p.table_id
     where p.sealed and t.suspended is null and exists (select from pg_class c where c.oid = t.relid)
       and not exists (select from m23.part_summaries s where s.table_id = p.table_id and s.part = p.part)
     order by p.closed_at, p.table_id limit 50
  loop
    exit when clock_timestamp() > v_until;
    v_count := v_count + m23.summarize_part(v_part.tbl, v_part.part)::int;
  end loop;
  return v_count;
end $$;
