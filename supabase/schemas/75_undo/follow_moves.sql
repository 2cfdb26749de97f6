-- Rows that have changed their keys are followed, change by change: where two rows stand at one key for a moment, the
-- older one leaves first. A row that is inserted at a key whose row is gone goes on with that row's life.
create function m23.follow_moves(p_target m23.target, p_tenant text, p_neutral m23.neutral[]) returns void
language plpgsql as $$
declare
  v_changes text := m23.key_changes(p_target, 'k.m23_moved');
  v_at      jsonb;          -- which lives stand at which key, the oldest first
  v_gone    jsonb := '{}';  -- whose life ended at which key
  v_xid     record;
  v_before  jsonb;
  v_images  jsonb;
  v_own     jsonb;
begin
  execute m23.fill($sql$select coalesce(jsonb_object_agg(g.m23_no, jsonb_build_array(-g.m23_no)), '{}')
      from (select distinct on (m23_no) * from {changes} c order by m23_no, at) g
     where g.after_balance - g.balance = 1$sql$, 'changes', v_changes) into v_at;
  for v_xid in execute m23.fill($sql$
    select g.xid, max(g.at) as at, bool_and(g.is_back) as is_back,
           bool_and(g.class in ('s', 'o') and {whole}) as is_sound,
           jsonb_agg(jsonb_build_array(g.m23_no, g.arrived)) as keys,
           jsonb_object_agg(g.m23_no, true) filter (where g.images is not null) as with_images
      from (select c.*, {class} as class from (select g.*, k.m23_key from {changes} g join {keys} k using (m23_no)) c,
                   lateral (select c.xid, c.is_back, c.actors) g, lateral (select c.m23_key) k) g
     group by g.xid order by 2$sql$,
    'changes', v_changes, 'keys', m23.undo_name(p_target.tbl, 'keys'),
    'class', m23.class_of_changes(p_target, p_tenant, p_neutral),
    'whole', (select (c.relkind <> 'p')::text from pg_class c where c.oid = (p_target.tbl).relid))
  loop
    v_before := v_at;
    v_own := m23.move_rows(p_target, v_xid.xid, v_at, v_gone);
    v_at := v_own -> 'at';
    v_gone := v_own -> 'gone';
    v_images := (select coalesce(jsonb_object_agg(v_before -> k.no ->> 0, k.no::bigint), '{}')
                   from jsonb_object_keys(coalesce(v_xid.with_images, '{}')) k (no)
                  where v_before -> k.no ->> 0 is not null);
    execute m23.fill($sql$
      insert into {steps}
      select l.life, $1, $2, case when $3 then 's' else 'o' end, coalesce(a.arrived, false),
             ($4 ->> l.life::text)::bigint, n.no, $5, (
               select array_agg(e.image order by e.change_id) from {entries} e
                where e.m23_no = ($4 ->> l.life::text)::bigint and e.xid = $2 and e.op in ('U', 'D'))
        from (select k.life::bigint as life from jsonb_object_keys($4) k (life)
              union select t.life::bigint from jsonb_array_elements_text($6) t (life)) l
        left join (select s.key::bigint as no, u.life::bigint as life
                     from jsonb_each($7) s, jsonb_array_elements_text(s.value) u (life)) n on n.life = l.life
        left join (select (k ->> 0)::bigint as no, (k ->> 1)::boolean as arrived from jsonb_array_elements($8) k) a
               on a.no = n.no$sql$,
      'steps', m23.undo_name(p_target.tbl, 'steps'), 'entries', m23.undo_name(p_target.tbl, 'entries'))
      using v_xid.at, v_xid.xid, v_xid.is_back, v_images, v_xid.is_sound, v_own -> 'touched', v_at, v_xid.keys;
  end loop;
end $$;

-- Moves rows as a transaction has: gives where they are after it, which are gone, and those that came to a key.
create function m23.move_rows(p_target m23.target, p_xid xid8, p_at jsonb, p_gone jsonb) returns jsonb
language plpgsql as $$
declare
  v_entry   record;
  v_here    jsonb;  -- the lives at the entry's key
  v_life    jsonb;  -- the one that an update has taken from its key, and not put down yet
  v_touched jsonb := '[]';
begin
  for v_entry in execute format(
    'select e.op, e.m23_no::text as no, e.change_id from %s e join %s k using (m23_no)
      where e.xid = $1 and k.m23_moved and e.op <> ''U'' order by e.change_id',
    m23.undo_name(p_target.tbl, 'entries'), m23.undo_name(p_target.tbl, 'keys')) using p_xid
  loop
    v_here := coalesce(p_at -> v_entry.no, '[]');
    if v_entry.op in ('D', 'l', 'o') then
      if v_entry.op = 'o' then v_life := v_here -> 0;
      else p_gone := p_gone || jsonb_build_object(v_entry.no, v_here -> 0); end if;
      p_at := p_at || jsonb_build_object(v_entry.no, v_here - 0);
    else
      if v_entry.op <> 'n' then
        v_life := p_gone -> v_entry.no;
        p_gone := p_gone - v_entry.no;
      end if;
      -- a row that was not known before is told by the change that made it
      if coalesce(v_life, 'null') = 'null' then v_life := to_jsonb(-1000000000 - (v_entry.change_id - '0/0')); end if;
      p_at := p_at || jsonb_build_object(v_entry.no, v_here || v_life);
      v_touched := v_touched || v_life;
      v_life := null;
    end if;
  end loop;
  return jsonb_build_object('at', p_at, 'gone', p_gone, 'touched', v_touched);
end $$;
