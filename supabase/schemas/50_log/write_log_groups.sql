-- Brings the groups of a table up to its columns. A group stays as long as its columns do; three long columns
-- have one each, and one is for all others.
create function m23.write_log_groups(p_table m23.protected_tables) returns void
language plpgsql as $$
declare
  v_columns int2[] := array(select g.attnum from m23.groupable_columns(p_table) g);
  v_wide    int2[] := m23.wide_columns(p_table);
  v_rest    int2[];
begin
  update m23.log_groups set in_use = false where table_id = p_table.id and in_use and not attnums <@ v_columns;
  v_wide := array(select w from unnest(v_wide) with ordinality u (w, n)
                   where not exists (select from m23.log_groups g
                                      where g.table_id = p_table.id and g.in_use and g.wide and w = any (g.attnums))
                   order by n
                   limit greatest(3 - (select count(*) from m23.log_groups g
                                         where g.table_id = p_table.id and g.in_use and g.wide), 0));
  v_rest := array(select c from unnest(v_columns) c
                   where c <> all (v_wide)
                     and not exists (select from m23.log_groups g
                                      where g.table_id = p_table.id and g.in_use and g.wide and c = any (g.attnums))
                   order by c);
  if exists (select from m23.log_groups g
              where g.table_id = p_table.id and g.in_use and not g.wide and g.attnums = v_rest) then
    v_rest := '{}';
  else
    update m23.log_groups set in_use = false where table_id = p_table.id and not wide;
  end if;
  -- Without a bit to give, columns are in every image.
  insert into m23.log_groups (table_id, bit, attnums, wide)
    select p_table.id, bits.used + n.n - 1, n.attnums, n.wide
      from (select coalesce(max(bit), -1) + 1 as used from m23.log_groups where table_id = p_table.id) bits,
           (select w.attnums, w.wide, row_number() over () as n
              from (select array[w], true from unnest(v_wide) w
                   union all select v_rest, false where v_rest <> '{}') w (attnums, wide)) n
     where bits.used + n.n - 1 <= 30;
end $$;
