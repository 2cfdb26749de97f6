-- Foreign keys, and what the catalogue says of them.

-- The definition of a foreign key, as `add constraint` takes it, with another parent of the same columns.
create function m23.foreign_key_definition(p_key pg_constraint, p_parent oid) returns text
language plpgsql stable as $$
begin
  return concat(
    format('foreign key (%s) references %s (%s)', m23.columns_of_key(p_key, p_key.conrelid, p_key.conkey),
           m23.qualified_name(p_parent), m23.columns_of_key(p_key, p_key.confrelid, p_key.confkey)),
    case p_key.confmatchtype when 'f' then ' match full' end,
    ' on update ' || m23.referential_action(p_key.confupdtype),
    ' on delete ' || m23.referential_action(p_key.confdeltype),
    (select format(' (%s)', string_agg(quote_ident(a.attname), ', '))
       from pg_attribute a where a.attrelid = p_key.conrelid and a.attnum = any (p_key.confdelsetcols)
     having count(*) > 0),
    case when p_key.condeferrable then ' deferrable' end,
    case when p_key.condeferred then ' initially deferred' end,
    case when not m23.is_enforced(p_key) then ' not enforced' when not p_key.convalidated then ' not valid' end);
end $$;

-- The columns of one side of a foreign key, as a list.
create function m23.columns_of_key(p_key pg_constraint, p_relid oid, p_attnums int2[]) returns text
language plpgsql stable as $$
begin
  return (select string_agg(case when m23.is_temporal(p_key) and k.n = cardinality(p_attnums) then 'period ' else '' end
                            || quote_ident(a.attname), ', ' order by k.n)
            from unnest(p_attnums) with ordinality k (attnum, n)
            join pg_attribute a on a.attrelid = p_relid and a.attnum = k.attnum);
end $$;

-- What a foreign key does with its rows, by the catalogue's letter.
create function m23.referential_action(p_action "char") returns text
language sql immutable as $$
  select case p_action when 'r' then 'restrict' when 'c' then 'cascade' when 'n' then 'set null'
                       when 'd' then 'set default' else 'no action' end
$$;

-- Whether a constraint is kept at all: from PostgreSQL 18 on it may say that it is not.
create function m23.is_enforced(p_constraint pg_constraint) returns boolean
language plpgsql stable as $$
begin
  return current_setting('server_version_num')::int < 180000 or (to_jsonb(p_constraint) ->> 'conenforced')::boolean;
end $$;

-- Whether a foreign key has PERIOD: several rows together may be what a row of it refers to.
create function m23.is_temporal(p_constraint pg_constraint) returns boolean
language plpgsql stable as $$
begin
  return current_setting('server_version_num')::int >= 180000 and (to_jsonb(p_constraint) ->> 'conperiod')::boolean;
end $$;
