-- The fence lets one restore have a tenant to itself, and nobody else wait.
-- Writers of a tenant share it, a restore takes it alone; both hold it to the end of
-- their transaction. A lock a tenant would fill the lock table where a transaction writes
-- rows of very many: beyond a number it takes stripes instead, 128 of them, that tenants
-- have in common; a restore takes its tenant's stripe too.

-- The key of a tenant's fence, from its name.
create function m23.fence_key(p_tenant text) returns bigint
language plpgsql immutable as $$
begin
  return case when m23.uuid_of(p_tenant) is not null then uuid_hash_extended(m23.uuid_of(p_tenant), 0)
              else hashtextextended(lower(p_tenant), 0) end;
end $$;

-- The key of the caller's tenant: whoever writes asks for it with no more rights than a writer has.
-- open to: authenticated, service_role
create function m23.caller_fence() returns bigint
language plpgsql stable security definer set row_security = off as
$$ begin return m23.fence_key(m23.caller_tenant()); end $$;

-- The same as m23.fence_key, as an expression of a tenant as a log keeps it. Capture asks for it row by row: that of a
-- uuid is a hash that costs nearly nothing. One tenant has one fence, whatever the types of its columns, so a text may
-- be a uuid's.
create function m23.fence_of(p_tenant text, p_type text) returns text
language plpgsql immutable as $outer$
begin
  return format(case p_type when 'uuid' then 'uuid_hash_extended(%s, 0)'
                            when 'bigint' then 'hashtextextended((%s)::text, 0)'
                            else $case$case when %1$s ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
             then uuid_hash_extended((%1$s)::uuid, 0) else hashtextextended(lower(%1$s), 0) end$case$ end, p_tenant);
end $outer$;

-- The bits of a fence that a stripe is told by; the lower ones are those of no application's own keys.
create function m23.stripe_bits() returns bigint
language sql immutable as $$ select 9151314442816847872 $$;
comment on function m23.stripe_bits() is 'Bits 56 to 62: a fence''s key with no others set is its stripe.';

-- The lock of a tenant's stripe.
create function m23.stripe_key(p_tenant text) returns bigint
language sql immutable as
$$ select m23.fence_key(p_tenant) & m23.stripe_bits() $$;

-- Which bits of a fence's key a writer asks for next: all of them for the transaction's first 256
-- asks, and its stripe after that.
create function m23.fence_bits() returns bigint
language plpgsql volatile as $$
declare v_asked int := coalesce(nullif(current_setting('m23.fences', true), ''), '0')::int;
begin
  if v_asked >= 256 then return m23.stripe_bits(); end if;
  perform set_config('m23.fences', (v_asked + 1)::text, true);
  return -1;
end $$;

-- How capture shares the fence of a row's tenant, as a condition that always holds. A transaction's first
-- rows of a log ask for their tenant's own key, without a look at what other tables have asked for.
create function m23.shares_fence(p_tenant text, p_type text, p_log text) returns text
language plpgsql immutable as $$
begin
  return format($condition$pg_advisory_xact_lock_shared(%1$s
             & case when pg_stat_get_xact_tuples_inserted(%2$L::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted(%2$L::regclass) < 256 then m23.fence_bits()
                    else %3$s end) is not null$condition$, m23.fence_of(p_tenant, p_type), p_log, m23.stripe_bits());
end $$;
comment on function m23.shares_fence(text, text, text) is
  'The condition by which a row of the tenant p_tenant (an expression of p_type), logged in p_log, shares its  fence.';

create function m23.share_fence(p_tenants text[]) returns void
language plpgsql as $$
declare v_tenant text;
begin
  foreach v_tenant in array p_tenants loop
    perform pg_advisory_xact_lock_shared(m23.fence_key(v_tenant) & m23.fence_bits());
  end loop;
end $$;
comment on function m23.share_fence(text[]) is
  'A writer''s side of the fence: waits while a restore of one of these tenants is writing.';

-- Only the fence is waited for. The stripe is taken at once or not at all: whoever holds it
-- may be waiting for the fence.
create function m23.take_fence(p_tenant text) returns void
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(m23.fence_key(p_tenant));
  if not pg_try_advisory_xact_lock(m23.stripe_key(p_tenant)) then
    raise exception 'a transaction with many rows is under way in this tenant''s stripe'
      using errcode = 'lock_not_available';
  end if;
end $$;
comment on function m23.take_fence(text) is
  'A restore''s side of the fence: waits for the tenant''s writers to end, then holds new ones off until this '
  'transaction ends.';

-- A writer may have put a row into a table and wait for the fence since: nobody sees that row,
-- and a deferrable constraint does not look for it. Passes at a moment when no such row is
-- there; whoever writes later runs into what is there by now. The lock is given back at once.
create function m23.wait_out_writers(p_table regclass) returns void
language plpgsql volatile as $$
begin
  execute format('lock table %s in share row exclusive mode', p_table);
  raise exception 'passed' using errcode = 'M2301';
exception when sqlstate 'M2301' then null;
end $$;

-- RESTORE_IN_PROGRESS is a lock of its own: two restores never queue for one fence.
create function m23.restore_key(p_tenant text) returns bigint
language sql immutable as
$$ select hashtextextended('m23.restore.' || p_tenant, 0) $$;
