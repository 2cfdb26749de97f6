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
