-- Composite types of a table that have lost attributes since a moment, with the values.
create function m23.type_warnings(p_table m23.protected_tables, p_moment m23.moment) returns text[]
language plpgsql volatile as $$
declare v_said text[];
begin
  if not exists (select from m23.type_versions where since > '0/0') then return '{}'; end if;
  execute format($sql$
      select array_agg(distinct format(
               '%%s: its type %%s has lost an attribute since; the values of that cannot come back',
               $3, format_type(v.type, null)))
        from (select t.type, t.xid, t.numbers, lag(t.numbers) over (partition by t.type order by t.since) as former
                from m23.type_versions t
               where t.incarnation = $4
                 and t.type in (select u.type from m23.types_within(m23.column_types(array[$1])) u)) v
        join pg_type c on c.oid = v.type and c.typtype = 'c'
       where not v.former <@ v.numbers and %s$sql$, m23.lies_after('v.xid'))
    into v_said using p_table.relid, p_moment, m23.public_name(p_table.relid), m23.present_life();
  return coalesce(v_said, '{}');
end $$;
