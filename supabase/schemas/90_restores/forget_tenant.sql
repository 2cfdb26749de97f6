-- open to: service_role
create function m23.forget_tenant(p_tenant text) returns jsonb
language plpgsql volatile security definer set row_security = off as $$
declare v_removed jsonb;
begin
  p_tenant := m23.tenant_key(p_tenant);
  if current_setting('transaction_isolation') not like 'read %' then
    raise exception 'a tenant can only be forgotten under READ COMMITTED: what others commit meanwhile must be seen'
      using errcode = 'invalid_transaction_state';
  end if;
  perform set_config('lock_timeout', m23.setting('restore_wait_seconds') || 's', true);
  perform m23.seize_tenant(p_tenant);
  v_removed := jsonb_build_object('copies', m23.forget_copies(p_tenant), 'log', m23.forget_log(p_tenant))
    || m23.forget_records(p_tenant);
  -- History begins anew: without its log, an earlier moment would look like the present.
  insert into m23.forgotten (tenant_id, incarnation) values (p_tenant, m23.incarnation())
    on conflict (tenant_id) do update set at = excluded.at, xid = excluded.xid, incarnation = excluded.incarnation;
  delete from m23.restore_work where tenant_id = p_tenant;
  return jsonb_build_object('removed', v_removed,
    'archives', jsonb_build_object('prefix', format('tenants/%s/', m23.tenant_name(p_tenant)),
      'note', 'archives in the bucket are not removed by the database: delete every object under the prefix'),
    'keys', jsonb_build_object('prefix', m23.keys_prefix(p_tenant),
      'note', 'nor are the keys of encrypted archives: erase_archive_key has them deleted, and what is left of the '
              'archives is unreadable at once'));
end $$;
comment on function m23.forget_tenant(text) is
  'Removes everything that M23 keeps of a tenant: log, snapshots, previews, restores, rollbacks, backups, requests, '
  'plans, copies. Gives the counts, and the prefixes of its archives and keys, which are to be deleted from the '
  'bucket. Live rows and memberships stay. Refused while a restore or backup of it runs.';
