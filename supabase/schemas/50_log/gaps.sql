-- Gaps: why a history goes back no further than it does. What was missed is never passed over:
-- a change that nobody has logged makes every earlier moment unreachable, and another history
-- begins.

-- Histories that have ended, and why.
create table m23.gaps (
  table_id int not null references m23.protected_tables (id) on delete cascade,
  since    timestamptz not null,  -- when that history had begun
  until    timestamptz not null,  -- when the next one began
  reason   text not null,
  primary key (table_id, until)
);
select m23.close_table('m23.gaps');
comment on table m23.gaps is 'Ended histories of the protected tables: no moment before `until` can be gone back to.';

-- When the transaction that began a table's present history was committed, where commit times are native.
create function m23.began_at(p_table m23.protected_tables) returns timestamptz
language plpgsql volatile as $$
begin
  return coalesce((select c.at from m23.commit_times c where c.xid = p_table.xid),
                  pg_xact_commit_timestamp(p_table.xid::xid), p_table.protected_at);
end $$;

-- The first moment of a table's present history: the commit of the transaction that began it.
create function m23.history_since(p_table m23.protected_tables) returns timestamptz
language plpgsql volatile as $$
begin
  return case when p_table.incarnation <> m23.incarnation() then p_table.protected_at
    when m23.commit_times_are_native() then m23.began_at(p_table)
    else coalesce((select k.at from m23.ticks k
                    where k.incarnation = p_table.incarnation and k.at >= p_table.protected_at
                      and pg_visible_in_snapshot(p_table.xid, k.position)
                    order by k.at limit 1), clock_timestamp()) end;
end $$;

-- Why nothing before the present history can be reached.
create function m23.history_reason(p_table m23.protected_tables) returns text
language sql stable as $$
  select coalesce((select g.reason from m23.gaps g where g.table_id = p_table.id order by g.until desc limit 1),
                  'the table was not protected before')
$$;

-- Capture switched off ---------------------------------------------------------------------
-- ENABLE and DISABLE TRIGGER write the trigger's row in the catalogue anew, so that its number
-- and its transaction tell whether anybody has touched it, whatever its state is now. With a relation
-- that is dropped, its triggers go.

-- The marks of a table's capture triggers: each by its number and its version in the catalogue.
create function m23.trigger_marks(p_relid oid) returns text[]
language plpgsql stable as $$
begin
  return array(select concat_ws('/', g.oid, g.xmin, g.tgrelid)
                 from m23.captured_relations(p_relid) c join pg_trigger g on g.tgrelid = c.relid
                where g.tgname ~ '^(aaa|zzz)_m23_' order by 1);
end $$;

-- Whether triggers of the capture have been touched since they were written; but for what this
-- transaction has done, if p_but_mine. Marks and triggers are read in one statement: an ALTER
-- TABLE that commits in between writes both anew.
create function m23.was_off(p_table m23.protected_tables, p_but_mine boolean) returns boolean
language plpgsql volatile as $$
begin
  return exists (
    select from m23.protected_tables t, unnest(t.triggers) mark
     where t.id = p_table.id and exists (select from pg_class c where c.oid = split_part(mark, '/', 3)::oid)
       and not exists (select from pg_trigger g
                        where g.oid = split_part(mark, '/', 1)::oid
                          and (g.xmin::text = split_part(mark, '/', 2)
                               or p_but_mine and g.xmin = pg_current_xact_id()::xid)));
end $$;

-- Why changes of a table may have gone unseen for good; null when none have.
create function m23.history_fault(p_table m23.protected_tables) returns text
language plpgsql volatile as $$
begin
  return coalesce(
    'capture is suspended: the table ' || (m23.obstacle_of(p_table)).sentence,
    'capture was suspended: ' || p_table.suspended,
    case when m23.missing_triggers(p_table) is not null
         then 'capture is switched off: its triggers are missing or not always enabled'
         when m23.misses_replication(p_table) then 'a subscription writes to it, and no event trigger told of that'
         when m23.key_is_another(p_table) then 'the primary key is another, and no event trigger told of it'
         when m23.was_off(p_table, false) then 'capture was switched off for a while' end);
end $$;

-- Why a table's log does not know all that has happened to it; null when it does. Partitions that have gone are
-- seen as the server sees them in this statement.
create function m23.capture_fault(p_table m23.protected_tables) returns text
language plpgsql volatile as $$
begin
  return coalesce(m23.history_fault(p_table), (
    select 'a partition was dropped or detached, and no event trigger told of it' from m23.partitions p
     where p.table_id = p_table.id
       and not exists (select from pg_class c where c.oid = p.relid and c.relispartition) limit 1));
end $$;

-- m23.capture_fault of tables, where there is one.
create function m23.capture_faults(p_ids int[]) returns table (table_id int, fault text)
language plpgsql volatile rows 1 as $$
declare v_sound int[] := m23.sound_tables(p_ids);
begin
  return query
  select t.id, f.fault from m23.protected_tables t cross join lateral (select m23.capture_fault(t) as fault offset 0) f
   where t.id = any (p_ids) and t.id <> all (v_sound) and f.fault is not null;
end $$;

-- Why tables can neither be backed up nor restored in place: of what is done to them nothing would be known.
-- p_tables: as callers name them; null: all that are protected.
create function m23.obstacle_faults(p_tables text[]) returns text[]
language plpgsql volatile as $$
declare v_sound int[] := m23.sound_tables(array(select c.id from m23.chosen(p_tables) c));
begin
  return array(
    select format('tables: %s cannot be backed up or restored: capture is suspended: the table %s',
                  m23.public_name(t.relid), (m23.obstacle_of(t)).sentence)
      from m23.chosen(p_tables) t
     where t.id <> all (v_sound)
       and (m23.obstacle_of(t)).kind is not null order by t.name);
end $$;

-- Refuses a restore for which m23.obstacle_faults gives reasons.
create function m23.refuse_obstacles(p_tables text[]) returns void
language plpgsql volatile as $$
declare v_faults text[] := m23.obstacle_faults(p_tables);
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
end $$;
