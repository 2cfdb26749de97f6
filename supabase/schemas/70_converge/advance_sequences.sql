-- Takes the sequences that feed these columns past what a relation has in them, which is read under a path.
create function m23.advance_sequences(p_relid oid, p_columns text[], p_rows text, p_path text) returns void
language plpgsql as $$
declare
  v_feed     m23.feed;
  v_sequence pg_sequence;
  v_top      numeric;
begin
  for v_feed in select * from m23.feeds_of(p_relid, p_columns) loop
    select * into v_sequence from pg_sequence where seqrelid = v_feed.sequence;
    if v_feed.around = '{"",""}' and v_feed.base = any ('{int2,int4,int8,numeric,float4,float8}'::regtype[]::oid[]) then
      v_top := trunc(m23.number_of(p_path, format('select %s(%I) from %s',
        case when v_sequence.seqincrement > 0 then 'max' else 'min' end, v_feed.column_name, p_rows)));
    else
      v_top := m23.furthest_within(p_rows, p_path, v_feed, v_sequence);
    end if;
    if v_top between v_sequence.seqmin and v_sequence.seqmax then
      -- Where it is that far already it is left alone: another session may be taking a number just now.
      execute format('select setval(%1$L, %2$s) from %1$s
                       where %2$s %3$s last_value or %2$s = last_value and not is_called',
        m23.qualified_name(v_feed.sequence), v_top, case when v_sequence.seqincrement > 0 then '>' else '<' end);
    end if;
  end loop;
end $$;
