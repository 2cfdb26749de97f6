-- A restore takes nobody's own access, nor that of the last owner, unless its request names the table: those rows stay
-- as they are. Which plans this holds for is said for the transaction, in m23.spares.

-- Says whose access the plans of this transaction leave as it is, and in which tables they do not, because these were
-- named. The caller is null for the service.
create function m23.spare_access(p_caller uuid, p_named oid[]) returns void
language plpgsql as $$
begin
  perform set_config('m23.spares', jsonb_build_object('caller', p_caller, 'named', to_jsonb(p_named))::text, true);
end $$;

-- Takes such rows out of the plan of a table; gives how many, and what to say of them.
create function m23.keep_access(p_target m23.target, p_tenant text, out left_alone bigint, out warnings text[])
language plpgsql as $$
declare
  v_spares jsonb := nullif(current_setting('m23.spares', true), '')::jsonb;
  v_relid  oid := (p_target.tbl).relid;
  v_own    bigint := 0;
  v_last   bigint := 0;
begin
  left_alone := 0;
  warnings := '{}';
  if v_spares is null or v_spares -> 'named' @> to_jsonb(v_relid)
     or not m23.is_access_table(v_relid) and m23.likeness_to_access(v_relid) is null then
    return;
  end if;
  if v_spares ->> 'caller' is not null and m23.user_column(v_relid) is not null then
    v_own := m23.leave_alone(p_target, m23.changes_access(p_target, p_tenant,
      format('l.%I::text = %L', m23.user_column(v_relid), v_spares ->> 'caller')));
  end if;
  if m23.role_column(v_relid) is not null and m23.loses_last_owner(p_target, p_tenant) then
    v_last := m23.leave_alone(p_target, m23.changes_access(p_target, p_tenant, m23.is_owner(v_relid, 'l')));
  end if;
  left_alone := v_own + v_last;
  warnings := array(
    select format('%s: %s row(s) were left alone: they are %s access, which a restore leaves as it is unless tables '
                  'names the table', m23.public_name(v_relid), k.kept, k.whose)
      from (values (v_own, 'your own'), (v_last, 'the last owner''s')) k (kept, whose) where k.kept > 0);
end $$;

-- The condition that a planned row `d` takes or changes the access that a live row `l` gives, one that fits.
create function m23.changes_access(p_target m23.target, p_tenant text, p_fits text) returns text
language plpgsql stable as $$
begin
  return m23.fill(
    $q$d.m23_op in ('D', 'U', 'R') and exists (
         select from {live} l where {same_key} and {is_tenants} and {fits} and (d.m23_op = 'D' or {differs}))$q$,
    'live', m23.qualified_name((p_target.tbl).relid), 'same_key', m23.key_match((p_target.tbl).relid, 'l', 'd'),
    'is_tenants', m23.is_tenants(p_target.tbl, 'l', quote_literal(p_tenant)), 'fits', p_fits,
    'differs', m23.access_differs((p_target.tbl).relid));
end $$;

-- The condition that a planned row `d` gives another access than the live row `l`: to another user, or in another role.
create function m23.access_differs(p_relid oid) returns text
language plpgsql stable as $$
begin
  return coalesce((select string_agg(format('l.%1$I::text is distinct from d.%1$I::text', c), ' or ')
                     from unnest(array[m23.user_column(p_relid), m23.role_column(p_relid)]) c where c is not null),
                  'true');
end $$;

-- The condition that a row is an owner's.
create function m23.is_owner(p_relid oid, p_row text) returns text
language plpgsql stable as $$
begin
  return format('lower(%s.%I::text) = ''owner''', p_row, m23.role_column(p_relid));
end $$;

-- Whether the plan of a table leaves a tenant that has an owner without one.
create function m23.loses_last_owner(p_target m23.target, p_tenant text) returns boolean
language plpgsql as $$
declare v_relid oid := (p_target.tbl).relid;
begin
  return m23.number_of(p_target.path, m23.fill($q$
      select (exists (select from {live} l where {belongs} and {is_owner})
              and not exists (select from {live} l where {belongs} and {is_owner} and not exists (
                                select from {diff} d where d.m23_op in ('D', 'U', 'R') and {same_key}))
              and not exists (select from {diff} d where d.m23_op <> 'D' and {comes_as_owner}))::int$q$,
    'live', m23.qualified_name(v_relid), 'diff', m23.diff_name(p_target.tbl),
    'belongs', m23.belongs_to(p_target.tbl, 'l', quote_literal(p_tenant)), 'is_owner', m23.is_owner(v_relid, 'l'),
    'same_key', m23.key_match(v_relid, 'l', 'd'), 'comes_as_owner', m23.is_owner(v_relid, 'd'))) = 1;
end $$;

-- Whether the caller, whose access is left as it is, belongs to a tenant.
create function m23.spared_belongs(p_tenant text) returns boolean
language plpgsql stable as $$
begin
  return exists (
    select from m23.memberships_of((nullif(current_setting('m23.spares', true), '')::jsonb ->> 'caller')::uuid) m
     where m.tenant_id = p_tenant);
end $$;

-- What to say where the caller's access is lost by a plan's changes: it hangs on rows of a table that the restore does
-- not name, and whose columns do not say whose access its rows are. Empty where the restore names such a table.
create function m23.access_at_risk(p_targets m23.target[]) returns text[]
language plpgsql stable as $$
declare
  v_named   jsonb := nullif(current_setting('m23.spares', true), '')::jsonb -> 'named';
  v_changed oid[] := array(select (t).tbl.relid from unnest(m23.targets_with_changes(p_targets)) t);
  v_unnamed text[] := array(select m23.public_name(c) from unnest(v_changed) c
                             where (v_named @> to_jsonb(c)) is not true order by 1);
begin
  if v_unnamed = '{}' or exists (
       select from unnest(v_changed) c where v_named @> to_jsonb(c)
          and (m23.is_access_table(c) or m23.likeness_to_access(c) is not null)) then
    return '{}';
  end if;
  return array[format(
    'tables: your access hangs on rows of one of these, which would change: %s; name it in tables to restore it, or '
    'leave it out', array_to_string(v_unnamed, ', '))];
end $$;

-- What a refusal because of lost access is called, wherever it is said.
create function m23.lost_access_sentence() returns text
language sql immutable as $$ select 'this restore would take your own access' $$;

-- Refuses a restore that has taken the caller's own access.
create function m23.refuse_lost_access(p_tenant text, p_targets m23.target[]) returns void
language plpgsql as $$
declare v_said text[] := m23.access_at_risk(p_targets);
begin
  if v_said = '{}' or m23.spared_belongs(p_tenant) then return; end if;
  perform m23.refuse('CONFLICT', m23.lost_access_sentence(), v_said);
end $$;
