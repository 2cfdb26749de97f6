-- The dry run of pitr-restore without a call: it is not counted. p_selection: the fields of its body that choose.
-- open to: authenticated, service_role
create function public.get_pitr_preview(p_tenant_id text, p_target_timestamp timestamptz default null,
                                        p_tables text[] default null, p_selection jsonb default null) returns jsonb
language plpgsql volatile security definer set row_security = off
set statement_timeout = '60s' as $$
declare
  v_chosen jsonb := coalesce(nullif(p_selection, 'null'), '{}');
  v_look   jsonb := jsonb_strip_nulls(jsonb_build_object('targetTimestamp', m23.iso(p_target_timestamp),
                                                         'tables', to_jsonb(p_tables), 'dryRun', true));
  v_seen   jsonb;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  if jsonb_typeof(v_chosen) <> 'object' or v_chosen ?| '{targetTimestamp,tables,dryRun,confirmRestore,planHash}' then
    perform m23.refuse('VALIDATION_FAILED', 'the request is invalid',
      array['p_selection: must be an object of fields that choose what is looked at, such as includeRelated']);
  end if;
  perform m23.refuse_body('pitr-restore', v_chosen || v_look, true);
  perform m23.begin_heavy_read(p_tenant_id, 'preview');
  v_look := m23.with_choice(v_chosen || v_look);
  v_seen := m23.look_at_pitr(m23.pitr_work(p_tenant_id, v_look), v_look);
  if v_seen is null then
    perform m23.refuse('VALIDATION_FAILED', 'the request is invalid',
      array['p_target_timestamp: only the archive reaches this moment; call pitr-restore with dryRun']);
  end if;
  return jsonb_build_object('success', true) || v_seen;
end $$;
comment on function public.get_pitr_preview(text, timestamptz, text[], jsonb) is
  'What a restore to a moment would do: the body of the dry run of pitr-restore, not counted. '
  'Owner, admin and operator.';
