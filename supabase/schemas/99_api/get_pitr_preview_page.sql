-- The next rows of a preview, a table at a time; not counted by the rate limit.
-- open to: authenticated, service_role
create function public.get_pitr_preview_page(
  p_preview_id uuid, p_table text, p_offset int default 0, p_limit int default 100,
  p_operation text default null, p_search text default null, p_only text default null
) returns jsonb
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s' as $$
declare
  v_preview m23.previews;
  v_targets m23.target[];
  v_target  m23.target;
  v_plan    record;
  v_rows    jsonb;
  v_offset  int := greatest(p_offset, 0);
  v_limit   int := least(greatest(p_limit, 1), 1000);
begin
  select * into v_preview from m23.previews where id = p_preview_id;
  perform m23.require_role(v_preview.tenant_id, array['owner', 'admin', 'operator']);
  perform m23.refuse_page_faults(v_preview, p_operation, p_only);
  perform m23.begin_heavy_read(v_preview.tenant_id, 'preview');
  if (v_preview.moment).floor is null then
    select m23.page_of(r.changes, v_offset, v_limit, p_operation, p_search) into v_rows
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
  if p_only = 'conflicts' then return '[]'; end if;  -- only an undo has some
  v_plan := m23.plan_targets(v_preview.tenant_id,
    case when v_preview.left_alone or p_only = 'blocked' or v_preview.selection ? 'withRelated' then v_targets
         else array[v_target] end,
    case when p_only = 'blocked' and v_preview.on_blocked = 'refuse' then 'skip' else v_preview.on_blocked end);
  perform m23.end_plan();
  select t.* into v_target from unnest(v_plan.targets) t where (t.tbl).id = (v_target.tbl).id;
  if (v_target.tbl).id is null then return '[]'; end if;  -- nothing of it differs
  return m23.preview_rows(v_target, v_preview.tenant_id, v_offset, v_limit, m23.preview_bytes(), true,
                          case when p_only = 'blocked' then m23.blocked_relation(v_target) end, p_operation, p_search);
end $$;
comment on function public.get_pitr_preview_page(uuid, text, int, int, text, text, text) is
  'Rows p_offset to p_offset + p_limit (at most 1,000) of a table of a preview, by key; '
  'a page ends at 1 MB, with one row at least. Owner, admin and operator.';
