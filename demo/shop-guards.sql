-- What a grown-up application has around its tables, and M23's protection.

create function shop.audit() returns trigger
language plpgsql as $$
begin
  insert into shop.audit_log (tenant_id, table_name, op) values (coalesce(new.tenant_id, old.tenant_id), tg_table_name, tg_op);
  return null;
end $$;

-- Would spoil every row that a restore writes if it were not silent then.
create function shop.touch() returns trigger
language plpgsql as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;

create trigger touch before insert or update on shop.products for each row execute function shop.touch();
create trigger touch before insert or update on shop.customers for each row execute function shop.touch();

do $$
declare v_table regclass;
begin
  foreach v_table in array array['shop.categories', 'shop.products', 'shop.customers', 'shop.orders', 'shop.order_lines', 'shop."Payments"']::regclass[] loop
    execute format('create trigger audit after insert or update or delete on %s for each row execute function shop.audit()', v_table);
    execute format('alter table %s enable row level security', v_table);
    execute format($f$create policy members on %s for all to authenticated
      using (tenant_id in (select m.tenant_id::uuid from public.tenant_members m where m.user_id = (select auth.uid())))$f$, v_table);
    perform m23.protect_table(v_table);
  end loop;
end $$;

analyze;
