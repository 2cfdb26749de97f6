-- The statements of a table: what M23 executes for it again and again, written when its layout is (m23.write_capture),
-- and read by all others. What only a call knows is left open: the log's parts, a limit, wanted rows.

create table m23.table_statements (
  table_id int not null references m23.protected_tables (id) on delete cascade,
  name     text not null,
  mark     text not null,    -- m23.layout_mark of the table for which it was written
  pieces   text[] not null,  -- by turns a text, and the name of a hole
  primary key (table_id, name),
  constraint begins_and_ends_with_a_text check (cardinality(pieces) % 2 = 1)
);
select m23.close_table('m23.table_statements');
comment on table m23.table_statements is
  'What M23 executes for each table, by the table''s present layout; the names between the texts stand for what a call '
  'fills in.';

-- The names of the statements.
create function m23.statement_names() returns text[]
language sql immutable as $$
  select '{plan_moment,plan_moment_locking,plan_staged,as_of,as_of_page,page_live,page_whole,page_changed,'
         'page_history,key_ahead,staging}'::text[]
$$;

-- Statements of a table, written for its present layout, in pieces. What several have in common is written once.
create function m23.write_pieces(p_table m23.protected_tables, p_names text[]) returns table (name text, pieces text[])
language plpgsql stable rows 10 as $$
declare
  v_edge    text := format('m23 %s ', gen_random_uuid());  -- in no name and no default: nobody has seen it before
  v_log     text := v_edge || 'log' || v_edge;
  v_limit   text := v_edge || 'limit' || v_edge;
  v_target  m23.target := m23.new_target(p_table, p_columns => m23.stored_columns(p_table.relid), p_kept => '{}');
  v_touched text;
  v_page    text;
  v_live    text;
begin
  if p_names && '{plan_moment,plan_moment_locking,as_of,as_of_page,page_whole,page_changed}' then
    v_touched := m23.touched_since(p_table, v_log);
  end if;
  if p_names && '{as_of_page,page_whole}' then v_page := m23.as_of_page(p_table, v_touched, v_limit); end if;
  if p_names && '{page_live,key_ahead}' then v_live := m23.live_query(p_table, v_limit); end if;
  foreach name in array p_names loop
    pieces := string_to_array(case name
      when 'plan_moment' then m23.plan_moment(v_target, v_touched)
      when 'plan_moment_locking' then m23.plan_moment_locking(v_target, v_touched, v_edge || 'lock' || v_edge)
      when 'plan_staged' then m23.plan_staged(v_target, v_edge || 'wanted' || v_edge)
      when 'as_of' then m23.as_of_query(p_table, v_touched)
      when 'as_of_page' then v_page
      when 'page_live' then m23.page_of_rows(p_table, v_live, v_limit)
      when 'page_whole' then m23.page_of_rows(p_table, v_page, v_limit)
      when 'page_changed' then m23.page_of_rows(
        p_table, m23.changed_query(p_table, v_touched, v_log, v_limit), v_limit)
      when 'page_history' then m23.page_history(p_table, v_log, v_limit)
      when 'key_ahead' then m23.key_ahead_query(p_table, v_live, v_edge || 'skipped' || v_edge)
      when 'staging' then m23.staging_of_all(p_table, v_edge || 'staging' || v_edge) end, v_edge);
    return next;
  end loop;
end $$;

-- A statement with its holes filled; p_holes are names and texts by turns. What is filled in is never looked at.
create function m23.join_pieces(p_pieces text[], variadic p_holes text[]) returns text
language plpgsql immutable as $$
declare
  v_text text := p_pieces[1];
  v_hole text;
begin
  for n in 2..cardinality(p_pieces) by 2 loop
    select p_holes[i + 1] into v_hole from generate_series(1, cardinality(p_holes), 2) i where p_holes[i] = p_pieces[n];
    if v_hole is null then
      raise exception 'nothing was given for {%} of a statement', p_pieces[n] using errcode = 'null_value_not_allowed';
    end if;
    v_text := v_text || v_hole || p_pieces[n + 1];
  end loop;
  return v_text;
end $$;

-- A statement of a table: the one that was written, if that was for the present layout; else it is written now.
create function m23.statement(p_table m23.protected_tables, p_name text, variadic p_holes text[]) returns text
language plpgsql stable as $$
declare
  v_pieces text[] := (select s.pieces from m23.table_statements s
                       where s.table_id = p_table.id and s.name = p_name and s.mark = m23.layout_mark(p_table));
begin
  return m23.join_pieces(coalesce(v_pieces, (select w.pieces from m23.write_pieces(p_table, array[p_name]) w)),
                         variadic p_holes);
end $$;

-- Whether the statements that were written for a table are those of its present layout; also where none can be kept.
create function m23.has_statements(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
declare v_mark text := m23.layout_mark(p_table);
begin
  return array(select s.name || s.mark from m23.table_statements s where s.table_id = p_table.id order by s.name)
       = array(select n || v_mark from unnest(m23.statement_names()) n where v_mark is not null order by n);
end $$;

-- Writes the statements of a table, where its layout is another. Nobody is waited for: while somebody else follows the
-- layout, they are written at each use, and by the upkeep.
-- runs under: text settings
create function m23.write_statements(p_table m23.protected_tables) returns void
language plpgsql volatile as $$
begin
  if not pg_try_advisory_xact_lock(hashtextextended('m23.layout.' || p_table.id, 0)) or m23.has_statements(p_table) then
    return;
  end if;
  delete from m23.table_statements where table_id = p_table.id;
  insert into m23.table_statements (table_id, name, mark, pieces)
    select p_table.id, w.name, m.mark, w.pieces
      from (select m23.layout_mark(p_table) offset 0) m (mark)
     cross join lateral m23.write_pieces(p_table, m23.statement_names()) w
     where m.mark is not null;
exception when others then  -- what is done to the table has done nothing wrong: they are written at each use
  raise log 'm23: the statements of % were not written: % (%)', p_table.name, sqlerrm, sqlstate;
end $$;

-- Writes the statements of tables whose layout has changed without anything that followed it; gives of how many.
create function m23.renew_statements() returns bigint
language plpgsql volatile as $$
declare
  v_table m23.protected_tables;
  v_count bigint := 0;
begin
  for v_table in select t.* from m23.protected_tables t
                  where t.suspended is null and exists (select from pg_class where oid = t.relid)
                    and not m23.has_statements(t) order by t.id loop
    perform m23.write_statements(v_table);
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
