-- Primary keys: their columns, and the conditions and lists that find and order rows by them.

create function m23.key_attnums(p_table oid) returns int2[]
language plpgsql stable as $$
begin
  return (select (indkey::int2[])[0:indnkeyatts - 1] from pg_index
           where indexrelid = (select m23.key_index(p_table)));
end $$;
comment on function m23.key_attnums(oid) is
  'The columns of a table''s key (m23.key_index), in its order; what the index includes besides is no part of it.';

-- The operator with which an index compares its column; null where there is none. Strategy 3 is equal, 5 is greater.
create function m23.comparison_operator(p_index oid, p_ord int, p_strategy int) returns oid
language plpgsql stable as $$
begin
  return (select a.amopopr
      from pg_index i
      join pg_opclass c on c.oid = i.indclass[p_ord - 1]
      join pg_amop a on a.amopfamily = c.opcfamily and a.amopstrategy = p_strategy
                    and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype
     where i.indexrelid = p_index);
end $$;

-- How an index compares its column, by name: with an empty search path `=` would not find the
-- operator of a type such as citext.
create function m23.comparison(p_index oid, p_ord int, p_strategy int) returns text
language plpgsql stable as $$
begin
  return (select format('operator(%I.%s)', n.nspname, o.oprname)
            from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
           where o.oid = m23.comparison_operator(p_index, p_ord, p_strategy));
end $$;

-- The operator by which an index finds its column equal.
create function m23.equality(p_index oid, p_ord int) returns text
language plpgsql stable as $$ begin return m23.comparison(p_index, p_ord, 3); end $$;

-- The columns of a table's key, of a row p_alias, as a list.
create function m23.key_list(p_relid oid, p_alias text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%s.%I', p_alias, c.name), ', ' order by c.key_ord)
      from m23.columns_of(p_relid, p_of_key => true) c);
end $$;

-- The condition that two rows have the same key.
create function m23.key_match(p_relid oid, p_left text, p_right text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%1$s.%3$I %4$s %2$s.%3$I', p_left, p_right, c.name,
                                   m23.equality(i.indexrelid, c.key_ord)), ' and ' order by c.key_ord)
      from m23.columns_of(p_relid, p_of_key => true) c
      join pg_index i on i.indexrelid = (select m23.key_index(p_relid)));
end $$;

-- The condition that a row `r` comes after a key (a parameter, text[] or null), in the order of the key's index. One
-- comparison of rows, which an index can answer, where the columns share their operator.
create function m23.key_after(p_relid oid, p_after text default '$3') returns text
language plpgsql stable as $$
begin
  return (with keys as (
      select c.key_ord as n, format('r.%I', c.name) as mine,
             format('(%s[%s])::%s', p_after, c.key_ord, c.type_name) as given,
             m23.comparison(i.indexrelid, c.key_ord, 3) as equals, m23.comparison(i.indexrelid, c.key_ord, 5) as follows
        from m23.columns_of(p_relid, p_of_key => true) c
        join pg_index i on i.indexrelid = (select m23.key_index(p_relid)))
    select format('(%s is null or %s)', p_after, case when count(distinct follows) = 1
        then format('(%s) %s (%s)', string_agg(mine, ', ' order by n), min(follows), string_agg(given, ', ' order by n))
        else '(' || string_agg((select concat(string_agg(format('%s %s %s and ', b.mine, b.equals, b.given),
                                                         '' order by b.n))
                                  from keys b where b.n < k.n)
                               || format('%s %s %s', mine, follows, given), ' or ' order by n) || ')' end)
      from keys k);
end $$;

-- The condition that the key of a row is among those of a relation. As a list that is hashed
-- once: the planner cannot know how long it is, and would compare every row with every other.
create function m23.key_in(p_relid oid, p_alias text, p_relation text) returns text
language plpgsql stable as $$
begin
  return (select case when count(distinct e.equality) = 1 then
        format('(%s) %s any (select %s from %s t)', m23.key_list(p_relid, p_alias), min(e.equality),
               m23.key_list(p_relid, 't'), p_relation)
      else format('exists (select from %s t where %s)', p_relation, m23.key_match(p_relid, 't', p_alias)) end
      from (select m23.equality(i.indexrelid, c.key_ord) as equality
              from m23.columns_of(p_relid, p_of_key => true) c
              join pg_index i on i.indexrelid = (select m23.key_index(p_relid))) e);
end $$;
