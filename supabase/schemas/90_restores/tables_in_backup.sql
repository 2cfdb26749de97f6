-- The names of a caller's tables as a backup has them, `schema.table`; null stays null.
create function m23.tables_in_backup(p_job uuid, p_tables text[]) returns text[]
language plpgsql volatile as $$
declare
  v_names  text[];
  v_faults text[];
begin
  select array_agg(b.part_name order by n.ord),
         array_agg(format('tables: "%s" is not in this backup', n.name) order by n.ord)
           filter (where b.part_name is null)
    into v_names, v_faults
    from unnest(p_tables) with ordinality n (name, ord) left join m23.parts_called(p_job) b on b.name = n.name;
  if v_faults is not null then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
  return v_names;
end $$;
