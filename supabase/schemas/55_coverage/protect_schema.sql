-- Each lock is waited for shortly; what is not got is said. Relatives that are not protected yet are in the rows.
create function m23.protect_schema(root regclass default null, tenant_column name default null)
returns table (table_name text, belongs text, how text, statement text, why_not text, advice text)
language plpgsql rows 200 set lock_timeout = '200ms' set client_min_messages = error as $$
declare v_plan m23.planned_table;
begin
  for v_plan in
    select p.* from m23.planned(root, tenant_column) p
     order by m23.order_of_belonging(p.belongs), p.hops, p.table_name
  loop
    v_plan := m23.protect_planned(v_plan);
    return query select v_plan.table_name, v_plan.belongs, v_plan.how, v_plan.statement, v_plan.why_not, v_plan.advice;
  end loop;
end $$;
comment on function m23.protect_schema(regclass, name) is
  'Protects, in one transaction, every table that m23.plan_protection ties to a tenant without a question, parents '
  'before their children, and gives the rows of that plan: one that was protected has no statement any more. A table '
  'whose lock is not had within 200 ms is left, and says so: call it again.';

-- Protects a table of the plan; what keeps it from being protected is said in its row.
create function m23.protect_planned(p_plan m23.planned_table) returns m23.planned_table
language plpgsql as $$
declare
  v_message text;
  v_hint    text;
begin
  if not p_plan.is_ready then return p_plan; end if;
  if p_plan.parent is not null and not m23.is_protected(p_plan.parent) then
    p_plan.why_not := format('%s is not protected yet', m23.public_name(p_plan.parent));
    p_plan.advice := 'call it again when that is';
    return p_plan;
  end if;
  execute p_plan.statement;
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
