-- Members who have no account any more: whoever gets such an id, by a restored backup of the accounts, is one of them.
create function m23.doctor_members() returns setof m23.finding
language plpgsql stable as $$
declare v_gone record;
begin
  if to_regclass('auth.users') is null or not has_table_privilege('auth.users', 'select') then return; end if;
  execute $q$select count(*) as members, count(distinct m.tenant_id) as tenants, min(m.user_id::text) as one
               from public.tenant_members m
              where not exists (select from auth.users u where u.id = m.user_id)$q$ into v_gone;
  if v_gone.members > 0 then
    return next m23.new_finding('members', 'warning',
      format('%s membership(s) of %s tenant(s) are of users who are no more, such as %s',
             v_gone.members, v_gone.tenants, v_gone.one),
      'delete from public.tenant_members m where not exists (select from auth.users u where u.id = m.user_id)');
  end if;
end $$;
