-- The condition that an index does not take two rows together, of which it holds these parts. Where nulls are equal,
-- whole rows are compared besides, if by the same operators: of two conditions with OR no join can be made but each
-- with each.
create function m23.collide(p_index pg_index, p_left text, p_right text) returns text
language plpgsql stable as $$
declare
  v_operators oid[] := (select k.conexclop from pg_constraint k
                         where k.conindid = p_index.indexrelid and k.contype in ('p', 'u', 'x'));
  v_parts     text;
  v_joined    text;
begin
  select string_agg(m23.fill(
             case when p_index.indnullsnotdistinct
                  then '({left} {operator} {right} or {left} is null and {right} is null)'
                else '{left} {operator} {right}' end,
             'left', format('%s.m23_e%s', p_left, n), 'right', format('%s.m23_e%s', p_right, n),
             'operator', coalesce((select format('operator(%I.%s)', s.nspname, o.oprname)
                                     from pg_operator o join pg_namespace s on s.oid = o.oprnamespace
                                    where o.oid = v_operators[n]),
                                  m23.equality(p_index.indexrelid, n))), ' and ' order by n),
         format('row(%s)::record operator(pg_catalog.=) row(%s)::record',
                string_agg(format('%s.m23_e%s', p_left, n), ', ' order by n),
                string_agg(format('%s.m23_e%s', p_right, n), ', ' order by n))
    into v_parts, v_joined
    from generate_series(1, p_index.indnkeyatts) n;
  return case when p_index.indnullsnotdistinct and not exists (
                  select from pg_opclass c where c.oid = any (p_index.indclass::oid[]) and not c.opcdefault)
              then v_joined || ' and ' || v_parts else v_parts end;
end $$;
