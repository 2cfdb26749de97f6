-- The tables that a request names by its list, by number: their names now, or those that the backup has for them. Null
-- where it names none.
create function m23.tables_named_by(p_job uuid, p_named text[]) returns oid[]
language plpgsql volatile as $$
begin
  if p_named is null then return null; end if;
  return array(
    select t.relid from m23.tables_named(p_named || m23.names_now(p_job, array(
      select c.part_name from m23.parts_called(p_job) c where c.name = any (p_named)))) t);
end $$;
