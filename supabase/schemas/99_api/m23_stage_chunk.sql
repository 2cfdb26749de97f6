-- One verified chunk: a first line of JSON `{"restore_id", "lease", "ordinal", "seq", "rows", "kind"}`, then its lines:
-- `rows`, or the `history` of keys whose rows so far are no longer theirs; of `rewind` the entries are kept. `"from"`
-- is `{"backup_id", "ordinal", "seq", "history"}`, the chunk's place in its backup, and `"fingerprint"` what the
-- archive says of its lines.
-- open to: service_role
create function public.m23_stage_chunk(bytea) returns int
language plpgsql security definer set row_security = off
set statement_timeout = '60s' as $$
declare
  v_end    int := position('\x0a'::bytea in $1);  -- bytes are cut faster than characters
  v_head   jsonb := convert_from(substring($1 from 1 for v_end - 1), 'UTF8')::jsonb;
  v_id     uuid := (v_head ->> 'restore_id')::uuid;
  v_kind   text := coalesce(v_head ->> 'kind', 'rows');
  v_staged m23.staged_tables;
  v_table  m23.protected_tables;
  v_then   pg_snapshot;
  v_lines  text;
  v_rows   bigint;
begin
  perform m23.check_lease(v_id, (v_head ->> 'lease')::uuid);
  select * into v_staged from m23.staged_tables where restore_id = v_id and ordinal = (v_head ->> 'ordinal')::int;
  select * into v_table from m23.protected_tables where id = v_staged.table_id;
  insert into m23.staged_chunks (restore_id, ordinal, seq, rows)
    values (v_id, v_staged.ordinal, (v_head ->> 'seq')::int, (v_head ->> 'rows')::int) on conflict do nothing;
  if not found then return (v_head ->> 'rows')::int; end if;  -- said twice
  begin
    v_lines := convert_from(substring($1 from v_end + 1 for greatest(octet_length($1) - v_end - 1, 0)), 'UTF8');
  exception when character_not_in_repertoire then
    perform m23.refuse('BACKUP_UNUSABLE', format('chunk %s of %s holds bytes that are no text',
                                                 v_head ->> 'seq', v_table.relid::regclass));
  end;
  v_then := (select w.position from m23.backup_work w
              where w.job_id = (v_head -> 'from' ->> 'backup_id')::uuid and w.incarnation = m23.incarnation());
  begin
    v_rows := case when v_kind = 'rows' then m23.stage_rows(v_staged, v_table, v_then, v_lines)
                   else m23.stage_history(v_staged, v_table, v_then, v_lines, v_kind = 'rewind') end;
  exception when data_exception or check_violation or not_null_violation or cannot_coerce then
    perform m23.refuse_rows(m23.unfit_fields(v_staged, v_table, v_then, v_lines, v_kind));
    perform m23.refuse('BACKUP_UNUSABLE', format('the archive holds values of %s that its columns cannot have had',
                                                 v_table.relid::regclass));
  end;
  if v_rows <> (v_head ->> 'rows')::int then
    perform m23.refuse('BACKUP_UNUSABLE',
      format('chunk %s of %s holds %s whole lines, not %s', v_head ->> 'seq', v_table.relid::regclass, v_rows,
             v_head ->> 'rows'));
  end if;
  update public.restore_logs set metadata = jsonb_set(metadata, '{progress,rows}',
      to_jsonb((select sum(c.rows) from m23.staged_chunks c where c.restore_id = v_id)))
   where id = v_id and metadata ? 'progress';
  if exists (select from m23.restore_work w where w.work_id = v_id and w.kind = 'test') then
    perform m23.examine_chunk(v_staged, v_head, v_lines);
  end if;
  -- Last: whoever stages another chunk meanwhile would wait for the row of the lease.
  perform m23.keep_lease(v_id, (v_head ->> 'lease')::uuid);
  update m23.leases set taken = 1 where work_id = v_id;
  return v_rows;
end $$;
comment on function public.m23_stage_chunk(bytea) is 'For the workers: one verified chunk of an archive, into staging.';
