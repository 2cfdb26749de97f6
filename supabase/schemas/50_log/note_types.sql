-- Notes what these types are, and those that they use, as far as that is not known yet. Gives how many were news.
create function m23.note_types(p_types oid[]) returns int
language plpgsql volatile as $$
declare
  v_life uuid := m23.incarnation();
  v_news int;
begin
  delete from m23.type_versions v where not exists (select from pg_type t where t.oid = v.type);
  insert into m23.type_versions as v (type, since, xid, incarnation, numbers, names)
    select u.type, case when k.type is null then '0/0' else pg_current_wal_insert_lsn() end,
           case when k.type is null then '0' else least(p.xid, pg_current_xact_id()) end, v_life, p.numbers, p.names
      from m23.types_within(p_types) u
      join pg_type t on t.oid = u.type and t.typtype in ('e', 'c')
     cross join lateral m23.type_parts(u.type) p
      left join m23.known_types() k on k.type = u.type
     where row(k.numbers, k.names) is distinct from row(p.numbers, p.names)
    on conflict (incarnation, type, since) do update set numbers = excluded.numbers, names = excluded.names;
  get diagnostics v_news = row_count;
  return v_news;
end $$;
