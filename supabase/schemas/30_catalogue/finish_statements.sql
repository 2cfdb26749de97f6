-- Keys, unique and check constraints, defaults, indexes, row-level security, grants to the API's roles.
create function m23.finish_statements(p_relid oid) returns text[]
language plpgsql stable set plan_cache_mode = force_generic_plan as $$
begin
  return (select array(select format('alter table %s alter column %I set default %s', m23.qualified_name(p_relid),
      a.attname, pg_get_expr(d.adbin, d.adrelid))
                 from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
                where d.adrelid = p_relid and a.attgenerated = '' order by a.attnum)
      || array(select format('alter sequence %s owned by %s', s.name, s.owned_by)
                 from m23.sequences_of(p_relid) s where s.owned_by is not null order by 1)
      || array(select format('alter table %s add constraint %I %s', m23.qualified_name(p_relid), k.conname,
                             pg_get_constraintdef(k.oid))
                 from pg_constraint k where k.conrelid = p_relid and k.contype in ('p', 'u', 'c', 'x') and k.conislocal
                order by array_position(array['p', 'u', 'x', 'c'], k.contype::text), k.conname)
      || array(select pg_get_indexdef(i.indexrelid) from pg_index i where i.indrelid = p_relid
                  and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.conrelid = p_relid
                                                                and k.contype in ('p', 'u', 'x')) order by 1)
      || array(select format('alter table %s %s', m23.qualified_name(p_relid), what) from pg_class c, unnest(array[
                 case when c.relrowsecurity then 'enable row level security' end,
                 case when c.relforcerowsecurity then 'force row level security' end]) what
                where c.oid = p_relid and what is not null)
      || array(select m23.policy_statement(p) from pg_policy p where p.polrelid = p_relid order by p.polname)
      || array(select format('grant %s on %s to %I',
                             string_agg(lower(a.privilege_type), ', ' order by a.privilege_type),
                             m23.qualified_name(p_relid), a.grantee::regrole::name)
                 from pg_class c, aclexplode(c.relacl) a
                where c.oid = p_relid
                  and a.grantee in (select oid from pg_roles where rolname in ('anon', 'authenticated', 'service_role'))
                group by a.grantee order by 1));
end $$;
