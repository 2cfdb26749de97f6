create function m23.plan_protection(root regclass default null, tenant_column name default null)
returns table (table_name text, belongs text, how text, statement text, why_not text, advice text)
language plpgsql stable rows 200 as $$
begin
  return query
  with conflicts (relid, sentences) as materialized (
    select c.relid, string_agg(c.sentence, '; ' order by c.sentence)
      from m23.tenancy_conflicts(root, tenant_column) c group by c.relid)
  select p.table_name, p.belongs, p.how, p.statement, p.why_not,
         nullif(concat_ws('; ', 'it ' || c.sentences, p.advice), '')
    from m23.planned(root, tenant_column) p left join conflicts c on c.relid = p.relid
   order by m23.order_of_belonging(p.belongs), p.hops, p.table_name;
end $$;
comment on function m23.plan_protection(regclass, name) is
  'Which tables hang on a tenant, by what, and the statement that protects each. It changes nothing. The root is the '
  'table whose rows are the tenants; where there is none, a tenant column tells.';

-- A table of the plan.
create type m23.planned_table as (
  relid      oid,
  hangs      boolean,  -- on a tenant, without a question
  is_ready   boolean,  -- its statement can be called without a question
  parent     oid,      -- the table that it is to find its tenants through
  hops       int,      -- parents come first
  table_name text,
  belongs    text,
  how        text,
  statement  text,
  why_not    text,
  advice     text
);

-- The order in which tables are told of.
create function m23.order_of_belonging(p_belongs text) returns int
language sql immutable as
$$ select array_position(array['root', 'direct', 'path', 'asks', 'cannot', 'global'], p_belongs) $$;

-- The plan of all tables. What finds its tenants through a table that cannot be protected cannot be, either.
create function m23.planned(p_root regclass, p_tenant_column name) returns setof m23.planned_table
language plpgsql stable rows 200 as $$
declare
  v_belonging m23.belonging;
  v_plan      m23.planned_table;
  v_lost      oid[] := '{}';
begin
  for v_belonging in
    select b.* from m23.belongings(p_root, p_tenant_column) b order by m23.order_of_belonging(b.belongs), b.hops
  loop
    v_plan := m23.planned_protection(v_belonging, v_belonging.parent = any (v_lost));
    if v_plan.hangs and not v_plan.is_ready and not m23.is_protected(v_plan.relid) then
      v_lost := v_lost || v_plan.relid;
    end if;
    return next v_plan;
  end loop;
end $$;

-- What the plan says of a table; p_parent_is_lost: the table that it hangs on cannot be protected.
create function m23.planned_protection(p_belonging m23.belonging, p_parent_is_lost boolean) returns m23.planned_table
language plpgsql stable as $$
declare
  v_plan m23.planned_table;
  v_calls text[] := array(select format('select m23.protect_table(%L, %s)', m23.qualified_name(p_belonging.relid), a)
                            from unnest(p_belonging.arguments) with ordinality u (a, n) order by n);
begin
  v_plan.relid := p_belonging.relid;
  v_plan.hangs := p_belonging.belongs in ('root', 'direct', 'path');
  v_plan.is_ready := false;
  v_plan.parent := p_belonging.parent;
  v_plan.hops := p_belonging.hops;
  v_plan.table_name := m23.public_name(p_belonging.relid);
  v_plan.belongs := p_belonging.belongs;
  v_plan.how := p_belonging.how;
  v_plan.advice := m23.advice_of_table(p_belonging);
  if p_belonging.belongs = 'global' or m23.is_protected(p_belonging.relid) then
    return v_plan;
  elsif m23.not_the_applications(p_belonging.relid) is not null
        or m23.is_system_schema(m23.schema_of(p_belonging.relid)) then
    v_plan.why_not := 'it belongs to the system, and stays as it is';
    return v_plan;
  elsif p_belonging.belongs = 'asks' then
    return m23.asked(v_plan, v_calls);
  end if;
  select 'it ' || o.sentence, o.advice into v_plan.why_not, v_plan.advice
    from m23.obstacles(p_belonging.relid, p_belonging.attnum) o limit 1;
  if v_plan.why_not is null and p_parent_is_lost then
    v_plan.why_not := format('its rows'' tenants are found through %s, which %s', m23.public_name(p_belonging.parent),
                             case when m23.not_the_applications(p_belonging.parent) is null
                                  then 'cannot be protected as it is' else 'belongs to the system' end);
    v_plan.advice := case when m23.not_the_applications(p_belonging.parent) is null
                          then format('see what to do about %s', m23.public_name(p_belonging.parent))
                          else 'give it a tenant column of its own' end;
  end if;
  if v_plan.why_not is not null then
    v_plan.belongs := 'cannot';
    return v_plan;
  end if;
  v_plan.advice := m23.advice_of_table(p_belonging);
  v_plan.statement := v_calls[1];
  v_plan.is_ready := true;
  return v_plan;
end $$;

-- What is to be known of a table before it is protected, and after: its triggers on deletes, and whether it looks as if
-- it said who has access. Null where there is nothing.
create function m23.advice_of_table(p_belonging m23.belonging) returns text
language plpgsql stable as $$
begin
  return nullif(concat_ws('; ', m23.delete_triggers_sentence(p_belonging.relid),
    case when p_belonging.belongs <> 'global' and m23.not_the_applications(p_belonging.relid) is null
         then m23.likeness_to_access(p_belonging.relid) || ': ' || m23.access_advice(p_belonging.relid) end), '');
end $$;

-- What is said of a table that is asked about: what to call if its rows are a tenant's, and what stands in the way.
create function m23.asked(p_plan m23.planned_table, p_calls text[]) returns m23.planned_table
language plpgsql stable as $$
declare
  v_obstacle m23.obstacle := (select o from m23.obstacles(p_plan.relid, null) o limit 1);
  v_when     text := case when p_plan.parent is not null and not m23.is_protected(p_plan.parent)
                          then format(', when %s is protected', m23.public_name(p_plan.parent)) else '' end;
begin
  p_plan.why_not := case when cardinality(p_calls) > 1 then 'which of them leads to its owner is for you to say'
                         else 'whether its rows are a tenant''s is for you to say' end;
  if p_calls = '{}' then
    p_plan.why_not := 'this version protects no table that says by a column of its own what a row hangs on';
    p_plan.advice := 'give it a tenant column of its own if its rows are a tenant''s';
  elsif v_obstacle.kind is not null then
    p_plan.why_not := p_plan.why_not || '; it ' || v_obstacle.sentence;
    p_plan.advice := v_obstacle.advice || '; then ' || m23.calls_text(p_calls) || v_when;
  else
    p_plan.advice := concat_ws('; ', p_plan.advice, m23.calls_text(p_calls) || v_when);
  end if;
  p_plan.statement := p_calls[1];
  return p_plan;
end $$;

-- Which of these statements to call.
create function m23.calls_text(p_calls text[]) returns text
language plpgsql immutable as $$
begin
  return case when cardinality(p_calls) = 1 then 'call the statement if they are'
              else 'call one of these if they are: ' || array_to_string(p_calls, ' or ') end;
end $$;

-- The schema of a table. `public` is none of the system's.
create function m23.schema_of(p_table oid) returns text
language plpgsql stable as $$
begin
  return (select nullif(n.nspname, 'public') from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where c.oid = p_table);
end $$;
