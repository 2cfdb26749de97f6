-- How many of the tables that hang on a tenant are protected, which are not, and what that costs those that are. Tables
-- are found by foreign keys and by the columns of protected ones.
create function m23.doctor_coverage() returns setof m23.finding
language plpgsql stable as $$
declare v_hang m23.planned_table[];
begin
  if not exists (select from m23.protected_tables) then return; end if;
  v_hang := array(select p from m23.planned(null, null) p
                   where p.hangs and p.table_name is not null and m23.not_the_applications(p.relid) is null);
  return query
  select (m23.new_finding('coverage', case when c.bare = 0 then 'ok' else 'warning' end,
            format('%s of %s tables that hang on a tenant are protected', c.every - c.bare, c.every),
            case when c.bare > 0 then 'select * from m23.plan_protection() says how each is protected' end)).*
    from (select count(*), count(*) filter (where not m23.is_protected(h.relid)) from unnest(v_hang) h) c (every, bare)
   where c.every > 0;
  return query
  select (m23.new_finding(h.table_name, 'warning', 'not protected, though it hangs on a tenant ' || h.how
                            || coalesce('; ' || h.why_not, ''), coalesce(h.statement, h.advice))).*
    from unnest(v_hang) h where not m23.is_protected(h.relid)
   order by m23.order_of_belonging(h.belongs), h.hops, h.table_name;
  return query select * from m23.doctor_relatives(array(select h.relid from unnest(v_hang) h));
end $$;

-- What protected tables lose by relatives that are not protected, and by triggers that act on deletes.
create function m23.doctor_relatives(p_hang oid[]) returns setof m23.finding
language plpgsql stable as $$
begin
  return query
  select (m23.new_finding(m23.public_name(t.relid), 'warning', s, 'select * from m23.plan_protection() says how those '
                          'tables are protected')).*
    from m23.protected_tables t cross join lateral m23.relatives_sentences(t.relid) s
   where s not like 'refers to %'
      or exists (select from m23.unprotected_relatives(t.relid) r
                  where r.is_parent and r.relid = any (p_hang))
   order by t.id;
  return query
  select (m23.new_finding('references', 'ok', format('protected tables refer to %s, which are no tenant''s: a row that '
                          'is deleted there does not come back, nor do rows that need it',
                          m23.some_of(array_agg(distinct m23.public_name(r.relid)))))).*
    from m23.protected_tables t cross join lateral m23.unprotected_relatives(t.relid) r
   where r.is_parent and r.relid <> all (p_hang) having count(*) > 0;
  return query
  select (m23.new_finding(m23.public_name(t.relid), case when hooked.told then 'ok' else 'warning' end, s,
                          case when not hooked.told then 'undo it in an after_restore hook, m23.set_after_restore'
                          end)).*
    from m23.protected_tables t cross join lateral m23.delete_triggers_sentence(t.relid) s
   cross join lateral (select exists (select from m23.after_restore_hooks h
                                       where h.relid is null or h.relid = t.relid)) hooked (told)
   where s is not null order by t.id;
end $$;
