-- The function of a table that tells whether it still has the layout that its capture knows. It is called immutable,
-- and for generated code alone: with a constant it is asked when a plan is made, and a plan that names a table is
-- made anew once the table is altered. So a statement that is not the first after an ALTER TABLE pays for no look
-- at the catalogue, and the first write of a session for none that takes a query: columns are told by the next free
-- number, names and types, and the key by its definition. A generated column that became an ordinary one shows in the
-- catalogue only, a domain may refuse the nulls by which names are asked for, and a unique index is a key only as
-- long as its columns refuse nulls.
create function m23.layout_function(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
declare
  v_body text := case
    when not exists (select from pg_index i where i.indrelid = p_table.relid and i.indisprimary)
      or exists (select from m23.columns_of(p_table.relid) c
                   join pg_attribute a on a.attrelid = p_table.relid and a.attnum = c.attnum
                   join pg_type t on t.oid = a.atttypid where c.generated or t.typtype = 'd')
      then m23.fill($body$ begin return p_layout = {layout} and m23.has_layout({relid}, {layout}); end $body$,
                    'relid', p_table.relid::text, 'layout', quote_literal(m23.layout_of(p_table.relid)))
    else m23.fill($body$
declare v_is boolean;
begin
  if p_layout <> {layout} or has_column_privilege({relid}::oid, {next}::int2, 'select') is not null
     or to_json(jsonb_populate_record(null::{table}, '{}'))::text <> {names}
     or pg_get_constraintdef({key}) is distinct from {key_definition}{operators_gone} then
    return false;
  end if;
  execute {has_types} into v_is;  -- a variable of the table's type would fail before all this where it was renamed
  return v_is;
exception when others then return false;  -- it was renamed, say
end $body$,
      'layout', quote_literal(m23.layout_of(p_table.relid)),
      'table', m23.qualified_name(p_table.relid),
      'relid', p_table.relid::text,
      'next', (select (relnatts + 1)::text from pg_class where oid = p_table.relid),
      'names', quote_literal((select '{' || string_agg(to_json(c.name) || ':null', ',' order by c.attnum) || '}'
                                from m23.columns_of(p_table.relid) c)),
      'operators_gone', coalesce((select string_agg(format(' or to_regoperator(%L) is null', o), '')
                                    from unnest(m23.key_operators(p_table.relid)) o), ''),
      'key', (select k.oid::text from pg_constraint k where k.conrelid = p_table.relid and k.contype = 'p'),
      'key_definition', quote_literal((select pg_get_constraintdef(k.oid) from pg_constraint k
                                        where k.conrelid = p_table.relid and k.contype = 'p')),
      'has_types', quote_literal((
        select format('select array[%s]::oid[] = %L::oid[]',
                      string_agg(format('pg_typeof((null::%s).%I)', m23.qualified_name(p_table.relid), a.attname), ', '
                                 order by a.attnum),
                      array_agg(a.atttypid order by a.attnum))
          from pg_attribute a where a.attrelid = p_table.relid and a.attnum > 0 and not a.attisdropped))) end;
begin
  return m23.fill($ddl$create or replace function m23_log.layout_{id}(p_table regclass, p_layout text) returns boolean
    language plpgsql immutable set search_path = '' as {body}$ddl$,
    'id', p_table.id::text, 'body', quote_literal(v_body));
end $outer$;
