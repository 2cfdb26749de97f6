-- open to: authenticated, service_role
create function public.verify_audit(p_tenant_id text) returns jsonb
language plpgsql volatile security definer set row_security = off as $$
declare
  v_broken bigint;
  v_reason text;
  v_count  bigint;
  v_since  timestamptz;
  v_last   record;
  v_head   m23.audit_heads;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner']);
  select * into v_head from m23.audit_heads where tenant_id = p_tenant_id for share;  -- nobody adds meanwhile
  select f.broken, f.reason into v_broken, v_reason from m23.audit_fault(p_tenant_id) f;
  select count(*), min(a.created_at) into v_count, v_since from public.audit_log a where a.tenant_id = p_tenant_id;
  select l.seq, l.hash into v_last from (
    select a.seq, a.hash from public.audit_log a where a.tenant_id = p_tenant_id
    union all select c.seq, c.hash from m23.audit_checkpoints c where c.tenant_id = p_tenant_id) l
   order by l.seq desc limit 1;
  if v_broken is null and (coalesce(v_last.seq, 0), v_last.hash)
     is distinct from (coalesce(v_head.seq, 0), nullif(v_head.hash, repeat('0', 64))) then
    v_broken := coalesce(v_last.seq, 0) + 1;
    v_reason := 'the end of the chain is missing';
  end if;
  return jsonb_build_object('valid', v_broken is null, 'entries', v_count, 'since', m23.iso(v_since),
                            'head', v_head.hash, 'brokenAt', v_broken, 'reason', v_reason);
end $$;
comment on function public.verify_audit(text) is
  'Whether a tenant''s audit is whole: {"valid", "entries", "since", "head", "brokenAt", "reason"}: the first entry''s '
  'time, and the first broken link. Keep "head" elsewhere to prove later what was there. Owner.';
