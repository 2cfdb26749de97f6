-- What the doctor says of the application's own functions.

-- The hooks, and whether each can be called.
create function m23.doctor_hooks() returns setof m23.finding
language sql stable as $$
  select format('hook %I.%I', h.schema_name, h.function_name), case when f.fault is null then 'ok' else 'problem' end,
         coalesce(format('every restore that calls it fails: it %s', f.fault),
                  format('called after a restore changes %s of %s', coalesce(m23.public_name(h.relid), 'any table'),
                         coalesce('tenant ' || h.tenant_id, 'any tenant'))),
         case when f.fault is not null
                then format('make the function, or delete from m23.after_restore_hooks where id = %s', h.id) end
    from m23.after_restore_hooks h,
         lateral (select m23.hook_fault(h.schema_name, h.function_name)) called (fault),
         lateral (select coalesce(called.fault,
                                  case when h.relid is not null and m23.public_name(h.relid) is null
                                       then 'is of a table that was dropped' end)) f (fault)
   order by h.id
$$;

-- The functions that fill columns, and whether each is there.
create function m23.doctor_fills() returns setof m23.finding
language sql stable as $$
  select format('fill of %s.%I', m23.public_name(t.relid), a.attname),
         case when m23.fill_function(f) is null then 'problem' else 'ok' end,
         case when m23.fill_function(f) is null
              then format('the function %I.%I is gone: '
                          'rows that come back get the default of the column, or are refused',
                          f.schema_name, f.function_name)
              else format('%I.%I gives rows that come back without a value one', f.schema_name, f.function_name) end,
         case when m23.fill_function(f) is null
              then format('make the function again, or select m23.set_fill(%L, %L, null)', m23.qualified_name(t.relid),
                          a.attname) end
    from m23.fills f join m23.protected_tables t on t.id = f.table_id
    join pg_attribute a on a.attrelid = t.relid and a.attnum = f.attnum and not a.attisdropped
   order by 1
$$;
