-- Fingerprints: sums over rows, by which what is read back is compared with what was backed up.

-- The fingerprint of a copy's rows.
create function m23.fingerprint_now(p_scratch m23.scratch) returns numeric
language plpgsql as $$
begin
  return m23.number_of(p_scratch.path, format('
      select coalesce(sum(pg_catalog.hashtextextended((%s) collate "C", 0::bigint)), 0) from %s r',
    m23.copy_line((p_scratch.copy).relid, (p_scratch.staged).columns), m23.qualified_name((p_scratch.copy).relid)));
end $$;

-- The fingerprints of some copies, in their order.
create function m23.fingerprints_now(p_all m23.scratch[]) returns numeric[]
language sql volatile as
$$ select array_agg(m23.fingerprint_now(p_all[n]) order by n) from generate_subscripts(p_all, 1) n $$;

-- The fingerprint of a table's rows as they were backed up.
create function m23.fingerprint_then(p_job uuid, p_table m23.backup_tables) returns numeric
language sql stable as
$$ select coalesce(sum(c.fingerprint), 0) from m23.backup_chunks c
    where c.job_id = p_job and c.ordinal = p_table.ordinal and not c.history $$;

-- Whether the database knows what was read of a backup and all that it builds on: not where it has
-- adopted one without fingerprints.
create function m23.is_noted(p_job uuid) returns boolean
language sql stable as
$$ select not exists (select from m23.chain_of(p_job) j join m23.backup_chunks c on c.job_id = j.id
                       where c.fingerprint is null) $$;

-- A chunk that is read back, with what m23_stage_chunk is told of it. A database that has adopted an
-- encrypted backup learns what a chunk has to come to when its archive is opened. A table of an
-- incremental is put together from many chunks, so each is compared by itself.
create function m23.examine_chunk(p_staged m23.staged_tables, p_head jsonb, p_lines text) returns void
language plpgsql as $$
declare
  v_from  jsonb := p_head -> 'from';
  v_chunk m23.backup_chunks;
begin
  update m23.backup_chunks c set fingerprint = coalesce(c.fingerprint, (p_head ->> 'fingerprint')::numeric)
   where c.job_id = (v_from ->> 'backup_id')::uuid and c.ordinal = (v_from ->> 'ordinal')::int
     and c.seq = (v_from ->> 'seq')::int and c.history = (v_from ->> 'history')::boolean
    returning * into v_chunk;
  if exists (select from m23.restore_work w
               join m23.backup_tables b on b.job_id = w.job_id and b.ordinal = p_staged.ordinal
              where w.work_id = p_staged.restore_id and not b.whole)
     and m23.fingerprint_of(string_to_array(p_lines, chr(10))) <> v_chunk.fingerprint then
    update m23.staged_tables set altered = altered + 1
     where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  end if;
end $$;
