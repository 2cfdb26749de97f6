-- What a manifest lists of a part of a backup.

-- The groups that the log of a part of a backup leaves out columns by, with the names that they had when it began; null
-- for a part that is whole, which has no log.
create function m23.groups_of_part(p_part m23.backup_tables) returns jsonb
language plpgsql stable as $$
begin
  if p_part.whole then return null; end if;
  return (select jsonb_agg((select coalesce(jsonb_agg(u.column_facts ->> 'name' order by u.n), '[]')
                              from rows from (jsonb_array_elements(p_part.columns), unnest(p_part.attnums))
                                with ordinality u (column_facts, attnum, n), m23.log_groups g
                             where g.table_id = p_part.table_id and g.bit = b.bit and u.attnum = any (g.attnums))
                           order by b.bit)
            from generate_series(0, (select max(g.bit) from m23.log_groups g
                                      where g.table_id = p_part.table_id)) b (bit));
end $$;

-- The fingerprint of an encrypted chunk is sealed: anybody can read a manifest, and could try what a
-- short chunk holds.
create function m23.chunks_of(p_part m23.backup_tables, p_history boolean) returns json
language sql stable as $$
  select coalesce(json_agg(json_build_object(
           'object', c.object, 'rows', c.rows, 'bytes', c.bytes, 'stored_bytes', c.stored_bytes, 'sha256', c.sha256,
           'fingerprint', case when w.key_id is null then c.fingerprint::text else c.sealed_fingerprint end)
           order by c.seq), '[]')
    from m23.backup_chunks c join m23.backup_work w on w.job_id = c.job_id
   where c.job_id = p_part.job_id and c.ordinal = p_part.ordinal and c.history = p_history
$$;
