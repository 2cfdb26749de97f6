-- The parts of health: each gives a value from 0 to 1, and says why.

-- How old the newest backup is, against what may be lost: 0 to 1, and in words.
create function m23.health_freshness(p_now m23.standing, out value numeric, out said text)
language plpgsql stable as $$
begin
  select case when age is null then 0 else greatest(0, least(1, 1 - (age - (p_now).rpo) / (2.0 * (p_now).rpo))) end,
         case when age is null then 'no completed backup'
              else format('the newest backup is of a moment %s minutes ago; %s are allowed',
                          round(age), (p_now).rpo) end
    into value, said
    from (select extract(epoch from clock_timestamp() - (p_now).at) / 60) a (age);
end $$;

-- The share of backups that were completed: 0 to 1, and in words.
create function m23.health_success(p_tenant text, p_now m23.standing, out value numeric, out said text)
language plpgsql stable as $$
begin
  select coalesce(count(*) filter (where status = 'completed')::numeric / nullif(count(*), 0), 0),
         format('%s of %s backups were completed', count(*) filter (where status = 'completed'), count(*))
    into value, said
    from public.backup_jobs
   where tenant_id = p_tenant and status in ('completed', 'failed') and completed_at >= (p_now).since;
end $$;

-- Whether the newest backup can be read with all that it builds on: 0 or 1, and in words.
create function m23.health_chain(p_now m23.standing, out value numeric, out said text)
language plpgsql stable as $$
begin
  select (fault is null)::int,
         coalesce(fault, 'everything that the newest backup builds on is there, and no test has found damage')
    into value, said
    from (select case
        when ((p_now).backup).id is null then 'no completed backup'
        when m23.chain_fault((p_now).backup) is not null then m23.chain_fault((p_now).backup)
        when (select m23.found_damage(t) from public.recovery_tests t
               where t.backup_job_id = ((p_now).backup).id and t.status = 'completed'
               order by t.completed_at desc limit 1)
          then 'the last test of the newest backup has found damage' end) f (fault);
end $$;

-- When a tenant's archive was last really restored, since a time.
create function m23.last_proof(p_tenant text, p_since timestamptz) returns timestamptz
language plpgsql stable as $$
begin
  return (select max(p.at) from m23.proofs p where p.tenant_id = p_tenant and p.at >= p_since);
end $$;

-- A restore proves all; having read every byte, half; a list of objects, a quarter. What has
-- found damage since proves nothing.
create function m23.health_proof(p_tenant text, p_now m23.standing, out value numeric, out said text)
language plpgsql stable as $$
begin
  with test (t) as (select t from public.recovery_tests t
                     where t.tenant_id = p_tenant and t.status = 'completed' and t.completed_at >= (p_now).since),
    proof (at, damage) as (select m23.last_proof(p_tenant, (p_now).since),
                                  (select max((t).completed_at) from test where m23.found_damage(t))),
    read (level) as (select max(array_position('{basic,full}', (t).validation_level)) from test, proof
                      where not m23.found_damage(t) and ((t).completed_at > damage) is not false)
  select case when at > damage or at is not null and damage is null then 1 else coalesce(level, 0) * 0.25 end,
         case when at > damage or at is not null and damage is null
                then format('a backup was restored at %s', m23.iso(at))
              when damage is not null
                then format('a test has found damage at %s, and no restore has worked since', m23.iso(damage))
              when level is not null then 'backups were examined, and none was restored'
              else 'no backup was tested or restored' end
    into value, said
    from proof, read;
end $$;

-- The share of protected tables that are captured without a gap: 0 to 1, and in words.
create function m23.health_capture(out value numeric, out said text)
language plpgsql volatile as $$
declare v_sound int[] := m23.sound_tables(array(select t.id from m23.protected_tables t));
begin
  select coalesce(count(*) filter (where whole)::numeric / nullif(count(*), 0), 0),
         case when count(*) = 0 then 'no table is protected'
              else format('%s of %s protected tables are captured without a gap',
                          count(*) filter (where whole), count(*)) end
    into value, said
    from (select exists (select from pg_class where oid = t.relid) and t.incarnation = (select m23.incarnation())
            and m23.drifted_columns(t) is null
            and (t.id = any (v_sound) or m23.missing_triggers(t) is null and not m23.misses_replication(t))
            from m23.protected_tables t) p (whole);
end $$;

-- How long a restore takes, against what is allowed: 0 to 1, and in words.
create function m23.health_time(p_tenant text, p_now m23.standing, out value numeric, out said text)
language plpgsql stable as $$
begin
  select case when seconds is null then 0
              when (p_now).rto is null then 1
              else least(1, (p_now).rto * 60.0 / greatest(seconds, 0.001)) end,
         case when seconds is null then 'no restore was measured'
              else format('the last measured restore took %s seconds', seconds)
                || case when (p_now).rto is not null then format('; %s minutes are allowed', (p_now).rto)
                        else '' end end
    into value, said
    from (select) one left join lateral (
      select (t.results ->> 'recoverySeconds')::numeric from public.recovery_tests t
       where t.tenant_id = p_tenant and t.status = 'completed' and t.results ? 'recoverySeconds'
         and t.completed_at >= (p_now).since
       order by t.completed_at desc limit 1) m (seconds) on true;
end $$;
