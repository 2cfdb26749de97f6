-- What is in force for a protected table, and what to do about it: the worst that there is.
create function m23.doctor_table(p_table m23.protected_tables) returns m23.finding
language plpgsql volatile as $$
declare
  v_name    text := coalesce(m23.public_name(p_table.relid), p_table.name);
  v_protect text := format('select m23.protect_table(%L)', m23.qualified_name(p_table.relid));
begin
  return case
    when not exists (select from pg_class where oid = p_table.relid)
      then m23.new_finding(v_name, 'problem', 'gap: the table was dropped while it was protected',
        format('its log is kept in %s', m23.log_name(p_table.id)))
    when p_table.incarnation <> m23.incarnation()
      then m23.new_finding(v_name, 'problem',
        'gap: its history belongs to another life of this database, which was restored or copied since',
        'unprotect and protect it again: history begins anew, backups are not affected')
    when (m23.obstacle_of(p_table)).kind is not null
      then m23.new_finding(v_name, 'problem',
        'gap: capture is suspended: the table ' || (m23.obstacle_of(p_table)).sentence,
        (m23.obstacle_of(p_table)).advice || '; capture goes on by itself then, and its history begins anew')
    when p_table.suspended is not null
      then m23.new_finding(v_name, 'problem',
        format('gap: capture was suspended: %s; what was changed meanwhile is unknown', p_table.suspended),
        format('the upkeep renews it within a minute, or %s; history begins anew then', v_protect))
    when m23.missing_triggers(p_table) is not null
      then m23.new_finding(v_name, 'problem',
        format('gap: changes may go unseen, because these triggers are missing or not enabled always: %s',
               array_to_string(m23.missing_triggers(p_table), ', ')),
        v_protect)
    when m23.capture_fault(p_table) is not null
      then m23.new_finding(v_name, 'problem',
        'gap: ' || m23.capture_fault(p_table) || '; what was changed meanwhile is unknown',
        format('%s; its history begins anew then', v_protect))
    when m23.drifted_columns(p_table) is not null
      then m23.new_finding(v_name, 'problem',
        format('the capture does not know the present shape of: %s',
               array_to_string(m23.drifted_columns(p_table), ', ')),
        v_protect)
    else m23.new_finding(v_name, 'ok',
      format('protected since %s by %s; log of %s%s',
             to_char(p_table.protected_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'),
             m23.tenancy_text(p_table),
             pg_size_pretty((select sum(pg_total_relation_size(i.inhrelid)) from pg_inherits i
                              where i.inhparent = m23.log_name(p_table.id)::regclass)),
             m23.lost_partitions(p_table))
        || case when m23.is_subscribed(p_table.relid)
                then '; a subscription writes to it, and its rows are captured, too' else '' end) end;
end $$;

-- Columns that the log does not have in the shape of the table.
create function m23.drifted_columns(p_table m23.protected_tables) returns text[]
language plpgsql stable as $$
begin
  return (select array_agg(c.name) from m23.columns_of(p_table.relid) c
     where not c.generated
       and not exists (select from m23.log_columns f
                        where f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
                          and f.type_name = m23.logged_type(c)));
end $$;

-- The partitions of a table that were dropped with their rows, as the doctor says it.
create function m23.lost_partitions(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select '; partitions were dropped, whose rows of before cannot come back: '
                 || string_agg(format('%s (%s)', r.name, m23.iso(r.at)), ', ' order by r.id)
            from m23.removed_partitions r where r.table_id = p_table.id and r.lost);
end $$;
