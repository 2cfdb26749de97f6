-- The triggers of a protected table that call its capture.

-- The relations that are captured for a table: itself, or with its partitions, which can be
-- written to directly. `leaf`: it has rows of its own.
create function m23.captured_relations(p_relid oid) returns table (relid oid, leaf boolean, partitioned boolean)
language plpgsql stable rows 1 as $$
begin
  return query
  select c.oid, c.relkind = 'r', r.relkind = 'p'
    from pg_class r join pg_class c on c.oid = any (m23.with_partitions(p_relid))
   where r.oid = p_relid
   order by c.oid = p_relid desc, c.oid;
end $$;

-- The triggers of a captured relation: %1 is the table's id, %2 the relation.
create function m23.capture_triggers(p_leaf boolean, p_partitioned boolean, p_insert_order boolean,
                                     p_subscribed boolean, p_is_parent boolean default false)
returns table (name text, definition text)
language sql immutable rows 6 as $$
  select t.name, t.definition from (values
    ('zzz_m23_before', true,
     'before ' || case when p_insert_order then 'insert or ' else '' end || 'update or delete on %2$s '
     'for each statement execute function m23_log.before(%1$s)'),
    ('aaa_m23_log_insert', true,
     'after insert on %2$s referencing new table as new_rows '
     'for each statement execute function m23_log.insert_%1$s()'),
    ('aaa_m23_log_update', true,
     'after update on %2$s referencing old table as old_rows new table as new_rows '
     'for each statement execute function m23_log.update_%1$s()'),
    ('aaa_m23_log_delete', true,
     'after delete on %2$s referencing old table as old_rows '
     'for each statement execute function m23_log.delete_%1$s()'),
    ('aaa_m23_row', not p_partitioned,
     'after update on %2$s for each row execute function m23_log.row_%1$s()'),
    ('zzz_m23_leaving', p_leaf and p_is_parent,
     'before delete on %2$s for each row execute function m23_log.leaving_%1$s()'),
    ('zzz_m23_log_truncate', p_leaf,
     'before truncate on %2$s for each statement execute function m23_log.truncate_%1$s()'),
    ('aaa_m23_row_replicated', p_subscribed and p_leaf,
     'after insert or update or delete on %2$s for each row execute function m23_log.replicated_%1$s()'),
    ('zzz_m23_statement', p_subscribed,
     'before insert or update or delete on %2$s for each statement execute function m23_log.count_statements(%1$s)'),
    ('zzz_m23_statement_done', p_subscribed,
     'after insert or update or delete on %2$s for each statement execute function m23_log.count_statements(%1$s)')
  ) t (name, applies, definition) where t.applies
$$;

-- ENABLE ALWAYS: `session_replication_role = replica` silences other triggers, in a
-- restore too, whose own writes are captured like any others. No trigger names a column, in a list or a condition:
-- one that does keeps the application from altering or dropping that column.
create function m23.write_triggers(p_table m23.protected_tables) returns void
language plpgsql as $$
declare v_trigger record;
begin
  perform m23.drop_triggers(c.relid) from m23.captured_relations(p_table.relid) c;
  for v_trigger in
    select m23.qualified_name(c.relid) as relation, t.*
      from m23.captured_relations(p_table.relid) c,
           m23.capture_triggers(c.leaf, c.partitioned, m23.insert_order_matters(p_table.relid),
                                m23.is_subscribed(p_table.relid), m23.is_parent(p_table)) t
  loop
    execute format('create trigger %I %s', v_trigger.name,
                   format(v_trigger.definition, p_table.id, v_trigger.relation));
    execute format('alter table %s enable always trigger %I', v_trigger.relation, v_trigger.name);
  end loop;
  update m23.protected_tables set triggers = m23.trigger_marks(relid) where id = p_table.id;
end $$;

-- Drops the triggers of a captured relation.
create function m23.drop_triggers(p_relation oid) returns void
language plpgsql as $$
declare v_trigger name;
begin
  for v_trigger in select tgname from pg_trigger where tgrelid = p_relation and tgname ~ '^(aaa|zzz)_m23_' loop
    execute format('drop trigger %I on %s', v_trigger, m23.qualified_name(p_relation));
  end loop;
end $$;

-- The capture triggers that a protected table should have, and does not, or not always enabled.
create function m23.missing_triggers(p_table m23.protected_tables) returns text[]
language plpgsql stable as $$
begin
  return (select array_agg(distinct t.name)
            from m23.captured_relations(p_table.relid) c,
                 m23.capture_triggers(c.leaf, c.partitioned, false, false, m23.is_parent(p_table)) t
           where not exists (select from pg_trigger g
                              where g.tgrelid = c.relid and g.tgname = t.name and g.tgenabled = 'A'));
end $$;
