-- What is doubtful of how protected tables find their tenants: rows of which it is unclear whose they are, and paths
-- without an index.
create function m23.doctor_tenancy() returns setof m23.finding
language plpgsql stable as $$
begin
  return query
  select (m23.new_finding(m23.public_name(t.relid), 'warning', c.sentence,
                          'correct these rows: capture, backups and restores go by one of the ways, and by that they '
                          'may be another tenant''s than your application shows them to')).*
    from m23.protected_tables t join m23.tenancy_conflicts() c on c.relid = t.relid order by t.id, c.sentence;
  return query
  select (m23.new_finding(m23.public_name(t.relid), 'warning', d, 'backups and restores of small tenants are slow '
                          'until then')).*
    from m23.protected_tables t cross join lateral m23.path_doubt(t) d
   where (m23.obstacle_of(t)).kind is null and d is not null order by t.id;
end $$;
