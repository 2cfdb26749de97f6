-- One table's entries of the log, p_log, under a filter, $2. p_shown: values that do not fit their columns any more as
-- they were logged.
create function m23.history_query(p_table m23.protected_tables, p_log text, p_shown boolean, p_is_page boolean)
returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$select (l.change_id - '0/0')::bigint, l.tenant_id::text, {at}, l.xid::text, l.actor,
      case l.op {operations} end, {name}::text,
      (select to_jsonb(m23_k) from (select {key}) m23_k),
      case when l.op in ('U', 'D') then (select to_jsonb(m23_v) from (select {images}) m23_v) - u.names end,
      case when u.names <> '{}' then u.names end
    from {log} l, lateral (select {unchanged}) u (names)
   where l.tenant_id = {tenant} and (l.op <> 'a' or l.xid >= {pruned}){page}$sql$,
    'at', m23.committed_at(), 'tenant', m23.tenant_value(p_table, '$1'),
    'operations', (select string_agg(format('when %L then %L', o.op, o.name), ' ') from m23.operations() o),
    'name', quote_literal(m23.public_name(p_table.relid)),
    'key', coalesce((select string_agg(format('%s as %I', m23.log_value(p_table, c, p_shown), c.name),
                                       ', ' order by c.key_ord)
                       from m23.columns_of(p_table.relid, p_of_key => true) c), ''),
    'images', m23.log_images(p_table, p_shown), 'log', p_log, 'unchanged', m23.unchanged_names(p_table),
    'pruned', quote_literal(p_table.pruned_below),
    'page', case when p_is_page then m23.fill($sql$
       and (($2).first is null or l.xid >= ($2).first) and (($2).beyond is null or l.xid < ($2).beyond)
       and (($2).before_xid is null or (l.xid, l.change_id) < (($2).before_xid, '0/0'::pg_lsn + ($2).before_id))
       and (($2).op is null or l.op = ($2).op) and (($2).actor is null or l.actor = ($2).actor)
       and (($2).since is null or {at} >= ($2).since) and (($2).until is null or {at} < ($2).until)
     order by l.xid desc, l.change_id desc limit ($2).most$sql$, 'at', m23.committed_at()) else '' end);
end $outer$;
