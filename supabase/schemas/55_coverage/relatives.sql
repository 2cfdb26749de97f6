-- Tables that a protected one refers to, or is referred to by, and that are not protected themselves: rows that fall
-- with its rows do not come back, and rows of it that refer to a deleted one cannot.
create function m23.unprotected_relatives(p_relid oid)
returns table (relid oid, is_parent boolean, action "char")
language plpgsql stable rows 3 as $$
begin
  return query
  select distinct k.relid, k.is_parent, k.action
    from (select m23.root_of(f.confrelid), true, f.confdeltype from m23.references_from(p_relid) f
          union all
          select m23.root_of(f.conrelid), false, f.confdeltype from m23.references_to(p_relid) f)
         k (relid, is_parent, action)
   where k.relid <> p_relid and not exists (select from m23.protected_tables t where t.relid = k.relid);
end $$;

-- What that means for a table's rows, a sentence each, which goes on from its name.
create function m23.relatives_sentences(p_relid oid) returns setof text
language plpgsql stable rows 2 as $$
begin
  return query
  with relatives (name, is_parent, loses, action) as (
    select m23.public_name(r.relid), r.is_parent, r.action in ('c', 'n', 'd'), upper(m23.referential_action(r.action))
      from m23.unprotected_relatives(p_relid) r)
  select format('is referred to by %s, not protected: what its deleted rows take along there does not come back',
                string_agg(format('%s (ON DELETE %s)', r.name, r.action), ', ' order by r.name, r.action))
    from relatives r where not r.is_parent and r.loses having count(*) > 0
  union all
  select format('is referred to by %s, not protected: such rows stay as they are in a restore',
                string_agg(distinct r.name, ', '))
    from relatives r where not r.is_parent and not r.loses having count(*) > 0
  union all
  select format('refers to %s, not protected: a row that is deleted there does not come back, nor do rows that need it',
                string_agg(distinct r.name, ', '))
    from relatives r where r.is_parent having count(*) > 0;
end $$;

-- Warns of what a newly protected table leaves open.
create function m23.warn_of_protection(p_table m23.protected_tables) returns void
language plpgsql stable as $$
declare v_sentence text;
begin
  for v_sentence in select m23.tenant_column_doubt(p_table) union all select m23.path_doubt(p_table)
                    union all select m23.relatives_sentences(p_table.relid) loop
    if v_sentence is not null then
      raise warning '% %', m23.public_name(p_table.relid), v_sentence
        using hint = 'select * from m23.plan_protection() says what hangs on a tenant, and how it is protected.';
    end if;
  end loop;
end $$;

-- The application's triggers that act when rows of a table are deleted.
create function m23.delete_triggers(p_relid oid) returns text
language plpgsql stable as $$
begin
  return (select string_agg(distinct format('"%s"', t.tgname), ', ')
            from pg_trigger t
           where t.tgrelid = any (m23.with_partitions(p_relid)) and not t.tgisinternal and t.tgenabled <> 'D'
             and t.tgtype & 8 <> 0 and t.tgname !~ '^(aaa|zzz)_m23_');
end $$;

-- What is to be known of them; null where there is none.
create function m23.delete_triggers_sentence(p_relid oid) returns text
language plpgsql stable as $$
begin
  return 'acts on deletes by ' || m23.delete_triggers(p_relid)
         || ': what that does outside of the table (files over HTTP, say) no restore undoes';
end $$;
