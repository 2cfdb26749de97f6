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

-- What deleted rows of a table take along in tables that are not protected, by which constraint: rows (ON DELETE
-- CASCADE), the rows that hang on those, or references (SET NULL, SET DEFAULT). `parent` is the table referred to.
create function m23.unprotected_losses(p_relid oid)
returns table (relid oid, parent oid, action "char", constraint_name text)
language plpgsql stable rows 2 as $$
begin
  return query
  with recursive lost (relid, parent, action, constraint_name) as (
    select m23.root_of(k.conrelid), p_relid, k.confdeltype, k.conname::text from m23.references_to(p_relid) k
     where m23.root_of(k.conrelid) <> p_relid and k.confdeltype in ('c', 'n', 'd')
       and not m23.is_protected(m23.root_of(k.conrelid))
    union
    select m23.root_of(k.conrelid), l.relid, k.confdeltype, k.conname::text
      from lost l cross join lateral m23.references_to(l.relid) k
     where l.action = 'c' and k.confdeltype in ('c', 'n', 'd')
       and m23.root_of(k.conrelid) not in (p_relid, l.relid) and not m23.is_protected(m23.root_of(k.conrelid)))
  select l.relid, l.parent, l.action, l.constraint_name from lost l;
end $$;

-- Whether a table is protected.
create function m23.is_protected(p_relid oid) returns boolean
language plpgsql stable as $$ begin return exists (select from m23.protected_tables t where t.relid = p_relid); end $$;

-- What that means for a table's rows, a sentence each, which goes on from its name.
create function m23.relatives_sentences(p_relid oid) returns setof text
language plpgsql stable rows 2 as $$
begin
  return query
  select format('is referred to by %s, not protected: what its deleted rows take along there does not come back',
                string_agg(m23.loss_label(l.relid, l.parent, p_relid, l.action, l.constraint_name), ', '
                           order by l.parent <> p_relid, m23.public_name(l.relid), l.constraint_name))
    from m23.unprotected_losses(p_relid) l having count(*) > 0
  union all
  select format('is referred to by %s, not protected: such rows stay as they are in a restore',
                string_agg(distinct m23.public_name(r.relid), ', '))
    from m23.unprotected_relatives(p_relid) r
   where not r.is_parent and r.action not in ('c', 'n', 'd') having count(*) > 0
  union all
  select format('refers to %s, not protected: a row that is deleted there does not come back, nor do rows that need it',
                string_agg(distinct m23.public_name(r.relid), ', '))
    from m23.unprotected_relatives(p_relid) r where r.is_parent having count(*) > 0;
end $$;

-- A table that loses rows, with the constraint and, where that is not the protected table, what it refers to.
create function m23.loss_label(
  p_relid oid, p_parent oid, p_protected oid, p_action "char", p_constraint text
) returns text
language plpgsql stable as $$
begin
  return format('%s%s (ON DELETE %s, "%s")',
                case when p_parent <> p_protected then format('through %s ', m23.public_name(p_parent)) else '' end,
                m23.public_name(p_relid), upper(m23.referential_action(p_action)), p_constraint);
end $$;

-- What a restore says of a table whose rows come back: what they took along when they were deleted stays lost.
create function m23.loss_warnings(p_relid oid) returns text[]
language plpgsql stable as $$
begin
  return array(
    select format('any rows of %s that %s %s were not protected and do not %s back (ON DELETE %s, "%s")',
                  m23.public_name(l.relid), case l.action when 'c' then 'hung on' else 'referred to' end,
                  m23.public_name(l.parent), case l.action when 'c' then 'come' else 'get that' end,
                  upper(m23.referential_action(l.action)), l.constraint_name)
      from m23.unprotected_losses(p_relid) l
     order by l.parent <> p_relid, m23.public_name(l.relid), l.constraint_name);
end $$;

-- Warns of what a newly protected table leaves open.
create function m23.warn_of_protection(p_table m23.protected_tables) returns void
language plpgsql stable as $$
declare v_sentence text;
begin
  for v_sentence in select m23.tenant_column_doubt(p_table) union all select m23.path_doubt(p_table)
                    union all select m23.sharing_doubt(p_table)
                    union all select m23.relatives_sentences(p_table.relid) loop
    if v_sentence is not null then
      raise warning '% %', m23.public_name(p_table.relid), v_sentence
        using hint = 'select * from m23.plan_protection() says what hangs on a tenant, and how it is protected.';
    end if;
  end loop;
end $$;
