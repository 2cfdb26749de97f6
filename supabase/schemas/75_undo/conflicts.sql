-- Conflicts of an undo: rows where keeping what others did since, and taking the changes back wholly, come to different
-- results; and rows that stay as they are because something stands in their way.

-- The condition that a row `l` of the lives is in conflict.
create function m23.is_conflict() returns text
language sql immutable as
$$ select '(l.kept is distinct from l.taken or l.fell in (''history'', ''key'', ''unique'', ''reference''))' $$;

-- How many rows are in conflict.
create function m23.count_conflicts(p_targets m23.target[]) returns bigint
language plpgsql volatile as $$
begin
  return coalesce((
    select sum(m23.number_of('', format('select count(*) from %s l where %s', m23.undo_name((t).tbl, 'lives'),
                                        m23.is_conflict())))
      from unnest(p_targets) t where to_regclass(m23.undo_name((t).tbl, 'lives')) is not null), 0);
end $$;

-- A row as an object, of an expression that is an array of texts.
create function m23.row_object(p_target m23.target, p_row text, p_of_key boolean default false) returns text
language plpgsql stable as $$
begin
  return m23.fill('case when {row} is not null then (select m23.double_safe(pg_catalog.to_jsonb(m23_s))
                     from (select {shown} from (select {typed}) m23_t) m23_s) end',
    'row', p_row, 'typed', m23.typed_columns(p_target, p_row, p_of_key),
    'shown', m23.shown_columns((p_target.tbl).relid,
                               case when p_of_key then m23.key_of((p_target.tbl).relid) else p_target.columns end,
                               'm23_t'));
end $$;

-- Some fields of an object.
create function m23.only_fields(p_object jsonb, p_fields text[]) returns jsonb
language sql immutable as $$
  select case when p_object is not null then (
           select coalesce(jsonb_object_agg(f, p_object -> f), '{}') from unnest(p_fields) f where p_object ? f) end
$$;

-- The columns in which two rows differ: all, if one of them is not there.
create function m23.columns_apart(p_these text[], p_those text[], p_columns text[]) returns text[]
language plpgsql immutable as $$
begin
  return array(select u.name from unnest(p_columns) with ordinality u (name, n)
                where p_these is null or p_those is null or p_these[u.n] is distinct from p_those[u.n] order by u.n);
end $$;

-- Who did something last to a row in conflict, since.
create function m23.conflicting_change(p_xid xid8, p_actor uuid, p_source bigint) returns jsonb
language plpgsql volatile as $$
begin
  if p_xid is null then return null; end if;
  return jsonb_build_object('actor', p_actor, 'transactionId', p_xid::text, 'at', m23.iso(m23.time_of(p_xid)),
                            'source', m23.source_of(p_source));
end $$;

-- The first conflicts of a table.
create function m23.conflicts_of(p_target m23.target, p_limit bigint) returns jsonb
language plpgsql volatile as $$
declare v_told jsonb;
begin
  perform set_config('search_path', p_target.path, true);
  execute m23.fill($sql$
    select jsonb_agg(jsonb_build_object('table', $1::text, 'key', c.key, 'columns', to_jsonb(c.columns),
             'before', m23.only_fields(c.before, c.columns), 'undone', m23.only_fields(c.undone, c.columns),
             'now', m23.only_fields(c.now, c.columns), 'by', m23.conflicting_change(c.by, c.actor, c.source),
             'reason', c.reason) order by c.n)
      from (select row_number() over (order by coalesce(l.now_key, l.want_key), l.life) as n, l.by,
                   e.actor, e.source,
                   {key} as key, {before} as before, {undone} as undone, {now} as now, a.columns,
                   case when l.fell in ('history', 'key', 'unique', 'reference') then l.fell
                        else 'changed' end as reason
              from {lives} l
              left join lateral (select e.actor, e.source from {entries} e where e.xid = l.by limit 1) e on true
             cross join lateral (select m23.columns_apart(
                     case when l.kept is distinct from l.taken then l.kept else l.now end, l.taken, $2)) a (columns)
             where {is_conflict} order by 1 limit $3) c$sql$,
    'entries', m23.undo_name(p_target.tbl, 'entries'), 'lives', m23.undo_name(p_target.tbl, 'lives'),
    'key', m23.row_object(p_target, 'coalesce(l.now, l.taken, l.kept)', true),
    'before', m23.row_object(p_target, 'l.taken'), 'undone', m23.row_object(p_target, 'l.undone'),
    'now', m23.row_object(p_target, 'l.now'), 'is_conflict', m23.is_conflict())
    into v_told using m23.public_name((p_target.tbl).relid), p_target.columns, p_limit;
  return coalesce(v_told, '[]');
end $$;

-- What an answer says of conflicts: nothing, if it is about no undo.
create function m23.conflict_report(p_targets m23.target[]) returns jsonb
language plpgsql volatile as $$
declare
  v_target m23.target;
  v_told   jsonb := '[]';
begin
  if not m23.is_undo(p_targets) then return '{}'; end if;
  for v_target in select t.* from unnest(p_targets) t order by m23.public_name((t.tbl).relid) loop
    continue when to_regclass(m23.undo_name(v_target.tbl, 'lives')) is null;
    v_told := v_told || m23.conflicts_of(v_target, 100 - jsonb_array_length(v_told));
  end loop;
  return jsonb_build_object('conflictCount', m23.count_conflicts(p_targets), 'conflicts', v_told);
end $$;

-- Whether targets are those of an undo.
create function m23.is_undo(p_targets m23.target[]) returns boolean
language plpgsql immutable as $$
begin
  return exists (select from unnest(p_targets) t where ((t).undo).xids is not null);
end $$;

-- A sum over the conflicts of all tables: another conflict makes another plan. Null, if there is no undo.
create function m23.conflict_digest(p_targets m23.target[]) returns text
language plpgsql volatile as $$
begin
  return (select string_agg(concat_ws(':', ((t).tbl).id, ((t).undo).on_conflict, m23.number_of('', format(
             'select coalesce(sum(hashtextextended(row(l.now, l.kept, l.taken, l.fell)::text, 0)::numeric), 0)
                from %s l where %s', m23.undo_name((t).tbl, 'lives'), m23.is_conflict()))),
           chr(10) order by ((t).tbl).id)
            from unnest(p_targets) t where to_regclass(m23.undo_name((t).tbl, 'lives')) is not null);
end $$;

-- What a refusal because of conflicts is called, wherever it is said.
create function m23.conflict_sentence() returns text
language sql immutable as
$$ select 'others have built on changes that would be undone; nothing was changed' $$;

-- What has to be said where conflicts are to be refused; nothing, if there are none.
create function m23.conflicts_refused(p_targets m23.target[]) returns text[]
language plpgsql volatile as $$
declare v_count bigint;
begin
  if not exists (select from unnest(p_targets) t where ((t).undo).on_conflict = 'refuse') then return '{}'; end if;
  v_count := m23.count_conflicts(p_targets);
  if v_count = 0 then return '{}'; end if;
  return array(
    select format('%s %s: %s', c ->> 'table', c -> 'key', case c ->> 'reason'
             when 'changed' then array_to_string(m23.list_of(c -> 'columns'), ', ')
                                   || coalesce(format(' (transaction %s)', c -> 'by' ->> 'transactionId'), '')
             when 'key' then 'another row has its key'
             when 'unique' then 'another row has a value that only one may have'
             when 'reference' then 'a reference would break'
             else 'its history does not fit together' end)
      from jsonb_array_elements(m23.conflict_report(p_targets) -> 'conflicts') with ordinality u (c, n)
     where n <= 20 order by n)
    || case when v_count > 20 then array[format('and %s more', v_count - 20)] else '{}' end
    || array['set onConflict: "skip" keeps what others did, "overwrite" takes the changes back wholly'];
end $$;

-- Refuses an undo that meets conflicts, if its caller wants that.
create function m23.refuse_conflicts(p_targets m23.target[]) returns void
language plpgsql volatile as $$
declare v_said text[] := m23.conflicts_refused(p_targets);
begin
  if v_said <> '{}' then perform m23.refuse('CONFLICT', m23.conflict_sentence(), v_said); end if;
end $$;

-- What could not be taken back, and is no conflict: a sentence each.
create function m23.undo_warnings(p_target m23.target) returns text[]
language plpgsql volatile as $$
declare
  v_gone    bigint;
  v_arrived bigint;
begin
  if (p_target.undo).xids is null then return '{}'; end if;
  execute format('select count(*) from %s l where l.now is null and l.undone is not null and l.kept is null
                                             and l.taken is null', m23.undo_name(p_target.tbl, 'lives')) into v_gone;
  execute format('select count(distinct s.life) from %s s where s.class = ''s'' and s.arrived',
                 m23.undo_name(p_target.tbl, 'steps')) into v_arrived;
  return array_remove(array[
    case when v_gone > 0 then format('%s: %s row(s) are gone since; nothing of them was undone',
                                     m23.public_name((p_target.tbl).relid), v_gone) end,
    case when v_arrived > 0 then format('%s: %s row(s) had come from another tenant and were not given back',
                                        m23.public_name((p_target.tbl).relid), v_arrived) end], null);
end $$;
