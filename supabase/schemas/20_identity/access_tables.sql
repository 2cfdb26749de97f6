-- Tables that say who has access: memberships, roles, invitations. A restore leaves them as they are unless it names
-- them, so that nobody comes back, and nobody is locked out, without being asked. Backups and snapshots have them.

create table m23.access_tables (
  relid oid primary key
);
select m23.close_table('m23.access_tables');
comment on table m23.access_tables is 'Tables that say who has access; see m23.set_access_tables.';

-- Replaces the whole list; an empty one ends it. Each must be protected, as a restore touches no other.
create function m23.set_access_tables(p_tables regclass[]) returns void
language plpgsql as $$
declare v_other regclass;
begin
  select t into v_other from unnest(p_tables) t
   where not exists (select from m23.protected_tables p where p.relid = t) limit 1;
  if v_other is not null then
    raise exception '% is not protected, so no restore changes it', v_other
      using errcode = 'object_not_in_prerequisite_state', hint = 'Call m23.protect_table first.';
  end if;
  delete from m23.access_tables;
  insert into m23.access_tables select distinct t from unnest(p_tables) t;
end $$;
comment on function m23.set_access_tables(regclass[]) is
  'Says which protected tables say who has access: a restore leaves them out unless it names them. '
  'The list replaces the one before.';

-- The protected tables that say who has access: those declared, and M23's own.
create function m23.tables_of_access() returns setof m23.protected_tables
language plpgsql stable rows 2 as $$
begin
  return query
  select t.* from m23.protected_tables t
   where t.relid in (select a.relid from m23.access_tables a) or t.relid = to_regclass('public.tenant_members');
end $$;

-- Whether a table says who has access.
create function m23.is_access_table(p_relid oid) returns boolean
language plpgsql stable as $$
begin
  return exists (select from m23.access_tables a where a.relid = p_relid)
      or p_relid = to_regclass('public.tenant_members');
end $$;

-- The tables of a restore, as m23.chosen_tables gives them, without those that say who has access and are not named.
create function m23.restored_tables(p_named text[], p_related boolean default false) returns text[]
language plpgsql stable as $$
begin
  if not exists (select from m23.tables_of_access()) then return m23.chosen_tables(p_named, p_related); end if;
  return array(
    select c.name
      from unnest(m23.chosen_tables(p_named, p_related)) with ordinality c (name, n)
     where not m23.is_access_table((m23.find_table(c.name)).relid)
        or p_named is not null and (m23.find_table(c.name)).relid in (select t.relid from m23.tables_named(p_named) t)
     order by c.n);
end $$;

-- The same of a backup's parts, by their names in it; null for all of them.
create function m23.restored_parts(p_job uuid, p_named text[]) returns text[]
language plpgsql volatile as $$
begin
  if p_named is not null or not exists (select from m23.tables_of_access()) then
    return m23.tables_in_backup(p_job, p_named);
  end if;
  return array(select b.schema_name || '.' || b.table_name from m23.backup_tables b
                where b.job_id = p_job and not m23.is_access_table((m23.table_now(b)).relid) order by b.ordinal);
end $$;

-- What a caller must know of access: which tables a restore leaves out that have changed since the moment, and which it
-- names.
create function m23.access_warnings(p_tenant text, p_named text[], p_moment m23.moment) returns text[]
language plpgsql volatile as $$
begin
  return array(
    select case when p_named is null
        then format('%s was left out, because it says who has access: name it in tables to restore it', t.name)
        else format('%s says who has access: its rows that come back give access, and those that go take it',
                    t.name) end
      from (select p, m23.public_name(p.relid) as name
              from m23.tables_of_access() p join pg_class c on c.oid = p.relid
            offset 0) t  -- no other table's log is looked into
     where case when p_named is null
                then p_moment.position is null or m23.has_changed(t.p, p_tenant, p_moment)
                else (t.p).relid in (select n.relid from m23.tables_named(p_named) n) end
     order by t.name);
end $$;

-- The same of a restore of a backup: what it has, and leaves out or names.
create function m23.access_warnings(p_job uuid, p_named text[]) returns text[]
language plpgsql volatile as $$
declare v_parts text[] := m23.restored_parts(p_job, p_named);
begin
  return array(
    select case when b.schema_name || '.' || b.table_name = any (v_parts)
        then format('%s says who has access: its rows that come back give access, and those that go take it', n.name)
        else format('%s was left out, because it says who has access: name it in tables to restore it', n.name) end
      from m23.backup_tables b, lateral (select m23.public_name((m23.table_now(b)).relid)) n (name)
     where b.job_id = p_job and m23.is_access_table((m23.table_now(b)).relid)
       and (p_named is null or b.schema_name || '.' || b.table_name = any (v_parts))
     order by n.name);
end $$;

-- Why a table looks as if it said who has access, a sentence that goes on from its name; null where it does not. It has
-- a user and a role, or is called like memberships or invitations, or m23.memberships_of names it.
create function m23.likeness_to_access(p_relid oid) returns text
language plpgsql stable as $$
declare v_name text := (select c.relname from pg_class c where c.oid = p_relid);
begin
  if m23.is_access_table(p_relid) then return null; end if;
  if v_name ~* '(^|_)(member|membership|invitation|invite|collaborator)s?$'
     or v_name ~ '(Member|Membership|Invitation|Invite|Collaborator)s?$'
     or m23.says_memberships(p_relid)
     or m23.role_column(p_relid) is not null and m23.user_column(p_relid) is not null then
    return 'looks as if it said who has access, and a restore takes it along';
  end if;
  return null;
end $$;

-- Whether m23.memberships_of names a table.
create function m23.says_memberships(p_relid oid) returns boolean
language plpgsql stable as $$
begin
  return (select p.prosrc from pg_proc p where p.oid = 'm23.memberships_of(uuid)'::regprocedure)
           ~ format('\m%s\M', regexp_replace((select c.relname from pg_class c where c.oid = p_relid), '\W', '.', 'g'));
end $$;

-- The column of a table that names a user: one that refers to the accounts, or is called so; null where there is none.
create function m23.user_column(p_relid oid) returns text
language plpgsql stable as $$
declare
  v_users   oid := to_regclass('auth.users');
  v_refers  int2[] := array(select k.conkey[1] from pg_constraint k
                             where k.conrelid = p_relid and k.contype = 'f' and k.confrelid = v_users
                               and cardinality(k.conkey) = 1);
  v_tenancy int2[] := (select m23.tenancy_attnums(t) from m23.protected_tables t where t.relid = p_relid);
begin
  return (
    select a.attname::text from pg_attribute a
     where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped
       and (a.attnum = any (v_refers) or a.attname ~* '^((user|member|profile|account)_?(id)?|email)$')
       and a.attnum <> all (coalesce(v_tenancy, '{}'))
     order by a.attnum <> all (v_refers), a.attname ~* 'email', a.attname !~* 'user', a.attnum limit 1);
end $$;

-- The column of a table that names a role; null where there is none.
create function m23.role_column(p_relid oid) returns text
language plpgsql stable as $$
begin
  return (select a.attname::text from pg_attribute a
           where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped
             and a.attname ~* '^(roles?(_?id)?|permissions?|access_?level)$' order by a.attnum limit 1);
end $$;

-- What to do about a table that looks so.
create function m23.access_advice(p_relid oid) returns text
language plpgsql stable as $$
begin
  return format('if it does, select m23.set_access_tables(array[…, %L]::regclass[]); '
                'a restore leaves it out then, unless it names it', m23.qualified_name(p_relid));
end $$;

-- Protected tables that look as if they said who has access, and are not declared.
create function m23.doctor_access() returns setof m23.finding
language sql stable as $$
  select m23.public_name(t.relid), 'warning', l.likeness, m23.access_advice(t.relid)
    from m23.protected_tables t join pg_class c on c.oid = t.relid
   cross join lateral (select m23.likeness_to_access(t.relid)) l (likeness)
   where l.likeness is not null order by 1
$$;
