-- Incarnations: the lives of a database.
-- Transaction numbers mean something only inside one life of one database. A dump
-- and restore, a clone or a physical recovery begins another: positions and log of
-- the former life are then a gap, never silently wrong.

create table m23.incarnations (
  id          uuid primary key default gen_random_uuid(),
  fingerprint text not null,
  since       timestamptz not null default now(),
  position    pg_snapshot not null default pg_current_snapshot()
);
select m23.close_table('m23.incarnations');

create function m23.fingerprint() returns text
language plpgsql stable as $$
begin
  return (select concat_ws('/', s.system_identifier, c.timeline_id, d.oid)
      from pg_control_system() s, pg_control_checkpoint() c, pg_database d
     where d.datname = current_database());
end $$;
comment on function m23.fingerprint() is
  'What tells this life of the database from its copies: cluster, timeline, database.';

-- The newest life that was noted: in a copy of the database, until something has asked for the present one, the former.
create function m23.present_life() returns uuid
language plpgsql stable as
$$ begin return (select i.id from m23.incarnations i order by i.since desc, i.id limit 1); end $$;

create function m23.incarnation() returns uuid
language plpgsql security definer set row_security = off as $$
declare
  v_now text := m23.fingerprint();
  v_newest m23.incarnations;
begin
  select * into v_newest from m23.incarnations order by since desc, id limit 1;
  if v_newest.fingerprint is distinct from v_now then
    -- Two that come first at once would each note a life, and one of them would be nobody's.
    perform pg_advisory_xact_lock(hashtextextended('m23.incarnation', 0));
    select * into v_newest from m23.incarnations order by since desc, id limit 1;
    if v_newest.fingerprint is not distinct from v_now then return v_newest.id; end if;
    insert into m23.incarnations (fingerprint) values (v_now) returning * into v_newest;
  end if;
  return v_newest.id;
end $$;
comment on function m23.incarnation() is 'The id of this life of the database; a new one is noted at its first use.';
