-- How many of the tables that hang on a tenant are protected, which are not, and what that costs those that are. Tables
-- are found by foreign keys and by the columns of protected ones.
create function m23.doctor_coverage() returns setof m23.finding
language plpgsql stable as $$
declare v_hang m23.belonging[];
begin
  if not exists (select from m23.protected_tables) then return; end if;
  v_hang := array(select b from m23.belongings(null, null) b
                   where b.belongs in ('root', 'direct', 'path') and m23.public_name(b.relid) is not null
                     and m23.not_the_applications(b.relid) is null);
  return query
  select (m23.new_finding('coverage', case when c.bare = 0 then 'ok' else 'warning' end,
            format('%s of %s tables that hang on a tenant are protected', c.every - c.bare, c.every),
            case when c.bare > 0 then 'select * from m23.plan_protection() says how each is protected' end)).*
    from (select count(*), count(*) filter (where not m23.is_protected(h.relid)) from unnest(v_hang) h) c (every, bare)
   where c.every > 0;
  return query
  select (m23.new_finding(p.table_name, 'warning', 'not protected, though it hangs on a tenant ' || p.how
                            || coalesce('; ' || p.why_not, ''),
                          coalesce(case when p.why_not is null then p.statement end, p.advice))).*
    from unnest(v_hang) h cross join lateral m23.planned_protection(h) p
   where not m23.is_protected(h.relid) order by p.table_name;
  return query select * from m23.doctor_relatives(v_hang);
end $$;

-- What protected tables lose by relatives that are not protected, and by triggers that act on deletes.
create function m23.doctor_relatives(p_hang m23.belonging[]) returns setof m23.finding
language plpgsql stable as $$
begin
  return query
  select (m23.new_finding(m23.public_name(t.relid), 'warning', s, 'select * from m23.plan_protection() says how those '
                          'tables are protected')).*
    from m23.protected_tables t cross join lateral m23.relatives_sentences(t.relid) s
   where s not like 'refers to %'
      or exists (select from m23.unprotected_relatives(t.relid) r
                  where r.is_parent and r.relid in (select h.relid from unnest(p_hang) h))
   order by t.id;
  return query
  select (m23.new_finding('references', 'ok', format('protected tables refer to %s, which are no tenant''s: a row that '
                          'is deleted there does not come back, nor do rows that need it',
                          m23.some_of(array_agg(distinct m23.public_name(r.relid)))))).*
    from m23.protected_tables t cross join lateral m23.unprotected_relatives(t.relid) r
   where r.is_parent and r.relid not in (select h.relid from unnest(p_hang) h) having count(*) > 0;
  return query
  select (m23.new_finding(m23.public_name(t.relid), case when hooked.told then 'ok' else 'warning' end, s,
                          case when not hooked.told then 'undo it in an after_restore hook, m23.set_after_restore'
                          end)).*
    from m23.protected_tables t cross join lateral m23.delete_triggers_sentence(t.relid) s
   cross join lateral (select exists (select from m23.after_restore_hooks h
                                       where h.relid is null or h.relid = t.relid)) hooked (told)
   where s is not null order by t.id;
end $$;
