-- Names the function that gives a column of a protected table its value; null takes it away.
create function m23.set_fill(p_table regclass, p_column name, p_function regprocedure) returns void
language plpgsql as $$
declare
  v_table  m23.protected_tables;
  v_column pg_attribute;
  v_fill   record;
begin
  select * into v_table from m23.protected_tables where relid = p_table;
  if v_table.id is null then
    raise exception '% is not protected', p_table using hint = 'Protect it first: select m23.protect_table(…).';
  end if;
  select a.* into v_column from pg_attribute a join m23.columns_of(p_table) c on c.attnum = a.attnum
   where a.attrelid = p_table and a.attname = p_column and not c.generated and c.key_ord is null
     and c.attnum <> all (m23.tenancy_attnums(v_table));
  if v_column.attnum is null then
    raise exception '% has no column % that could be filled', p_table, quote_ident(p_column)
      using hint = 'Keys, tenants and generated columns always have a value of their own.';
  end if;
  delete from m23.fills where table_id = v_table.id and attnum = v_column.attnum;
  if p_function is null then return; end if;
  select n.nspname, f.proname, f.pronargs = 1 as takes_row, f.prorettype into v_fill
    from pg_proc f join pg_namespace n on n.oid = f.pronamespace
   where f.oid = p_function and f.prokind = 'f' and not f.proretset
     and (f.pronargs = 0 or f.pronargs = 1
          and f.proargtypes[0] = (select c.reltype from pg_class c where c.oid = p_table));
  if v_fill.proname is null then
    raise exception '% must take nothing, or one row of %, and give one value', p_function, p_table;
  end if;
  if v_fill.prorettype <> v_column.atttypid and not exists (
       select from pg_cast k where k.castsource = v_fill.prorettype and k.casttarget = v_column.atttypid
          and k.castcontext in ('a', 'i')) then
    raise exception '% gives %, and % is %', p_function, format_type(v_fill.prorettype, null), quote_ident(p_column),
      format_type(v_column.atttypid, null);
  end if;
  insert into m23.fills values (v_table.id, v_column.attnum, v_fill.nspname, v_fill.proname, v_fill.takes_row);
end $$;
comment on function m23.set_fill(regclass, name, regprocedure) is
  'Which function gives a column its value in rows that a restore brings back without one: '
  'it takes nothing, or the row.';
