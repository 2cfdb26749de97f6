-- Works out what is wanted of the rows that an undo takes changes of back.

-- The first of some images, with what it does not carry from the next that does, or from the row p_next. p_bits: the
-- groups that each column is in.
create function m23.first_row(p_images m23.logged_image[], p_next text[], p_bits int[]) returns text[]
language plpgsql immutable as $$
declare v_image m23.logged_image;
begin
  for n in reverse coalesce(cardinality(p_images), 0)..1 loop
    v_image := p_images[n];
    if v_image.unchanged <> 0 then
      for c in 1..cardinality(p_bits) loop
        if v_image.unchanged & p_bits[c] <> 0 then v_image.fields[c] := p_next[c]; end if;
      end loop;
    end if;
    p_next := v_image.fields;
  end loop;
  return p_next;
end $$;

-- The versions of a row by its steps, the oldest first, and the row as it is now. Null, where they do not fit together.
create function m23.versions_of(p_steps m23.row_step[], p_now text[], p_bits int[], p_tenant text)
returns m23.row_version[]
language plpgsql stable as $$
declare
  v_step     m23.row_step;
  v_version  m23.row_version;
  v_versions m23.row_version[] := '{}';
  v_next     text[] := p_now;
begin
  for n in reverse cardinality(p_steps)..1 loop
    v_step := p_steps[n];
    v_version := null;
    v_version.class := v_step.class;
    v_version.arrived := v_step.arrived;
    v_version.after := case when v_step.after_no is not null then v_next end;
    v_next := m23.first_row(v_step.images, v_next, p_bits);
    v_version.before := case when v_step.before_no is not null then v_next end;
    if not v_step.is_sound or v_step.before_no is not null and v_step.images is null
       or v_step.after_no is not null and v_version.after is null then
      return null;
    end if;
    if v_step.class = 'r' then
      v_version.seen := (select count(*) from unnest(p_steps[1:n - 1]) s
                          where not m23.is_after(s.xid, (select r.moment from m23.returns r
                             where r.incarnation = m23.present_life() and r.tenant_id = p_tenant
                               and r.xid = v_step.xid)));
    end if;
    v_next := v_version.before;
    v_versions := v_version || v_versions;
  end loop;
  return v_versions;
end $$;

-- Finds the keys that nobody else has changed since: their rows are as before the first change that is taken back.
create function m23.find_simple(p_target m23.target, p_neutral m23.neutral[]) returns void
language plpgsql as $$
begin
  execute m23.fill($sql$
    update {keys} k set m23_simple = true
      from (select e.m23_no
              from (select m23_no, op, xid, is_back, change_id,
                           min(change_id) filter (where is_back) over (partition by m23_no) as first
                      from {entries}) e
             where e.change_id >= e.first
             group by e.m23_no having bool_and(e.is_back and e.op in ('I', 'U', 'D') and e.xid <> all ($1))) s
     where s.m23_no = k.m23_no and not k.m23_moved$sql$,
    'keys', m23.undo_name(p_target.tbl, 'keys'), 'entries', m23.undo_name(p_target.tbl, 'entries'))
    using array(select n.xid from unnest(p_neutral) n);
end $$;

-- The lives of a table's rows: pg_temp.m23_undo_lives_<id>. fell: why a row stays as it is, though it should not.
create function m23.work_out_lives(p_target m23.target, p_tenant text) returns void
language plpgsql as $$
declare
  v_neutral m23.neutral[] := m23.neutral_changes(p_tenant, (p_target.undo).xids, (p_target.undo).floor);
  v_steps   text := m23.undo_name(p_target.tbl, 'steps');
  v_lives   text := m23.undo_name(p_target.tbl, 'lives');
begin
  perform m23.gather_versions(p_target, p_tenant);
  execute format('create temp table %s of m23.row_step on commit drop', split_part(v_steps, '.', 2));
  execute format('create temp table %s (life bigint, now_no bigint, now text[], kept text[], taken text[],
                    undone text[], by xid8, is_simple boolean, want text[], want_key text[], now_key text[], fell text)
                  on commit drop', split_part(v_lives, '.', 2));
  perform m23.find_simple(p_target, v_neutral);
  perform m23.note_steps(p_target, p_tenant, v_neutral, 'not k.m23_moved and not k.m23_simple');
  perform m23.follow_moves(p_target, p_tenant, v_neutral);
  perform m23.add_simple_lives(p_target);
  perform m23.add_walked_lives(p_target, p_tenant);
  perform m23.keep_newer_columns(p_target);
  execute m23.fill('update {lives} set want = {want} where fell is null', 'lives', v_lives,
                   'want', case (p_target.undo).on_conflict when 'overwrite' then 'taken' else 'kept' end);
  perform m23.set_keys(p_target);
  perform m23.keep_keys_apart(p_target);
end $$;

-- Adds the rows that nobody else has changed since.
create function m23.add_simple_lives(p_target m23.target) returns void
language plpgsql as $$
begin
  execute m23.fill($sql$
    insert into {lives} (life, now_no, now, kept, taken, undone, is_simple, want, fell)
    select g.m23_no, case when g.m23_live is not null then g.m23_no end, g.m23_live,
           case when g.was then b.row end, case when g.was then b.row end, g.m23_live, true,
           g.m23_live, case when g.was is null or g.was and b.row is null then 'history' end
      from (select k.m23_no, k.m23_live, array_agg(e.image order by e.change_id) filter (where e.op <> 'I') as images,
                   case (k.m23_live is not null)::int
                          - sum(case e.op when 'I' then 1 when 'D' then -1 else 0 end)
                        when 1 then true when 0 then false end as was
              from {keys} k join (select x.*, min(change_id) filter (where is_back) over (partition by m23_no) as first
                                    from {entries} x) e using (m23_no)
             where k.m23_simple and e.change_id >= e.first
             group by k.m23_no, k.m23_live) g,
           lateral (select m23.first_row(g.images, g.m23_live, $1) offset 0) b (row)$sql$,
    'lives', m23.undo_name(p_target.tbl, 'lives'), 'keys', m23.undo_name(p_target.tbl, 'keys'),
    'entries', m23.undo_name(p_target.tbl, 'entries')) using m23.bits_of_columns(p_target);
end $$;

-- Adds the rows that others have changed, too.
create function m23.add_walked_lives(p_target m23.target, p_tenant text) returns void
language plpgsql as $$
begin
  execute m23.fill($sql$
    insert into {lives} (life, now_no, now, kept, taken, undone, by, is_simple, want, fell)
    select l.life, k.m23_no, k.m23_live, case when v.versions is null then k.m23_live else (w.walked).kept end,
           case when v.versions is null then k.m23_live else (w.walked).taken end,
           case when v.versions is null then k.m23_live else (w.walked).undone end,
           l.by, false, k.m23_live, case when v.versions is null then 'history' end
      from (select s.life, min(s.at) filter (where s.class = 's') as first,
                   (array_agg(s.xid order by s.at desc)
                      filter (where s.class in ('o', 'r') and s.at > s.first))[1] as by,
                   array_agg(m23.new_step(s.xid, s.class, s.arrived, s.before_no, s.after_no, s.is_sound, s.images)
                             order by s.at) as steps
              from (select *, min(at) filter (where class = 's') over (partition by life) as first from {steps}) s
             group by s.life) l
      left join {keys} k on k.m23_no = (l.steps[cardinality(l.steps)]).after_no
     cross join lateral (select m23.versions_of(l.steps, k.m23_live, $1, $2) offset 0) v (versions)
     cross join lateral (select case when v.versions is not null then m23.walk(v.versions, $3) end offset 0) w (walked)
     where l.first is not null$sql$,
    'lives', m23.undo_name(p_target.tbl, 'lives'), 'steps', m23.undo_name(p_target.tbl, 'steps'),
    'keys', m23.undo_name(p_target.tbl, 'keys'))
    using m23.bits_of_columns(p_target), p_tenant,
          array(select c = any (m23.stamps_of(p_target.tbl) || p_target.kept)
                  from unnest(p_target.columns) with ordinality u (c, n) order by n);
end $$;

-- The groups that each column of a target is in.
create function m23.bits_of_columns(p_target m23.target) returns int[]
language plpgsql stable as $$
begin
  return array(select m23.column_bits(p_target.tbl, a.attnum)
                 from unnest(p_target.columns) with ordinality u (name, n)
                 join pg_attribute a on a.attrelid = (p_target.tbl).relid and a.attname = u.name order by u.n);
end $$;

-- Columns that are newer than the changes cannot have been set by them: a row keeps its value.
create function m23.keep_newer_columns(p_target m23.target) returns void
language plpgsql as $$
declare v_no int;
begin
  for v_no in
    select u.n from unnest(p_target.columns) with ordinality u (name, n) where u.name = any (p_target.kept)
  loop
    execute m23.fill('update {lives} set kept[{n}] = now[{n}] where kept is not null;
                      update {lives} set taken[{n}] = now[{n}] where taken is not null',
                     'lives', m23.undo_name(p_target.tbl, 'lives'), 'n', v_no::text);
  end loop;
end $$;

-- The key in a row that is an array of texts.
create function m23.key_of_texts(p_target m23.target, p_row text) returns text
language plpgsql stable as $$
begin
  return (select format('array[%s]', string_agg(format('%s[%s]', p_row, array_position(p_target.columns, c.name)), ', '
                                                order by c.key_ord))
            from m23.columns_of((p_target.tbl).relid, true) c);
end $$;

-- Notes the keys of rows as they are, and as they are wanted.
create function m23.set_keys(p_target m23.target) returns void
language plpgsql as $$
begin
  execute format('update %s set want_key = case when want is not null then %s end,
                                now_key = case when now is not null then %s end',
                 m23.undo_name(p_target.tbl, 'lives'), m23.key_of_texts(p_target, 'want'),
                 m23.key_of_texts(p_target, 'now'));
end $$;

-- Two rows cannot have one key: whoever has it keeps it, and the other row stays as it is.
create function m23.keep_keys_apart(p_target m23.target) returns bigint
language plpgsql as $$
declare
  v_fell bigint;
  v_all  bigint := 0;
begin
  loop
    v_fell := m23.number_of('', m23.fill($sql$
      with fell as (
        update {lives} l set want = l.now, want_key = l.now_key, fell = 'key'
         where l.want_key is not null and l.want_key is distinct from l.now_key
           and (exists (select from {lives} o where o.life <> l.life and o.want_key = l.want_key
                                                and (o.now_key = o.want_key or o.life < l.life))
                or exists (select from {keys} k where k.m23_moved and k.m23_key = l.want_key and k.m23_live is not null
                              and not exists (select from {lives} o where o.now_no = k.m23_no)))
        returning 1)
      select count(*) from fell$sql$,
      'lives', m23.undo_name(p_target.tbl, 'lives'), 'keys', m23.undo_name(p_target.tbl, 'keys')));
    v_all := v_all + v_fell;
    if v_fell = 0 then return v_all; end if;
  end loop;
end $$;
