-- The next chunk of a table: a first line of JSON `{"rows", "last_key", "next_key", "done", "fingerprint"}`,
-- then the rows as COPY lines. `next_key`, where it is known, is the key at which the chunk after it will end.
-- Bounded in rows and bytes, whatever the tenant's size.
-- open to: service_role
create function public.m23_read_chunk(
  p_job_id uuid, p_lease uuid, p_ordinal int, p_after text[], p_history boolean default false
) returns m23."application/octet-stream"
language plpgsql volatile security definer set row_security = off
set statement_timeout = '60s' as $$
declare
  v_work  m23.backup_work;
  v_part  m23.backup_tables;
  v_table m23.protected_tables;
  v_rows  int := m23.setting('chunk_rows')::int;
  v_limit bigint := m23.setting('chunk_bytes')::bigint;
  v_at    m23.moment;
  v_from  m23.moment;
  v_path  text;
  v_query text;
  v_quiet boolean;
  v_chunk record;
  v_key   text;
  v_next  text[];
  v_done  boolean;
begin
  perform m23.check_lease(p_job_id, p_lease);
  select * into v_work from m23.backup_work where job_id = p_job_id;
  select * into v_part from m23.backup_tables where job_id = p_job_id and ordinal = p_ordinal;
  select * into v_table from m23.protected_tables where id = v_part.table_id;
  v_at := m23.moment_of(v_work.position);
  v_from := m23.moment_of(m23.parent_position(p_job_id));
  -- TRUNCATE and rewriting ALTERs are not MVCC-safe: first the lock, then a new snapshot.
  if m23.qualified_name(v_table.relid) is not null then
    execute format('lock table %s in access share mode', m23.qualified_name(v_table.relid));
  end if;
  perform m23.check_part(v_part, v_table, v_work);  -- an ALTER TABLE may have held that lock
  v_key := m23.part_key(v_table, p_history);
  v_path := m23.path_of(v_table.relid);
  v_quiet := v_part.whole and not p_history
    and not m23.has_changed(v_table, v_work.tenant_id, m23.moment_of(v_work.position));
  loop
    -- In one pass, without keeping the page: the rows come in order. The fingerprint is m23.fingerprint_of.
    v_query := format('
        select count(*) as rows, string_agg(m23_line, chr(10)) as lines,
               coalesce(sum(pg_catalog.hashtextextended(m23_line collate "C", 0::bigint)), 0)::text as fingerprint,
               coalesce(max(m23_bytes), 0) as bytes,
               pg_catalog.max(array[%2$s]) filter (where m23_n = %3$s or m23_bytes >= $5) as last_key
          from (select p.*, sum(octet_length(m23_line) + 1) over (rows unbounded preceding) as m23_bytes,
                       count(*) over (rows unbounded preceding) as m23_n from (%1$s) p) r
         where m23_bytes - octet_length(m23_line) - 1 < $5',
      m23.part_query(v_part, p_history, v_table, v_rows, v_quiet,
                     m23.log_of(v_table.id, v_work.tenant_id, least(v_at.floor, v_from.floor))), v_key, v_rows);
    -- Here, and not by a function: its result would be copied once more.
    perform set_config('search_path', v_path, true);
    begin
      execute v_query into v_chunk using v_work.tenant_id, v_at, p_after, v_from, v_limit;
    exception when data_exception then  -- an ALTER TYPE waits for no reader: it may have come in between
      perform m23.check_part(v_part, v_table, v_work);
      raise;
    end;
    perform pg_catalog.set_config('search_path', '', true);
    v_done := v_chunk.rows < v_rows and v_chunk.bytes < v_limit;
    if v_quiet and v_chunk.rows = v_rows then
      v_next := m23.key_ahead(v_table, v_work.tenant_id, v_chunk.last_key, v_rows);
      v_done := v_next is null and m23.key_ahead(v_table, v_work.tenant_id, v_chunk.last_key, 1) is null;
    end if;
    -- What live rows show is in the log for every later statement: if it still has nothing, they were those of the
    -- position.
    exit when not v_quiet or not m23.has_changed(v_table, v_work.tenant_id, m23.moment_of(v_work.position));
    v_quiet := false;
    v_next := null;
  end loop;
  -- By || and not by concat(), which copies long texts more often.
  return convert_to(json_build_object('rows', v_chunk.rows, 'last_key', v_chunk.last_key, 'next_key', v_next,
                                      'done', v_done, 'fingerprint', v_chunk.fingerprint)::text || chr(10)
                    || case when v_chunk.rows > 0 then v_chunk.lines || chr(10) else '' end, 'UTF8');
end $$;
comment on function public.m23_read_chunk(uuid, uuid, int, text[], boolean) is
  'For the workers: the next chunk of a backup, as of its position.';
