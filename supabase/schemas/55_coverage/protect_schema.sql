-- Each lock is waited for shortly; what is not got is said. Relatives that are not protected yet are in the rows.
create function m23.protect_schema(root regclass default null, tenant_column name default null)
returns table (table_name text, belongs text, how text, statement text, why_not text, advice text)
language plpgsql rows 200 set lock_timeout = '200ms' set client_min_messages = error as $$
declare v_plan m23.planned_table;
begin
  for v_plan in
    select p.* from m23.belongings(root, tenant_column) b cross join lateral m23.planned_protection(b) p
     order by m23.order_of_belonging(b.belongs), p.belongs = 'cannot', p.table_name
  loop
    v_plan := m23.protect_planned(v_plan);
    return query select v_plan.table_name, v_plan.belongs, v_plan.how, v_plan.statement, v_plan.why_not, v_plan.advice;
  end loop;
end $$;
comment on function m23.protect_schema(regclass, name) is
  'Protects, in one transaction, every table that m23.plan_protection ties to a tenant without a question, and gives '
  'the rows of that plan: one that was protected has no statement any more. A table whose lock is not had within '
  '200 ms is left, and says so: call it again.';

-- Protects a table of the plan; what keeps it from being protected is said in its row.
create function m23.protect_planned(p_plan m23.planned_table) returns m23.planned_table
language plpgsql as $$
declare
  v_message text;
  v_hint    text;
begin
  if p_plan.attnum is null then return p_plan; end if;
  perform m23.protect_table(p_plan.relid, (select a.attname from pg_attribute a
                                            where a.attrelid = p_plan.relid and a.attnum = p_plan.attnum));
  p_plan.statement := null;
  return p_plan;
exception
  when lock_not_available then
    p_plan.why_not := 'another transaction holds a lock of it: nothing was done with it';
    p_plan.advice := 'call it again';
    return p_plan;
  when others then
    get stacked diagnostics v_message = message_text, v_hint = pg_exception_hint;
    p_plan.belongs := 'cannot';
    p_plan.why_not := v_message;
    p_plan.advice := nullif(v_hint, '');
    return p_plan;
end $$;
