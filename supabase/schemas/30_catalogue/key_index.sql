-- The index by whose columns a table's rows are told apart: the primary key's, else a unique one that is checked at
-- once, holds every row and refuses nulls; of several the one of the replica identity, then the one with the
-- fewest columns. Null where there is none.
create function m23.key_index(p_table oid) returns oid
language plpgsql stable as $$
declare v_index oid := (select i.indexrelid from pg_index i where i.indrelid = p_table and i.indisprimary);
begin
  if v_index is not null then return v_index; end if;
  return (
    select i.indexrelid
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
     where i.indrelid = p_table and i.indisunique and i.indimmediate and i.indisvalid and i.indisready
       and i.indpred is null and i.indexprs is null and m.amname = 'btree'
       and not exists (select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k (attnum)
                        where not m23.refuses_nulls(p_table, k.attnum))
     order by i.indisreplident desc, i.indnkeyatts, i.indexrelid limit 1);
end $$;

-- Whether a column is an ordinary one that has no nulls: NOT NULL, also for rows of before.
create function m23.refuses_nulls(p_table oid, p_attnum int2) returns boolean
language plpgsql stable as $$
begin
  return (select a.attnotnull and a.attgenerated = '' and not exists (
             select from pg_constraint k  -- NOT NULL that is NOT VALID
              where k.conrelid = p_table and k.contype = 'n' and not k.convalidated and k.conkey = array[a.attnum])
            from pg_attribute a where a.attrelid = p_table and a.attnum = p_attnum);
end $$;

-- What gives a table a key that has none: columns of a unique index that must refuse nulls, else a primary key.
create function m23.key_advice(p_table oid) returns text
language plpgsql stable as $$
declare
  v_table  text := m23.qualified_name(p_table);
  v_column text := (select case when exists (select from pg_attribute a where a.attrelid = p_table and a.attname = 'id'
                                                and not a.attisdropped) then 'row_id' else 'id' end);
begin
  return coalesce((
    select format('alter table %s %s, so that its unique index "%s" does; or create a unique index over columns that '
                  'are NOT NULL', v_table,
                  string_agg(format('alter column %I set not null', a.attname), ', ' order by k.n), c.relname)
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
     cross join lateral unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality k (attnum, n)
      join pg_attribute a on a.attrelid = p_table and a.attnum = k.attnum
     where i.indrelid = p_table and i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null
       and i.indexprs is null and m.amname = 'btree' and not a.attnotnull
     group by i.indexrelid, c.relname, i.indnkeyatts order by i.indnkeyatts, i.indexrelid limit 1),
    format('alter table %s add primary key (…), or create a unique index over columns that are NOT NULL; if no columns '
           'tell its rows apart: alter table %1$s add %I bigint generated always as identity primary key',
           v_table, v_column));
end $$;
