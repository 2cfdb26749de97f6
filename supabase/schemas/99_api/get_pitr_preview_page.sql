-- The next rows of a preview, a table at a time; not counted by the rate limit.
-- open to: authenticated, service_role
create function public.get_pitr_preview_page(
  p_preview_id uuid, p_table text, p_offset int default 0, p_limit int default 100
) returns jsonb
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s' as $$
declare
  v_preview m23.previews;
  v_targets m23.target[];
  v_target  m23.target;
  v_plan    record;
  v_rows    jsonb;
begin
  select * into v_preview from m23.previews where id = p_preview_id;
  perform m23.require_role(v_preview.tenant_id, array['owner', 'admin', 'operator']);
  perform m23.begin_heavy_read(v_preview.tenant_id, 'preview');
  if (v_preview.moment).floor is null then
    select m23.page_of(r.changes, greatest(p_offset, 0), least(greatest(p_limit, 1), 1000)) into v_rows
      from m23.preview_rows r where r.preview_id = p_preview_id and r.table_name = p_table;
    if found then return v_rows; end if;
  end if;
  perform set_config('m23.spares', v_preview.spares, true);
  v_targets := m23.logged_targets(v_preview.tables, v_preview.moment, v_preview.selection);
  select (t).* into v_target from unnest(v_targets) t where m23.public_name((t).tbl.relid) = p_table;
  if (v_target.tbl).id is null then
    perform m23.refuse('VALIDATION_FAILED', 'the page cannot be given',
                       array[format('p_table: "%s" is not in this preview', p_table)]);
  end if;
  v_plan := m23.plan_targets(v_preview.tenant_id,
                             case when v_preview.left_alone or v_preview.selection ? 'withRelated' then v_targets
                                  else array[v_target] end,
                             v_preview.on_blocked);
  perform m23.end_plan();
  select t.* into v_target from unnest(v_plan.targets) t where (t.tbl).id = (v_target.tbl).id;
  if (v_target.tbl).id is null then return '[]'; end if;  -- nothing of it differs
  return m23.preview_rows(v_target, v_preview.tenant_id, greatest(p_offset, 0), least(greatest(p_limit, 1), 1000),
                          m23.preview_bytes(), true);
end $$;
comment on function public.get_pitr_preview_page(uuid, text, int, int) is
  'Rows p_offset to p_offset + p_limit (at most 1,000) of a table of a preview, by key; '
  'a page ends at 1 MB, with one row at least. Owner, admin and operator.';
