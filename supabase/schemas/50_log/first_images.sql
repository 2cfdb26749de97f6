-- A query for the first old image of each key among entries of a log: a relation with the table's columns p_columns and
-- m23_op, m23_change_id and m23_unchanged. m23_balance is the key's arrivals less its departures. What the image does
-- not carry is as in the key's next one that does, else as in the row of p_live, a relation, for which p_is_live holds
-- (`l`). The next one is found by windows: of a join the planner would not know how much there is to join. They are
-- dear: only keys with several images have them, in a list that is hashed, whatever the planner believes.
create function m23.first_images(p_relid oid, p_columns text[], p_groups jsonb, p_entries text, p_live text,
                                 p_is_live text)
returns text
language plpgsql stable as $outer$
declare
  v_bits  int[] := array(select distinct m23.bits_in(p_groups, c) as bits from unnest(p_columns) c
                          where m23.bits_in(p_groups, c) <> 0 order by bits);
  v_keys  text := m23.key_list(p_relid, 'r');
  v_first text := $sql$
      select distinct on ({keys}) r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance{nexts}
        from {entries} r
       where {is_one}
      window w as (partition by {keys} order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following){windows}
       order by {keys}, r.m23_op not in ('U', 'D'), r.m23_change_id$sql$;
begin
  if v_bits = '{}' then
    return m23.fill(v_first, 'keys', v_keys, 'entries', p_entries, 'is_one', 'true', 'nexts', '', 'windows', '');
  end if;
  return m23.fill($sql$
      with m23_first as materialized ({first})
      select t.m23_balance, {whole} from m23_first t where t.m23_unchanged = 0
      union all
      select t.m23_balance, {alone} from m23_first t left join {live} l on {is_live} and {same_key}
       where t.m23_unchanged <> 0 and t.m23_images = 1
      union all
      select t.m23_balance, {several}
        from ({first_of_several}) t left join {live} l on ({needs_live}) and {is_live} and {same_key}$sql$,
    'first', m23.fill(v_first, 'keys', v_keys, 'entries', p_entries, 'is_one', 'true', 'nexts', '', 'windows', ''),
    'first_of_several', m23.fill(v_first, 'keys', v_keys, 'entries', p_entries,
      'is_one', format('(%s) is true', m23.key_in(
        p_relid, 'r', '(select * from m23_first f where f.m23_unchanged <> 0 and f.m23_images > 1)')),
      'nexts', m23.next_values(p_columns, p_groups, v_bits),
      'windows', (select string_agg(m23.fill(',
             w{bits} as (partition by {keys}
                         order by r.m23_op not in (''U'', ''D'') or r.m23_unchanged & {bits} <> 0, r.m23_change_id
                         rows between unbounded preceding and unbounded following)',
                                             'bits', b::text, 'keys', v_keys), '') from unnest(v_bits) b)),
    'live', p_live, 'is_live', p_is_live, 'same_key', m23.key_match(p_relid, 'l', 't'),
    'needs_live', (select string_agg(format('t.m23_unchanged & %1$s <> 0 and not t.m23_has_%1$s', b), ' or ')
                     from unnest(v_bits) b),
    'whole', m23.image_values(p_columns, p_groups, 't.{column}'),
    'alone', m23.image_values(p_columns, p_groups, 'case when t.m23_unchanged & {bits} = 0 then t.{column}
                                                                      else l.{column} end as {column}'),
    'several', m23.image_values(p_columns, p_groups, 'case when t.m23_unchanged & {bits} = 0 then t.{column}
             when t.m23_has_{bits} then t.m23_next_{n} else l.{column} end as {column}'));
end $outer$;

-- The bits of the groups that have a column, by groups as lists of names (m23.groups_of).
create function m23.bits_in(p_groups jsonb, p_column text) returns int
language sql immutable as $$
  select coalesce(bit_or(1 << (g.n - 1)::int), 0)
    from jsonb_array_elements(p_groups) with ordinality g (names, n) where g.names ? p_column
$$;

-- The columns of an image, those in groups as a template says.
create function m23.image_values(p_columns text[], p_groups jsonb, p_grouped text) returns text
language plpgsql immutable as $$
begin
  return (select string_agg(case b.bits when 0 then format('t.%I', c.name)
                              else m23.fill(p_grouped, 'column', quote_ident(c.name), 'bits', b.bits::text,
                                            'n', c.n::text) end, ', ' order by c.n)
            from unnest(p_columns) with ordinality c (name, n),
                 lateral (select m23.bits_in(p_groups, c.name)) b (bits));
end $$;

-- Whether an image of a key carries a group, and the values of the first one that does.
create function m23.next_values(p_columns text[], p_groups jsonb, p_bits int[]) returns text
language plpgsql immutable as $$
begin
  return concat(
    (select string_agg(m23.fill(', first_value(r.m23_op in (''U'', ''D'') and r.m23_unchanged & {bits} = 0)
                   over w{bits} as m23_has_{bits}', 'bits', b::text), '') from unnest(p_bits) b),
    (select string_agg(m23.fill(', first_value(r.{column}) over w{bits} as m23_next_{n}',
                                'column', quote_ident(c.name), 'bits', b.bits::text, 'n', c.n::text), '' order by c.n)
       from unnest(p_columns) with ordinality c (name, n), lateral (select m23.bits_in(p_groups, c.name)) b (bits)
      where b.bits <> 0));
end $$;
