-- What was lost with rows that a plan brings back, and stays lost: a sentence each.
create function m23.planned_losses() returns text[]
language plpgsql volatile as $$
begin
  return array(
    select w from m23.plan p join m23.protected_tables t on t.id = p.table_id
     cross join lateral unnest(m23.loss_warnings(t.relid) || m23.delete_trigger_warnings(t.relid)) w
     where p.inserts > p.taken_back order by p.name, w);
end $$;
