-- What an undo takes back.

-- The changes of these transactions, of one actor's only where one is named, in these tables. Versions of rows are read
-- from the floor on.
create type m23.undoing as (xids xid8[], actor uuid, table_ids int[], floor xid8, on_conflict text);

-- The condition that an entry `l` of a log is taken back.
create function m23.is_taken_back(p_undoing m23.undoing) returns text
language plpgsql immutable as $$
begin
  return format('l.xid = any (%L::xid8[])', (p_undoing).xids)
         || case when (p_undoing).actor is not null then format(' and l.actor = %L', (p_undoing).actor) else '' end;
end $$;

-- Whether a transaction lies after a moment.
create function m23.is_after(p_xid xid8, p_moment m23.moment) returns boolean
language plpgsql stable as $$
declare v_after boolean;
begin
  execute format('select %s', m23.lies_after('$1')) into v_after using p_xid, p_moment;
  return v_after;
end $$;
