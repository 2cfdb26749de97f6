-- The audit: every call of the five functions, and every change that somebody makes through the
-- API. Entries are only ever added; each contains the hash of the one before it in its tenant's
-- chain, so that a chain which was edited no longer fits together.

create table public.audit_log (
  tenant_id    text not null,
  seq          bigint not null check (seq > 0),
  created_at   timestamptz not null,
  event        text not null check (event in ('begun', 'ended', 'refused', 'replayed', 'done')),
  action       text not null,  -- the function, or what was done
  actor        uuid,           -- null: the service key
  request_id   uuid,           -- an end has that of its beginning
  from_address text,
  user_agent   text,
  status       int check (status between 100 and 599),
  code         text,
  detail       jsonb,
  prev_hash    text not null check (prev_hash ~ '^[0-9a-f]{64}$'),
  hash         text not null check (hash ~ '^[0-9a-f]{64}$'),
  check (event not in ('begun', 'ended') or request_id is not null),
  primary key (tenant_id, seq)
);
create index audit_log_request on public.audit_log (tenant_id, request_id);
create index audit_log_created on public.audit_log (created_at);
alter table public.audit_log enable row level security;
revoke all on public.audit_log from anon, authenticated, service_role;
grant select on public.audit_log to authenticated, service_role;

create policy owners_read on public.audit_log for select to authenticated
  using (tenant_id in (select m23.caller_tenants(array['owner'])));
comment on table public.audit_log is
  'Who did what, when, from where, with what outcome. begun and ended belong to one admitted call; refused, replayed '
  'and done stand alone. See get_audit_log.';

-- Where each chain ends: whoever adds to it holds this row.
create table m23.audit_heads (
  tenant_id text primary key,
  seq       bigint not null check (seq >= 0),
  hash      text not null check (hash ~ '^[0-9a-f]{64}$')
);
select m23.close_table('m23.audit_heads');

-- What is older than audit_days is gone, and with what its chain ended.
create table m23.audit_checkpoints (
  tenant_id  text primary key,
  seq        bigint not null check (seq > 0),
  hash       text not null check (hash ~ '^[0-9a-f]{64}$'),
  created_at timestamptz not null default clock_timestamp()
);
select m23.close_table('m23.audit_checkpoints');

-- Refusals and repetitions of the last minute, before they become one entry of the audit: a caller may have any number
-- of them.
create table m23.refusals (
  id           bigint primary key generated always as identity,
  tenant_id    text not null,
  minute       timestamptz not null,
  event        text not null check (event in ('refused', 'replayed')),
  action       text not null,
  actor        uuid,
  status       int,
  code         text,
  request_id   uuid,  -- of the first one
  from_address text,
  user_agent   text,
  detail       jsonb,  -- of the service: why, and who
  count        bigint not null default 1 check (count > 0),
  since        timestamptz not null default clock_timestamp(),
  until        timestamptz not null default clock_timestamp(),
  unique nulls not distinct (tenant_id, minute, event, action, actor, status, code, detail)
);
select m23.close_table('m23.refusals');

-- Nobody edits. Only a tenant that is forgotten takes its chain with it, and what lies behind a checkpoint goes.
create function m23.refuse_audit_edit() returns trigger
language plpgsql security definer set row_security = off as $$
begin
  if tg_op = 'DELETE' and (current_setting('m23.forgetting', true) = old.tenant_id
      or old.seq <= (select c.seq from m23.audit_checkpoints c where c.tenant_id = old.tenant_id)) then
    return old;
  end if;
  raise exception 'the audit is only ever added to' using errcode = 'insufficient_privilege';
end $$;

create trigger refuse_edit before update or delete on public.audit_log
  for each row execute function m23.refuse_audit_edit();

create trigger refuse_truncate before truncate on public.audit_log
  for each statement execute function m23.refuse_audit_edit();

-- Adding --------------------------------------------------------------------------------

create function m23.audit_hash(p_entry public.audit_log) returns text
language sql stable as $$
  select encode(sha256(convert_to((p_entry).prev_hash || chr(10) || jsonb_build_array(
    (p_entry).tenant_id, (p_entry).seq, m23.iso((p_entry).created_at), (p_entry).event, (p_entry).action,
    (p_entry).actor, (p_entry).request_id, (p_entry).from_address, (p_entry).user_agent, (p_entry).status,
    (p_entry).code, (p_entry).detail)::text, 'UTF8')), 'hex')
$$;
comment on function m23.audit_hash(public.audit_log) is
  'SHA-256 of the hash before, a newline, and the entry as a JSON array: tenant, seq, time (UTC, microseconds), event, '
  'action, actor, request, address, agent, status, code, detail.';

-- The last thing that a transaction does: others of the tenant wait until it ends. p_at: when it happened, if not now.
create function m23.audit(p_tenant text, p_entry jsonb, p_at timestamptz default null) returns void
language plpgsql volatile as $$
declare
  v_head  m23.audit_heads;
  v_entry public.audit_log;
begin
  insert into m23.audit_heads (tenant_id, seq, hash) values (p_tenant, 0, repeat('0', 64)) on conflict do nothing;
  select * into v_head from m23.audit_heads where tenant_id = p_tenant for update;
  v_entry.tenant_id := p_tenant;
  v_entry.seq := v_head.seq + 1;
  v_entry.created_at := coalesce(p_at, clock_timestamp());
  v_entry.event := p_entry ->> 'event';
  v_entry.action := p_entry ->> 'action';
  v_entry.actor := p_entry ->> 'actor';
  v_entry.request_id := p_entry ->> 'request_id';
  v_entry.from_address := left(p_entry ->> 'from_address', 64);
  v_entry.user_agent := left(p_entry ->> 'user_agent', 300);
  v_entry.status := p_entry ->> 'status';
  v_entry.code := p_entry ->> 'code';
  v_entry.detail := nullif(p_entry -> 'detail', 'null');
  v_entry.prev_hash := v_head.hash;
  v_entry.hash := m23.audit_hash(v_entry);
  insert into public.audit_log select (v_entry).*;
  update m23.audit_heads set seq = v_entry.seq, hash = v_entry.hash where tenant_id = p_tenant;
end $$;

-- Counts a refusal or a repetition; write_refusals makes entries of them. p_entry: as m23.audit takes it.
create function m23.note_refusal(p_tenant text, p_entry jsonb) returns void
language sql volatile as $$
  insert into m23.refusals as r
      (tenant_id, minute, event, action, actor, status, code, request_id, from_address, user_agent, detail)
    values (p_tenant, date_trunc('minute', clock_timestamp()), p_entry ->> 'event', p_entry ->> 'action',
            (p_entry ->> 'actor')::uuid, (p_entry ->> 'status')::int, p_entry ->> 'code',
            (p_entry ->> 'request_id')::uuid, left(p_entry ->> 'from_address', 64), left(p_entry ->> 'user_agent', 300),
            nullif(p_entry -> 'detail', 'null'))
    on conflict (tenant_id, minute, event, action, actor, status, code, detail)
    do update set count = r.count + 1, until = clock_timestamp()
$$;

-- The detail of the entry of refusals that were counted: how many there were, and until when.
create function m23.refusal_detail(p_refusal m23.refusals) returns jsonb
language sql stable as $$
  select coalesce(p_refusal.detail, '{}')
         || jsonb_build_object('count', p_refusal.count, 'until', m23.iso(p_refusal.until))
$$;

-- How an admitted call has ended, once. What ended by our own fault is given back, should nobody have done so.
create function m23.audit_end(p_tenant text, p_entry jsonb) returns void
language plpgsql volatile as $$
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

-- What a caller of the API has done, in the transaction that does it.
create function m23.audit_done(p_tenant text, p_action text, p_detail jsonb) returns void
language sql volatile as $$
  select m23.audit(p_tenant, jsonb_build_object(
      'event', 'done', 'action', p_action, 'actor', auth.uid(), 'detail', p_detail,
      'user_agent', h ->> 'user-agent', 'from_address', m23.address_of(h)))
    from (select nullif(current_setting('request.headers', true), '')::jsonb) x (h)
$$;

-- Rows that clients write themselves. M23's own functions write as its owner.
create function m23.audit_row() returns trigger
language plpgsql security definer set row_security = off as $$
declare
  v_before jsonb := case when tg_op = 'UPDATE' then to_jsonb(old) else '{}' end;
begin
  perform m23.audit_done(new.tenant_id, format('%s %s', lower(tg_op), tg_table_name), jsonb_build_object('id', new.id,
    'columns', (select jsonb_agg(n.key order by n.key) from jsonb_each(to_jsonb(new)) n
                 where tg_op = 'UPDATE' and n.value is distinct from v_before -> n.key)));
  return null;
end $$;

create trigger zzz_audit after insert or update on public.dr_plans for each row
  when (current_user in ('authenticated', 'service_role')) execute function m23.audit_row();

create trigger zzz_audit after insert on public.backup_jobs for each row
  when (current_user in ('authenticated', 'service_role')) execute function m23.audit_row();

-- The first link of a chain that does not fit, and why; from the checkpoint on, up to an entry if one is given.
create function m23.audit_fault(p_tenant text, p_upto bigint default null, out broken bigint, out reason text)
language plpgsql volatile as $$
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
