-- Rows of which it is doubtful whose they are: two ways lead to different tenants, or rows of several tenants point at
-- one. No write of the application is refused for that; it is told.

-- What is to be said of a table for each such way, a sentence that goes on from the table's name.
create function m23.tenancy_conflicts(p_root regclass default null, p_tenant_column name default null)
returns table (relid oid, sentence text)
language plpgsql stable rows 5 as $$
declare
  v_known m23.belonging[] := array(select b from m23.belongings(p_root, p_tenant_column) b
                                    where b.belongs in ('root', 'direct', 'path', 'asks'));
  v_ties  m23.tie[] := array(select k from m23.ties() k);
  v_this  m23.belonging;
begin
  foreach v_this in array v_known loop
    begin
      return query select v_this.relid, s from m23.disagreements(v_this, v_known, v_ties) s;
      return query select v_this.relid, s from m23.sharing_sentences(v_this, v_known, v_ties) s;
    exception when insufficient_privilege then null;  -- the system's: who plans may not read it
    end;
  end loop;
end $$;

-- The ways that lead from a row `r` of a table to a tenant, as expressions; the one that decides is the first.
create function m23.ways_to_tenants(
  p_this m23.belonging, p_known m23.belonging[], p_ties m23.tie[]
) returns table (way text, tenant text, decides boolean)
language plpgsql stable rows 3 as $$
declare
  v_declared m23.protected_tables := (select t from m23.protected_tables t where t.relid = p_this.relid);
  v_own      text := m23.planned_tenant(p_this.relid, p_known, p_ties, 'r');
begin
  return query
  select w.way, w.tenant, w.decides from (
    select case when p_this.attnum is not null
                then format('by its column "%s"', m23.columns_text(p_this.relid, array[p_this.attnum]))
                else regexp_replace(p_this.how, ', as it was declared$', '') end, v_own, true
     where p_this.belongs <> 'asks'
    union all
    select format('through "%s" to %s', m23.columns_text(k.relid, k.attnums), m23.public_name(k.parent)),
           m23.tenant_by_tie(k, p_this.relid, p_known, p_ties, 'r'), false
      from unnest(p_ties) k join unnest(p_known) t on t.relid = k.parent and t.belongs <> 'asks'
     where k.relid = p_this.relid and k.attnums <> array[p_this.attnum]
       and (p_this.belongs = 'asks' or p_this.parent is distinct from k.parent
            or v_declared.via_attnums is distinct from k.attnums and v_declared.id is not null)
    union all
    select format('by its column "%s"', a.attname), m23.column_as_tenant(a.attrelid, a.attnum, 'r'), false
      from pg_attribute a
     where a.attrelid = p_this.relid and a.attnum > 0 and not a.attisdropped and p_this.attnum is null
       and m23.is_used_for_tenants(a, p_known)
       and not exists (select from unnest(p_ties) k where k.relid = a.attrelid and k.attnums = array[a.attnum]))
    w (way, tenant, decides)
   where w.tenant is not null and (v_own is not null or p_this.belongs = 'asks');
end $$;

-- Whether a column is named and typed as the tenant column of another table.
create function m23.is_used_for_tenants(p_column pg_attribute, p_known m23.belonging[]) returns boolean
language plpgsql stable as $$
begin
  return exists (
    select from unnest(p_known) k join pg_attribute a on a.attrelid = k.relid and a.attnum = k.attnum
     where k.belongs = 'direct' and a.attname = p_column.attname
       and m23.base_type(a.atttypid) = m23.base_type(p_column.atttypid));
end $$;

-- How many rows of a table are looked at for two ways that lead to different tenants.
create function m23.rows_looked_at() returns int
language sql immutable as $$ select 10000 $$;

-- For each way that leads rows of a table to another tenant than the first does: in how many, and in which for one.
create function m23.disagreements(
  p_this m23.belonging, p_known m23.belonging[], p_ties m23.tie[]
) returns setof text
language plpgsql stable rows 1 as $outer$
declare
  v_first record;
  v_way   record;
  v_found record;
begin
  for v_way in select w.* from m23.ways_to_tenants(p_this, p_known, p_ties) w loop
    if v_first is null then
      v_first := v_way;
      continue;
    end if;
    execute m23.fill($sql$select count(*) as looked, count(*) filter (where x.mine <> x.theirs) as rows,
             min(x.key) filter (where x.mine <> x.theirs) as one
        from (select {key} as key, {mine} as mine, {theirs} as theirs
                from (select * from {table} limit {bound}) r offset 0) x$sql$,
      'key', format('concat_ws('', '', %s)', coalesce(m23.key_list(p_this.relid, 'r'), '''?''')),
      'mine', v_first.tenant, 'theirs', v_way.tenant, 'table', m23.qualified_name(p_this.relid),
      'bound', m23.rows_looked_at()::text) into v_found;
    continue when v_found.rows = 0;
    return next format('has %s row(s)%s, such as %s, that belong to one tenant %s%s, and to another %s', v_found.rows,
      case when v_found.looked = m23.rows_looked_at() then format(' among the first %s', v_found.looked) else '' end,
      v_found.one, v_first.way, case when v_first.decides then ' (which decides)' else '' end, v_way.way);
  end loop;
end $outer$;

-- What is to be said of rows that others of several tenants point at, by each reference that lets them.
create function m23.sharing_sentences(
  p_this m23.belonging, p_known m23.belonging[], p_ties m23.tie[]
) returns setof text
language plpgsql stable rows 1 as $$
begin
  return query
  select s
    from unnest(p_ties) k
    join unnest(p_known) t on t.relid = k.relid
   cross join lateral m23.sharing_sentence(k.relid, k.attnums,
                                           m23.planned_tenant(k.relid, p_known, p_ties, 'p')) s
   where p_this.parent = k.relid and k.parent = p_this.relid and s is not null;
end $$;

-- The same for one reference: p_tenant is the tenant of a row `p` that points. Null where no row is shared.
create function m23.sharing_sentence(p_pointing oid, p_attnums int2[], p_tenant text) returns text
language plpgsql stable as $outer$
declare
  v_found   record;
  v_columns text := m23.columns_text(p_pointing, p_attnums);
begin
  if p_tenant is null or m23.is_unique(p_pointing, p_attnums) then return null; end if;
  execute m23.fill($sql$select count(*) as rows, min(s.key) as one
      from (select concat_ws(', ', {columns}) as key from {table} p where row({columns}) is not null
             group by {columns} having count(distinct {tenant}) > 1) s$sql$,
    'columns', (select string_agg(format('p.%I', c), ', ') from unnest(m23.column_names(p_pointing, p_attnums)) c),
    'table', m23.qualified_name(p_pointing), 'tenant', p_tenant) into v_found;
  if v_found.rows = 0 then return null; end if;
  return format('has %s row(s), such as %s, that rows of several tenants in %s point at by "%s": a restore refuses to '
                'change such a row; give each tenant a row of its own, then make "%4$s" unique',
                v_found.rows, v_found.one, m23.public_name(p_pointing), v_columns);
end $outer$;

-- The same for a protected table's declared path.
create function m23.sharing_doubt(p_table m23.protected_tables) returns text
language plpgsql stable as $$
declare v_parent m23.protected_tables := m23.parent_of(p_table);
begin
  if p_table.parent_id is null then return null; end if;
  return m23.sharing_sentence(v_parent.relid, p_table.parent_attnums, m23.row_tenant(v_parent, 'p'));
end $$;
