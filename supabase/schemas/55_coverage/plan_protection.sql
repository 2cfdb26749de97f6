create function m23.plan_protection(root regclass default null, tenant_column name default null)
returns table (table_name text, belongs text, how text, statement text, why_not text, advice text)
language plpgsql stable rows 200 as $$
begin
  return query
  select p.table_name, p.belongs, p.how, p.statement, p.why_not, p.advice
    from m23.belongings(root, tenant_column) b cross join lateral m23.planned_protection(b) p
   order by m23.order_of_belonging(b.belongs), p.belongs = 'cannot', p.table_name;
end $$;
comment on function m23.plan_protection(regclass, name) is
  'Which tables hang on a tenant, by what, and the statement that protects each. It changes nothing. The root is the '
  'table whose rows are the tenants; where there is none, a tenant column tells.';

-- A table of the plan.
create type m23.planned_table as (
  relid      oid,
  attnum     int2,  -- the tenant column of one that can be protected without a question; null of others
  table_name text,
  belongs    text,
  how        text,
  statement  text,
  why_not    text,
  advice     text
);

-- Parents come first: where a table is asked about, those that it hangs on are known.
create function m23.order_of_belonging(p_belongs text) returns int
language sql immutable as
$$ select array_position(array['root', 'direct', 'path', 'asks', 'cannot', 'global'], p_belongs) $$;

-- What the plan says of a table.
create function m23.planned_protection(p_belonging m23.belonging) returns m23.planned_table
language plpgsql stable as $$
declare
  v_plan     m23.planned_table;
  v_obstacle m23.obstacle;
begin
  v_plan.relid := p_belonging.relid;
  v_plan.table_name := m23.public_name(p_belonging.relid);
  v_plan.belongs := p_belonging.belongs;
  v_plan.how := p_belonging.how;
  v_plan.advice := m23.advice_of_table(p_belonging);
  if p_belonging.belongs = 'global'
     or exists (select from m23.protected_tables t where t.relid = p_belonging.relid) then
    return v_plan;
  end if;
  if m23.not_the_applications(p_belonging.relid) is not null
     or m23.is_system_schema(m23.schema_of(p_belonging.relid)) then
    v_plan.why_not := 'it belongs to the system, and stays as it is';
    return v_plan;
  end if;
  select * into v_obstacle from m23.obstacles(p_belonging.relid, coalesce(p_belonging.attnum, 0::int2)) o
   where p_belonging.attnum is not null or o.kind not like '%tenant column%' limit 1;
  if v_obstacle.kind is not null then
    v_plan.belongs := 'cannot';
    v_plan.why_not := 'it ' || v_obstacle.sentence;
    v_plan.advice := v_obstacle.advice;
    return v_plan;
  end if;
  v_plan.statement := format('select m23.protect_table(%L, %s)', m23.qualified_name(p_belonging.relid),
                             p_belonging.arguments);
  if p_belonging.arguments like 'via => %' then
    v_plan.why_not := 'this version protects no table whose tenant is found through another table';
    v_plan.advice := coalesce(v_plan.advice, 'until a version does, a restore leaves its rows as they are');
  elsif p_belonging.belongs = 'asks' then
    v_plan.why_not := 'whether its rows are a tenant''s is for you to say';
    v_plan.advice := coalesce(v_plan.advice, 'call the statement if they are');
  else
    v_plan.attnum := p_belonging.attnum;
  end if;
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

-- The schema of a table. `public` is none of the system's.
create function m23.schema_of(p_table oid) returns text
language plpgsql stable as $$
begin
  return (select nullif(n.nspname, 'public') from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where c.oid = p_table);
end $$;
