-- Foreign keys between copies are made, and so are checked by the server. Of one that leads out
-- of the archive, or to another tenant's rows, they are looked up, without a lock on anybody's table.
create function m23.key_holds(p_tenant text, p_all m23.scratch[], p_child m23.scratch, p_key pg_constraint) returns text
language plpgsql as $$
declare
  v_parent m23.scratch := (select s from unnest(p_all) s where (s).live.relid = p_key.confrelid);
  v_path   text := coalesce(nullif(p_child.path, ''), m23.path_of(p_key.confrelid));
  v_count  bigint;
begin
  if (v_parent.copy).id is not null then
    perform m23.run(v_path, format('alter table %s add constraint %I %s', m23.qualified_name((p_child.copy).relid),
                                   p_key.conname, m23.foreign_key_definition(p_key, (v_parent.copy).relid)));
    return null;
  end if;
  v_count := m23.number_of(v_path, format('
      select count(*) from %s d where row(%s) is not null and not exists (select from %s p where %s)',
    m23.qualified_name((p_child.copy).relid), m23.columns_text(p_key.conrelid, p_key.conkey, 'd'),
    m23.qualified_name(p_key.confrelid),
    m23.refers(p_key, 'p', 'd')));
  return case when v_count > 0
    then format('%s row(s) of %s refer to rows of %s that do not exist, and %3$s is not in the backup', v_count,
                p_child.name, m23.public_name(p_key.confrelid)) end;
exception
  when foreign_key_violation then
    v_count := m23.number_of(v_path, format('select count(*) from %1$s d
                     where row(%2$s) is not null and not exists (select from %3$s p where %4$s)
                     and not exists (select from %5$s p where %4$s and %6$s <> %7$s)',
      m23.qualified_name((p_child.copy).relid), m23.columns_text(p_key.conrelid, p_key.conkey, 'd'),
      m23.qualified_name((v_parent.copy).relid),
      m23.refers(p_key, 'p', 'd'), m23.qualified_name(p_key.confrelid), m23.row_tenant(v_parent.live, 'p'),
      m23.tenant_value(v_parent.live, quote_literal(p_tenant))));
    return case when v_count > 0
      then format('%s row(s) of %s refer to rows of %s that are not in the backup ("%s")', v_count, p_child.name,
                  v_parent.name, p_key.conname) end;
  when undefined_column then return null;  -- newer than the backup
end $$;
