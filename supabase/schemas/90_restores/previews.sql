-- How a dry run that nobody waited for has ended. Its rows are in the preview's pages.
create function m23.note_preview(p_work m23.restore_work, p_seen jsonb) returns json
language plpgsql as $$
begin
  update public.restore_logs r set status = 'completed', completed_at = clock_timestamp(), stats = p_seen -> 'stats',
         warnings = coalesce(m23.list_of(p_seen -> 'warnings'), '{}'),
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         metadata = r.metadata || jsonb_build_object('preview', p_seen - '{stats,warnings,previewChanges}'::text[])
   where r.id = p_work.work_id;
  return p_seen;
end $$;

-- Deletes previews of more than a day ago, so many at a time; gives how many.
create function m23.sweep_previews() returns bigint
language plpgsql as $$
declare v_count bigint;
begin
  delete from m23.previews where ctid = any (array(
    select ctid from m23.previews where created_at < clock_timestamp() - interval '1 day' limit 100));
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create table m23.previews (
  id         uuid primary key default gen_random_uuid(),
  tenant_id  text not null,
  created_at timestamptz not null default clock_timestamp(),
  moment     m23.moment,  -- none: of rows that were staged, and are kept in m23.preview_rows
  tables     text[] not null,
  plan_hash  text not null,
  left_alone boolean not null,  -- some rows are, or have lost a reference: which, only all tables together tell
  on_blocked text not null default 'refuse' check (on_blocked in ('refuse', 'skip', 'null')),
  spares     text,  -- whose access is left as it is: m23.spare_access
  selection  jsonb,  -- which of the changed rows (m23.selection_of); null: all
  constraint hash_is_sha256 check (plan_hash ~ '^[0-9a-f]{64}$')
);

create table m23.preview_rows (
  preview_id uuid not null references m23.previews (id) on delete cascade,
  table_name text not null,
  changes    jsonb not null,
  primary key (preview_id, table_name),
  constraint is_an_array check (jsonb_typeof(changes) = 'array')
);
select m23.close_table('m23.previews');
select m23.close_table('m23.preview_rows');
create index previews_created on m23.previews (created_at);
create index previews_tenant on m23.previews (tenant_id, created_at desc);

-- Only so many of a tenant are kept: their rows can be many.
create function m23.drop_old_previews(p_tenant text) returns void
language sql volatile as $$
  delete from m23.previews where id in (
    select p.id from m23.previews p where p.tenant_id = p_tenant
     order by p.created_at desc offset m23.setting('kept_previews')::int)
$$;

-- What a preview shows at most, and each page of it.
create function m23.preview_bytes() returns bigint
language sql immutable as $$ select 1000000::bigint $$;

-- The columns of a row for to_jsonb. Text of the type json can be what jsonb does not take, such as \u0000: it is shown
-- as text then.
create function m23.shown_columns(p_relid oid, p_columns text[], p_row text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format(case when m23.base_of(a.atttypid) = 'json'::regtype
                                          then 'm23.shown_json(%1$s.%2$I) as %2$I'
                                        else '%s.%I' end, p_row, c.name), ', ' order by c.n)
            from unnest(p_columns) with ordinality c (name, n)
            left join pg_attribute a on a.attrelid = p_relid and a.attname = c.name);
end $$;

-- A value of the type json as jsonb; as text, where jsonb cannot hold it.
create function m23.shown_json(p_value json) returns jsonb
language plpgsql immutable strict as $$
begin
  return p_value::jsonb;
exception when data_exception then return to_jsonb(p_value::text);
end $$;

-- Readers of JSON make doubles of its numbers: one that a double would change is given as a string.
create function m23.double_safe(p_json jsonb) returns jsonb
language sql immutable set extra_float_digits = 1 as $$
  select case
    when p_json::text !~ '[0-9.]{16}' then p_json
    when jsonb_typeof(p_json) = 'object'
      then (select jsonb_object_agg(e.key, m23.double_safe(e.value)) from jsonb_each(p_json) e)
    when jsonb_typeof(p_json) = 'array'
      then (select jsonb_agg(m23.double_safe(e.value) order by e.n)
              from jsonb_array_elements(p_json) with ordinality e (value, n))
    when jsonb_typeof(p_json) = 'number'
       and not (case when abs(p_json::numeric) between 1e-300 and 1e300
                       then p_json::float8::text::numeric = p_json::numeric else p_json::numeric = 0 end)
      then to_jsonb(p_json #>> '{}')
    else p_json end
$$;

-- The fields of one row that have another value in another row.
create function m23.only_different(p_these jsonb, p_those jsonb) returns jsonb
language sql immutable as $$
  select coalesce(jsonb_object_agg(t.key, t.value), '{}') from jsonb_each(p_these) t
   where t.value is distinct from p_those -> t.key
$$;

-- What a restore of tables to a moment of the log would do.
create function m23.preview(
  p_tenant text, p_moment m23.moment, p_tables text[], p_on_blocked text, p_warnings text[],
  p_selection jsonb default null
) returns jsonb
language plpgsql volatile as $$
begin
  return m23.preview_targets(p_tenant, m23.logged_targets(p_tables, p_moment, p_selection), p_moment, p_tables,
                             p_on_blocked, p_warnings, p_selection);
end $$;

-- Refuses a page that cannot be given.
create function m23.refuse_page_faults(p_preview m23.previews, p_operation text, p_only text) returns void
language plpgsql as $$
declare v_faults text[];
begin
  v_faults := array_remove(array[
    case when p_operation not in ('insert', 'update', 'delete')
         then 'p_operation: must be one of insert, update, delete' end,
    case when p_only not in ('conflicts', 'blocked') then 'p_only: must be one of conflicts, blocked'
         when p_only = 'blocked' and (p_preview.moment).floor is null
         then 'p_only: the rows of an archive do not say which are blocked; its warnings count them' end], null);
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the page cannot be given', v_faults);
  end if;
end $$;

-- A page of rows that were kept, of those with an operation and a text where these are given.
create function m23.page_of(p_rows jsonb, p_offset int, p_limit int, p_operation text, p_search text) returns jsonb
language plpgsql stable as $$
begin
  return (select coalesce(jsonb_agg(e.change order by e.n), '[]')
            from (select f.change, f.n, sum(octet_length(f.change::text) + 2) over (order by f.n) as bytes
                    from (select c.change, row_number() over (order by c.n) as n
                            from jsonb_array_elements(p_rows) with ordinality c (change, n)
                           where (p_operation is null or c.change ->> 'operation' = p_operation)
                             and (p_search is null or m23.has_text(c.change, p_search))) f
                   where f.n > p_offset and f.n <= p_offset + p_limit) e
           where e.bytes <= m23.preview_bytes() or e.n = p_offset + 1);
end $$;

-- Whether a row of a preview has a value with a text in it.
create function m23.has_text(p_change jsonb, p_text text) returns boolean
language plpgsql stable as $$
begin
  return exists (
    select from unnest('{key,now,then}'::text[]) p (part),
                jsonb_each_text(case jsonb_typeof(p_change -> p.part) when 'object' then p_change -> p.part
                                     else '{}' end) v
     where strpos(lower(v.value), lower(p_text)) > 0);
end $$;

-- The planned rows that are blocked: those that were left because of it, and those with a reference that was set null.
create function m23.blocked_relation(p_target m23.target) returns text
language plpgsql stable as $$
declare
  v_left   text := to_regclass('pg_temp.m23_left_' || (p_target.tbl).id);
  v_nulled text := to_regclass('pg_temp.m23_nulled_' || (p_target.tbl).id);
  v_diff   text := m23.diff_name(p_target.tbl);
begin
  return format('(%s)', concat_ws(' union all ',
    'select d.* from ' || v_diff || ' d where '
      || case when v_nulled is null then 'false' else m23.key_in((p_target.tbl).relid, 'd', v_nulled) end,
    format('select m23_op, m23_place, %s from ',
           (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c)) || v_left
      || ' where m23_lacks is not null'));
end $$;
