-- Sources: from where a change came. An entry of the log has a number, which is a hash of the source as text; the text
-- stands in m23.sources. A number can be written before its text is seen by others, and so nobody waits for anybody.
-- Nor can somebody who forges a number learn a text by it: he would have to know it.

insert into m23.settings (name, value, about) values
  ('new_sources', '1000', 'new sources of changes a day that are told apart; all beyond are "other"');

-- One source can stand here several times: it is written without a look at what others are writing.
create table m23.sources (
  number   bigint not null,
  source   text not null check (length(source) <= 300),
  first_at timestamptz not null default clock_timestamp(),
  used_at  timestamptz not null default clock_timestamp()  -- to a day: when a session has looked at it
);
select m23.close_table('m23.sources');
create index sources_number on m23.sources (number, used_at);
create index sources_first on m23.sources (first_at);
comment on table m23.sources is 'What the numbers of sources in the logs stand for: from where changes came.';

-- Writing ------------------------------------------------------------------------

-- The columns of source and request, in generated code: once a statement. A session keeps the number of a source in a
-- setting, which its transaction takes back if it is taken back. The name of the setting holds what the source depends
-- on, and the part of the log: for a new one each session looks again. Of a request's id 64 characters are kept.
create function m23.logged_source(p_table_id int) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$(
            select coalesce(nullif(current_setting(s.setting, true), '')::bigint, m23.find_source(s.setting))
              from (select 'm23.source_' || to_hex(hashtextextended(current_setting('role') || case
                        when current_setting('request.path', true) <> ''
                        then concat(' ', current_setting('request.method', true), ' ', current_setting('request.path'))
                        else current_setting('application_name') end, {log_part})) offset 0) s (setting)),
           (select nullif(left(split_part(split_part(
               current_setting('request.headers', true), '"x-request-id":"', 2), '"', 1), 64), ''))$sql$,
    'log_part', (select (p_table_id * 1000000::bigint + max(p.part))::text from m23.log_parts p
                  where p.table_id = p_table_id));
end $outer$;

-- What is written from here on to the end of the transaction is a restore's or rollback's: this path has no other use.
create function m23.write_as(p_work m23.restore_work) returns void
language plpgsql as $$
begin
  perform set_config('request.path', '/m23_work/' || p_work.work_id, true);
end $$;

-- The source of what a restore or rollback writes.
create function m23.source_of_work(p_work m23.restore_work) returns text
language plpgsql immutable as $$
begin
  return format('%s %s', case p_work.kind when 'rollback' then 'rollback' else 'restore' end, p_work.work_id);
end $$;

-- A path without what differs from call to call: its query, whole numbers and uuids.
create function m23.path_shape(p_path text) returns text
language sql immutable as $$
  select regexp_replace(split_part(p_path, '?', 1),
    '(?<=/)(\d+|[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})(?=/|$)', '{id}', 'gi')
$$;

-- The source of what this session writes. kept: whether a session keeps its number; others, of which there can be any
-- number, would fill it. other: what it is called where there are too many.
create function m23.source_told(out source text, out kept boolean, out other text)
language plpgsql stable as $$
declare
  v_path   text := current_setting('request.path', true);
  v_method text := current_setting('request.method', true);
begin
  source := (select m23.source_of_work(w) from m23.restore_work w where v_path = '/m23_work/' || w.work_id);
  if source is not null then
    kept := false;
    return;
  elsif v_path <> '' then
    source := concat_ws(' ', 'api:', nullif(v_method, ''), m23.path_shape(v_path));
    kept := m23.path_shape(v_path) = v_path and length(v_path) < 150;
    other := 'api: other';
  else
    source := 'app: ' || coalesce(nullif(current_setting('application_name'), ''), 'unnamed');
    kept := true;
    other := 'app: other';
  end if;
  source := concat(left(regexp_replace(source, '[[:cntrl:]]', '', 'g'), 200), ' as ',
                   coalesce(nullif(current_setting('role'), 'none'), session_user));
end $$;

-- The number of this session's source where the session does not know it.
create function m23.find_source(p_setting text) returns bigint
language plpgsql volatile as $$
declare
  v_told   record := m23.source_told();
  v_number bigint := hashtextextended(v_told.source, 0);
begin
  if not m23.note_source(v_number, v_told.source, v_told.other is not null) then
    v_number := hashtextextended(v_told.other, 0);
    perform m23.note_source(v_number, v_told.other, false);
  elsif v_told.kept then
    perform set_config(p_setting, v_number::text, false);
  end if;
  return v_number;
end $$;

-- Notes what a number stands for, unless it stands there; false: p_limited, and too many are new. Nothing is looked at
-- in a serializable transaction: what others note meanwhile would make it fail.
create function m23.note_source(p_number bigint, p_source text, p_limited boolean) returns boolean
language plpgsql volatile as $$
declare v_known m23.sources;
begin
  if current_setting('transaction_isolation') = 'serializable' then
    if pg_relation_size('m23.sources') > 16777216 then return true; end if;
  else
    select * into v_known from m23.sources s where s.number = p_number order by s.used_at desc limit 1;
    if v_known.used_at > clock_timestamp() - interval '1 day' then return true; end if;
    if v_known.number is null and p_limited
       and (select count(*) from m23.sources s where s.first_at > clock_timestamp() - interval '1 day')
           >= m23.setting('new_sources')::int then
      return false;
    end if;
  end if;
  insert into m23.sources (number, source, first_at)
    values (p_number, p_source, coalesce(v_known.first_at, clock_timestamp()));
  return true;
end $$;

-- Reading ------------------------------------------------------------------------

-- What a number stands for.
create function m23.source_of(p_number bigint) returns text
language plpgsql stable as $$
begin
  return (select s.source from m23.sources s where s.number = p_number limit 1);
end $$;

-- The restore of a tenant that a source names.
create function m23.restore_of(p_tenant text, p_source text) returns uuid
language plpgsql stable as $$
begin
  return (select r.id from public.restore_logs r where r.tenant_id = p_tenant and p_source = 'restore ' || r.id);
end $$;

-- The numbers that stand for a source, and since when there was one.
create function m23.numbers_of_source(p_source text, out numbers bigint[], out since timestamptz)
language plpgsql stable as $$
begin
  select array_agg(distinct s.number), min(s.first_at) into numbers, since from m23.sources s where s.source = p_source;
end $$;

-- The upkeep: of several notes of a source the last is kept, and none of one that was in use last before all the logs.
-- A part is begun before a session has written into it, and from then on the session does not look again.
create function m23.sweep_sources() returns bigint
language plpgsql volatile as $$
declare v_count bigint;
begin
  if not pg_try_advisory_xact_lock(m23.prune_key()) then return 0; end if;
  with noted as (
    select s.ctid as place, min(s.first_at) over (partition by s.number) as first_at,
           row_number() over (partition by s.number order by s.used_at desc, s.ctid desc) as nth
      from m23.sources s)
  update m23.sources s set first_at = n.first_at from noted n
   where s.ctid = n.place and n.nth = 1 and s.first_at <> n.first_at;
  delete from m23.sources s
   where s.used_at < (select min(p.opened_at) from m23.log_parts p) - interval '2 days'
      or exists (select from m23.sources o where o.number = s.number and (o.used_at, o.ctid) > (s.used_at, s.ctid));
  get diagnostics v_count = row_count;
  return v_count;
end $$;
