-- The audit: every call of the five functions, and every change that somebody makes through the
-- API. Entries are only ever added; each contains the hash of the one before it in its tenant's
-- chain, so that a chain which was edited no longer fits together.

create table public.audit_log (
  tenant_id    uuid not null,
  seq          bigint not null,
  created_at   timestamptz not null,
  event        text not null check (event in ('begun', 'ended', 'refused', 'replayed', 'done')),
  action       text not null,  -- the function, or what was done
  actor        uuid,           -- null: the service key
  request_id   uuid,           -- an end has that of its beginning
  from_address text,
  user_agent   text,
  status       int,
  code         text,
  detail       jsonb,
  prev_hash    text not null,
  hash         text not null,
  primary key (tenant_id, seq)
);
create index audit_log_request on public.audit_log (tenant_id, request_id);
create index audit_log_created on public.audit_log (created_at);
alter table public.audit_log enable row level security;
revoke all on public.audit_log from anon, authenticated, service_role;
grant select on public.audit_log to authenticated, service_role;
create policy owners_read on public.audit_log for select to authenticated using (tenant_id in (select m23.caller_tenants(array['owner'])));
comment on table public.audit_log is
  'Who did what, when, from where, with what outcome. begun and ended belong to one admitted call; refused, replayed and done stand alone. See get_audit_log.';

-- Where each chain ends: whoever adds to it holds this row.
create table m23.audit_heads (
  tenant_id uuid primary key,
  seq       bigint not null,
  hash      text not null
);
select m23.close_table('m23.audit_heads');

-- What is older than audit_days is gone, and with what its chain ended.
create table m23.audit_checkpoints (
  tenant_id  uuid primary key,
  seq        bigint not null,
  hash       text not null,
  created_at timestamptz not null default clock_timestamp()
);
select m23.close_table('m23.audit_checkpoints');

-- Refusals and repetitions of the last minute, before they become one entry of the audit: a caller may have any number
-- of them.
create table m23.refusals (
  id           bigint primary key generated always as identity,
  tenant_id    uuid not null,
  minute       timestamptz not null,
  event        text not null,
  action       text not null,
  actor        uuid,
  status       int,
  code         text,
  request_id   uuid,  -- of the first one
  from_address text,
  user_agent   text,
  detail       jsonb,  -- of the service: why, and who
  count        bigint not null default 1,
  since        timestamptz not null default clock_timestamp(),
  until        timestamptz not null default clock_timestamp(),
  unique nulls not distinct (tenant_id, minute, event, action, actor, status, code, detail)
);
select m23.close_table('m23.refusals');

-- Nobody edits. Only a tenant that is forgotten takes its chain with it, and what lies behind a checkpoint goes.
create function m23.refuse_audit_edit() returns trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  if tg_op = 'DELETE' and (current_setting('m23.forgetting', true) = old.tenant_id::text
      or old.seq <= (select c.seq from m23.audit_checkpoints c where c.tenant_id = old.tenant_id)) then
    return old;
  end if;
  raise exception 'the audit is only ever added to' using errcode = 'insufficient_privilege';
end $$;
create trigger refuse_edit before update or delete on public.audit_log for each row execute function m23.refuse_audit_edit();
create trigger refuse_truncate before truncate on public.audit_log for each statement execute function m23.refuse_audit_edit();

-- Adding --------------------------------------------------------------------------------

create function m23.audit_hash(p_entry public.audit_log) returns text
language sql stable set search_path = '' as $$
  select encode(sha256(convert_to((p_entry).prev_hash || chr(10) || jsonb_build_array((p_entry).tenant_id, (p_entry).seq, m23.iso((p_entry).created_at), (p_entry).event,
    (p_entry).action, (p_entry).actor, (p_entry).request_id, (p_entry).from_address, (p_entry).user_agent, (p_entry).status, (p_entry).code, (p_entry).detail)::text, 'UTF8')), 'hex')
$$;
comment on function m23.audit_hash(public.audit_log) is
  'SHA-256 of the hash before, a newline, and the entry as a JSON array: tenant, seq, time (UTC, microseconds), event, action, actor, request, address, agent, status, code, detail.';

-- The last thing that a transaction does: others of the tenant wait until it ends. p_at: when it happened, if not now.
create function m23.audit(p_tenant uuid, p_entry jsonb, p_at timestamptz default null) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_head  m23.audit_heads;
  v_entry public.audit_log;
begin
  insert into m23.audit_heads (tenant_id, seq, hash) values (p_tenant, 0, repeat('0', 64)) on conflict do nothing;
  select * into v_head from m23.audit_heads where tenant_id = p_tenant for update;
  v_entry := row(p_tenant, v_head.seq + 1, coalesce(p_at, clock_timestamp()), p_entry ->> 'event', p_entry ->> 'action',
    (p_entry ->> 'actor')::uuid, (p_entry ->> 'request_id')::uuid,
    left(p_entry ->> 'from_address', 64), left(p_entry ->> 'user_agent', 300), (p_entry ->> 'status')::int, p_entry ->> 'code', nullif(p_entry -> 'detail', 'null'), v_head.hash, '')::public.audit_log;
  v_entry.hash := m23.audit_hash(v_entry);
  insert into public.audit_log select (v_entry).*;
  update m23.audit_heads set seq = v_entry.seq, hash = v_entry.hash where tenant_id = p_tenant;
end $$;

create function m23.note_refusal(p_tenant uuid, p_entry jsonb) returns void
language sql volatile set search_path = '' as $$
  insert into m23.refusals as r
      (tenant_id, minute, event, action, actor, status, code, request_id, from_address, user_agent, detail)
    values (p_tenant, date_trunc('minute', clock_timestamp()), p_entry ->> 'event', p_entry ->> 'action',
            (p_entry ->> 'actor')::uuid, (p_entry ->> 'status')::int, p_entry ->> 'code',
            (p_entry ->> 'request_id')::uuid, left(p_entry ->> 'from_address', 64), left(p_entry ->> 'user_agent', 300),
            nullif(p_entry -> 'detail', 'null'))
    on conflict (tenant_id, minute, event, action, actor, status, code, detail)
    do update set count = r.count + 1, until = clock_timestamp()
$$;

create function m23.refusal_detail(p_refusal m23.refusals) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(p_refusal.detail, '{}')
         || jsonb_build_object('count', p_refusal.count, 'until', m23.iso(p_refusal.until))
$$;

-- One entry for each user, cause and minute that is over; gives how many.
create function m23.write_refusals() returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_refusal m23.refusals;
  v_count   bigint := 0;
begin
  for v_refusal in
    with over as (delete from m23.refusals where minute < date_trunc('minute', clock_timestamp()) returning *)
    select * from over order by tenant_id, since
  loop
    perform m23.audit(v_refusal.tenant_id, p_at => v_refusal.since,
                      p_entry => to_jsonb(v_refusal) || jsonb_build_object('detail', m23.refusal_detail(v_refusal)));
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;

-- How an admitted call has ended, once. What ended by our own fault is given back, should nobody have done so.
create function m23.audit_end(p_tenant uuid, p_entry jsonb) returns void
language plpgsql volatile set search_path = '' as $$
declare v_request uuid := (p_entry ->> 'request_id')::uuid;
begin
  if exists (select from public.audit_log a
              where a.tenant_id = p_tenant and a.request_id = v_request and a.event = 'ended') then
    return;
  end if;
  update m23.requests set used_at = coalesce(used_at, clock_timestamp()) where id = v_request;
  perform m23.give_back(v_request) where (p_entry ->> 'status')::int >= 500;
  perform m23.audit(p_tenant, p_entry);
end $$;

create function public.m23_audit(p_entry jsonb) returns void
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_tenant uuid := (p_entry ->> 'tenant_id')::uuid;
begin
  if p_entry ->> 'event' = 'ended' then
    perform m23.audit_end(v_tenant, p_entry);
  else
    perform m23.note_refusal(v_tenant, p_entry);
  end if;
end $$;
comment on function public.m23_audit(jsonb) is 'For the edge functions, with the service key: how a call ended, or why it was refused.';

-- What a caller of the API has done, in the transaction that does it.
create function m23.audit_done(p_tenant uuid, p_action text, p_detail jsonb) returns void
language sql volatile set search_path = '' as $$
  select m23.audit(p_tenant, jsonb_build_object('event', 'done', 'action', p_action, 'actor', auth.uid(), 'detail', p_detail, 'user_agent', h ->> 'user-agent',
      'from_address', m23.address_of(h)))
    from (select nullif(current_setting('request.headers', true), '')::jsonb) x (h)
$$;

-- Rows that clients write themselves. M23's own functions write as its owner.
create function m23.audit_row() returns trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_before jsonb := case when tg_op = 'UPDATE' then to_jsonb(old) else '{}' end;
begin
  perform m23.audit_done(new.tenant_id, format('%s %s', lower(tg_op), tg_table_name), jsonb_build_object('id', new.id,
    'columns', (select jsonb_agg(n.key order by n.key) from jsonb_each(to_jsonb(new)) n where tg_op = 'UPDATE' and n.value is distinct from v_before -> n.key)));
  return null;
end $$;
create trigger zzz_audit after insert or update on public.dr_plans for each row
  when (current_user in ('authenticated', 'service_role')) execute function m23.audit_row();
create trigger zzz_audit after insert on public.backup_jobs for each row
  when (current_user in ('authenticated', 'service_role')) execute function m23.audit_row();

-- Reading -------------------------------------------------------------------------------

create function public.get_audit_log(p_tenant_id uuid, p_before bigint default null, p_limit int default 100)
returns table (seq bigint, created_at timestamptz, action text, actor uuid, request_id uuid, from_address text, user_agent text,
               outcome text, status int, code text, ended_at timestamptz, detail jsonb)
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  perform m23.require_role(p_tenant_id, array['owner']);
  return query
    (select null::bigint, r.since, r.action, r.actor, r.request_id, r.from_address, r.user_agent, r.event, r.status,
            r.code, null::timestamptz, m23.refusal_detail(r)
       from m23.refusals r where r.tenant_id = p_tenant_id and p_before is null order by r.since desc)
    union all
    (select a.seq, a.created_at, a.action, a.actor, a.request_id, a.from_address, a.user_agent,
           case when a.event <> 'begun' then a.event when e.seq is not null then 'ended' else 'no outcome was recorded' end,
           coalesce(e.status, a.status), coalesce(e.code, a.code), e.created_at, a.detail
      from public.audit_log a
      left join public.audit_log e on a.event = 'begun' and e.tenant_id = a.tenant_id and e.request_id = a.request_id and e.event = 'ended'
     where a.tenant_id = p_tenant_id and a.event <> 'ended' and (p_before is null or a.seq < p_before)
     order by a.seq desc limit least(greatest(p_limit, 1), 1000));
end $$;
comment on function public.get_audit_log(uuid, bigint, int) is
  'The calls of a tenant, newest first, each with its outcome; the next page begins before the last seq. Refusals of '
  'the present minute come first, without a seq. Owner.';

-- The first link of a chain that does not fit, and why; from the checkpoint on, up to an entry if one is given.
create function m23.audit_fault(p_tenant uuid, p_upto bigint default null, out broken bigint, out reason text)
language plpgsql volatile set search_path = '' as $$
declare v_from m23.audit_checkpoints;
begin
  select * into v_from from m23.audit_checkpoints c where c.tenant_id = p_tenant;
  select l.seq, l.reason into broken, reason from (
    select a.seq, case
        when a.seq <> coalesce(v_from.seq, 0) + row_number() over (order by a.seq) then 'an entry before it is missing'
        when a.prev_hash <> coalesce(lag(a.hash) over (order by a.seq), v_from.hash, repeat('0', 64))
          then 'it does not follow the entry before it'
        when a.hash <> m23.audit_hash(a) then 'it has been altered' end as reason
      from public.audit_log a where a.tenant_id = p_tenant and (p_upto is null or a.seq <= p_upto)) l
   where l.reason is not null order by l.seq limit 1;
end $$;

create function public.verify_audit(p_tenant_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_broken bigint;
  v_reason text;
  v_count  bigint;
  v_since  timestamptz;
  v_last   record;
  v_head   m23.audit_heads;
begin
  perform m23.require_role(p_tenant_id, array['owner']);
  select * into v_head from m23.audit_heads where tenant_id = p_tenant_id for share;  -- nobody adds meanwhile
  select f.broken, f.reason into v_broken, v_reason from m23.audit_fault(p_tenant_id) f;
  select count(*), min(a.created_at) into v_count, v_since from public.audit_log a where a.tenant_id = p_tenant_id;
  select l.seq, l.hash into v_last from (
    select a.seq, a.hash from public.audit_log a where a.tenant_id = p_tenant_id
    union all select c.seq, c.hash from m23.audit_checkpoints c where c.tenant_id = p_tenant_id) l
   order by l.seq desc limit 1;
  if v_broken is null and (coalesce(v_last.seq, 0), v_last.hash)
     is distinct from (coalesce(v_head.seq, 0), nullif(v_head.hash, repeat('0', 64))) then
    v_broken := coalesce(v_last.seq, 0) + 1;
    v_reason := 'the end of the chain is missing';
  end if;
  return jsonb_build_object('valid', v_broken is null, 'entries', v_count, 'since', m23.iso(v_since),
                            'head', v_head.hash, 'brokenAt', v_broken, 'reason', v_reason);
end $$;
comment on function public.verify_audit(uuid) is
  'Whether a tenant''s audit is whole: {"valid", "entries", "since", "head", "brokenAt", "reason"}: the first entry''s '
  'time, and the first broken link. Keep "head" elsewhere to prove later what was there. Owner.';

-- Removes what is older than audit_days, so much at a time; gives how many entries. A chain that does not fit is left as
-- it is, for verify_audit to tell.
create function m23.prune_audit() returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_began  timestamptz := clock_timestamp();
  v_cutoff timestamptz := v_began - make_interval(days => m23.setting('audit_days')::int);
  v_tenant uuid;
  v_upto   bigint;
  v_count  bigint;
  v_pruned bigint := 0;
begin
  for v_tenant in
    select t.tenant_id from (select distinct a.tenant_id from public.audit_log a where a.created_at < v_cutoff) t
     order by random()  -- those that do not fit come again, and keep nobody waiting
  loop
    exit when clock_timestamp() > v_began + interval '1 second';
    perform from m23.audit_heads h where h.tenant_id = v_tenant for update;
    v_upto := (select coalesce(min(a.seq) filter (where a.created_at >= v_cutoff) - 1, max(a.seq))
                 from (select * from public.audit_log o where o.tenant_id = v_tenant order by o.seq limit 10000) a);
    continue when (m23.audit_fault(v_tenant, v_upto)).broken is not null;
    insert into m23.audit_checkpoints as c (tenant_id, seq, hash)
      select a.tenant_id, a.seq, a.hash from public.audit_log a where a.tenant_id = v_tenant and a.seq = v_upto
      on conflict (tenant_id) do update set seq = excluded.seq, hash = excluded.hash, created_at = excluded.created_at;
    delete from public.audit_log where tenant_id = v_tenant and seq <= v_upto;
    get diagnostics v_count = row_count;
    v_pruned := v_pruned + v_count;
  end loop;
  return v_pruned;
end $$;

select m23.open_to('{authenticated, service_role}', 'public.get_audit_log(uuid, bigint, int)', 'public.verify_audit(uuid)');
select m23.open_to('{service_role}', 'public.m23_audit(jsonb)');
select m23.close_functions();
