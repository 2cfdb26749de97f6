-- Gathers what an undo of a table reads: the keys of the rows that it takes changes of back, with the live rows, and
-- the log's entries of those keys. Rows are kept as text. Where keys were changed, all keys are gathered that the rows
-- came from or went to.

-- An old row that the log has, and the groups of columns that it does not carry.
create type m23.logged_image as (unchanged int, fields text[]);

-- Such a row, by its fields.
create function m23.new_image(p_unchanged int, p_fields text[]) returns m23.logged_image
language plpgsql immutable as $$
declare v_image m23.logged_image;
begin
  v_image.unchanged := p_unchanged;
  v_image.fields := p_fields;
  return v_image;
end $$;

-- The temporary tables of an undo: `keys`, `entries`, `steps` and `lives`.
create function m23.undo_name(p_table m23.protected_tables, p_what text) returns text
language plpgsql immutable as $$ begin return format('pg_temp.m23_undo_%s_%s', p_what, p_table.id); end $$;

-- Forgets what was gathered and worked out for a table.
create function m23.forget_undo(p_table m23.protected_tables) returns void
language plpgsql as $$
declare v_what text;
begin
  foreach v_what in array '{keys,entries,steps,lives}'::text[] loop
    if to_regclass(m23.undo_name(p_table, v_what)) is not null then
      execute format('drop table %s', m23.undo_name(p_table, v_what));
    end if;
  end loop;
end $$;

-- A row of a table's columns as an array of texts.
create function m23.row_texts(p_target m23.target, p_row text, p_of_key boolean default false) returns text
language plpgsql stable as $$
begin
  return (select format('array[%s]::text[]', string_agg(m23.text_of(c, p_row), ', '
                                                        order by case when p_of_key then c.key_ord else c.attnum end))
            from m23.columns_of((p_target.tbl).relid, p_of_key) c where c.name = any (p_target.columns));
end $$;

-- A log's entries `l` of a target, from the floor on.
create function m23.undo_log(p_target m23.target, p_tenant text) returns text
language plpgsql volatile as $$
begin
  return m23.fill($sql$(select l.* from {log} l
      where l.tenant_id = {tenant} and l.xid >= {floor} and (l.op <> 'a' or l.xid >= {pruned}))$sql$,
    'log', m23.log_of((p_target.tbl).id, p_tenant, (p_target.undo).floor),
    'tenant', m23.tenant_value(p_target.tbl, '$1'), 'floor', quote_literal((p_target.undo).floor) || '::xid8',
    'pruned', quote_literal((p_target.tbl).pruned_below));
end $$;

-- Adds the keys of the log's entries `l` for which a condition holds; gives how many are new.
create function m23.add_keys(p_target m23.target, p_tenant text, p_log text, p_condition text) returns bigint
language plpgsql as $$
begin
  return m23.run_at(p_target, p_tenant, m23.fill($sql$
    insert into {keys} (m23_no, {names}, m23_moved, m23_simple)
    select (select count(*) from {keys}) + row_number() over (), s.*, false, false
      from (select distinct {values} from {log} l where {condition}) s
     where not exists (select from {keys} k where {same_key})$sql$,
    'keys', m23.undo_name(p_target.tbl, 'keys'), 'log', p_log, 'condition', p_condition,
    'names', (select string_agg(quote_ident(c.name), ', ' order by c.key_ord)
                from m23.columns_of((p_target.tbl).relid, true) c),
    'values', (select string_agg(format('%s as %I', m23.log_value(p_target.tbl, c), c.name), ', ' order by c.key_ord)
                 from m23.columns_of((p_target.tbl).relid, true) c),
    'same_key', m23.key_match((p_target.tbl).relid, 'k', 's')));
end $$;

-- The entries of the keys, in place of those that were there.
create function m23.add_entries(p_target m23.target, p_tenant text, p_log text) returns void
language plpgsql as $$
begin
  execute format('truncate %s', m23.undo_name(p_target.tbl, 'entries'));
  perform m23.run_at(p_target, p_tenant, m23.fill($sql$
    insert into {entries}
    select k.m23_no, r.m23_op, r.m23_change_id, r.m23_xid, r.m23_actor, r.m23_source,
           r.m23_is_back, case when r.m23_op in ('U', 'D') then m23.new_image(r.m23_unchanged, {texts}) end
      from (select l.op as m23_op, l.change_id as m23_change_id, l.xid as m23_xid, l.actor as m23_actor,
                   l.source as m23_source, coalesce({is_back}, false) as m23_is_back,
                   coalesce(l.unchanged, 0) as m23_unchanged, {images}
              from {log} l) r
      join {keys} k on {same_key}$sql$,
    'entries', m23.undo_name(p_target.tbl, 'entries'), 'texts', m23.row_texts(p_target, 'r'),
    'is_back', m23.is_taken_back(p_target.undo), 'images', m23.log_images(p_target.tbl), 'log', p_log,
    'keys', m23.undo_name(p_target.tbl, 'keys'), 'same_key', m23.key_match((p_target.tbl).relid, 'r', 'k')));
  execute format('analyze %s', m23.undo_name(p_target.tbl, 'entries'));
end $$;

-- The condition that the key of an entry `l` is one that a change of keys ties to a gathered one: an update that takes
-- a key away is followed by the key that it makes.
create function m23.is_tied(p_target m23.target, p_log text) returns text
language plpgsql stable as $$
begin
  return m23.fill($sql$l.op in ('o', 'n') and (l.xid, {key}) in (
      select p.xid, u.key
        from (select x.xid, x.op, x.key, lead(x.key) over w as made, lead(x.op) over w as made_op
                from (select l.xid, l.op, l.change_id, {key} as key from {log} l where l.op in ('o', 'n')) x
              window w as (partition by x.xid order by x.change_id)) p,
             lateral unnest(array[p.key::text, p.made::text]) one (key), lateral (select one.key::text[]) u (key)
       where p.op = 'o' and p.made_op = 'n'
         and exists (select from {keys} k where {text_key} in (p.key, p.made)))$sql$,
    'log', p_log, 'keys', m23.undo_name(p_target.tbl, 'keys'), 'text_key', m23.row_texts(p_target, 'k', true),
    'key', (select format('array[%s]::text[]', string_agg(format('(%s)::text', m23.log_value(p_target.tbl, c)), ', '
                                                          order by c.key_ord))
              from m23.columns_of((p_target.tbl).relid, true) c));
end $$;

-- Gathers it all.
create function m23.gather_versions(p_target m23.target, p_tenant text) returns void
language plpgsql as $$
declare
  v_keys    text := m23.undo_name(p_target.tbl, 'keys');
  v_entries text := m23.undo_name(p_target.tbl, 'entries');
  v_log     text := m23.undo_log(p_target, p_tenant);
begin
  perform m23.run(p_target.path, m23.fill($sql$
    create temp table {keys} on commit drop as
      select 0::bigint as m23_no, {names}, null::text[] as m23_key, null::text[] as m23_live, false as m23_moved,
             false as m23_simple
        from {live} r where false$sql$,
    'keys', split_part(v_keys, '.', 2), 'names', m23.key_list((p_target.tbl).relid, 'r'),
    'live', m23.qualified_name((p_target.tbl).relid)));
  execute format('create temp table %s (m23_no bigint, op "char", change_id pg_lsn, xid xid8, actor uuid, source bigint,
                                        is_back boolean, image m23.logged_image) on commit drop',
                 split_part(v_entries, '.', 2));
  perform m23.add_keys(p_target, p_tenant, v_log, m23.is_taken_back(p_target.undo));
  perform m23.add_entries(p_target, p_tenant, v_log);
  if m23.number_of('', format('select count(*) from %s where op in (''o'', ''n'')', v_entries)) > 0 then
    while m23.add_keys(p_target, p_tenant, v_log, m23.is_tied(p_target, v_log)) > 0 loop null; end loop;
    perform m23.add_entries(p_target, p_tenant, v_log);
    execute format('update %s k set m23_moved = true
                     where exists (select from %s e where e.m23_no = k.m23_no and e.op in (''o'', ''n''))',
                   v_keys, v_entries);
  end if;
  perform m23.run_at(p_target, p_tenant, m23.fill($sql$
    update {keys} k set m23_key = {key}, m23_live = (
      select {texts} from {live} l where {same_key} and {is_its})$sql$,
    'keys', v_keys, 'key', m23.row_texts(p_target, 'k', true), 'texts', m23.row_texts(p_target, 'l'),
    'live', m23.qualified_name((p_target.tbl).relid), 'same_key', m23.key_match((p_target.tbl).relid, 'l', 'k'),
    'is_its', m23.is_tenants(p_target.tbl, 'l', '$1')));
  execute format('analyze %s', v_keys);
end $$;
