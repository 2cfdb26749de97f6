-- Taking changes of a row back while those of others stay. The row's versions are walked in their order, and three rows
-- are kept beside them:
--
--   kept    as if the changes had not happened, and everybody else had set the same fields
--   taken   their values gone, even where others have built on them
--   plain   what the row was, but for what counts for nothing
--
-- Where kept and taken come to different results, there is a conflict. A row is the text of its columns; null stands
-- for no row.

-- What one transaction did to a row. class: `s` it is taken back, `o` it is somebody else's, `n` it counts for nothing,
-- `r` it is a return to a moment, at which `seen` of the versions before it were there.
create type m23.row_version as (class "char", seen int, arrived boolean, before text[], after text[]);

create type m23.row_shadows as (kept text[], taken text[], plain text[]);

-- One row as all three.
create function m23.same_shadows(p_row text[]) returns m23.row_shadows
language plpgsql immutable as $$
declare v_shadows m23.row_shadows;
begin
  v_shadows.kept := p_row;
  v_shadows.taken := p_row;
  v_shadows.plain := p_row;
  return v_shadows;
end $$;

-- What a walk comes to. undone: the row after the last change that is taken back.
create type m23.walked_row as (kept text[], taken text[], undone text[]);

-- Whether two rows differ, but for some columns.
create function m23.rows_differ(p_these text[], p_those text[], p_but boolean[]) returns boolean
language plpgsql immutable as $$
begin
  if p_these is not distinct from p_those then return false; end if;
  if p_these is null or p_those is null then return true; end if;
  for n in 1..cardinality(p_these) loop
    if p_these[n] is distinct from p_those[n] and not p_but[n] then return true; end if;
  end loop;
  return false;
end $$;

-- A row with the fields that a change has set; all of them, if one of the rows was not there before.
create function m23.with_change(p_row text[], p_before text[], p_after text[]) returns text[]
language plpgsql immutable as $$
begin
  if p_before is null and p_after is null then return p_row; end if;
  if p_row is null or p_before is null or p_after is null then return p_after; end if;
  for n in 1..cardinality(p_after) loop
    if p_before[n] is distinct from p_after[n] then p_row[n] := p_after[n]; end if;
  end loop;
  return p_row;
end $$;

-- The row that is taken back after somebody else's change: their fields, as far as these had nothing of it any more.
create function m23.taken_after(p_taken text[], p_plain text[], p_before text[], p_after text[]) returns text[]
language plpgsql immutable as $$
begin
  if p_taken is null then
    return case when p_plain is null or p_before is null then p_after end;
  elsif p_plain is null then
    return p_taken;
  end if;
  for n in 1..cardinality(p_after) loop
    if (p_before is null or p_before[n] is distinct from p_after[n]) and p_taken[n] is not distinct from p_plain[n] then
      p_taken[n] := p_after[n];
    end if;
  end loop;
  return p_taken;
end $$;

-- The rows after one version. p_past: those before the first version, and after each one so far. p_stamps: columns that
-- are no change by themselves.
create function m23.shadows_after(p_past m23.row_shadows[], p_version m23.row_version, p_stamps boolean[])
returns m23.row_shadows
language plpgsql immutable as $$
declare
  v_now   m23.row_shadows := p_past[cardinality(p_past)];
  v_plain text[] := v_now.plain;
begin
  if p_version.class = 'n' then return v_now; end if;
  if p_version.class = 'r' then
    return case when p_version.seen > 0 then p_past[p_version.seen + 1]
                else m23.same_shadows(p_version.after) end;
  end if;
  v_now.plain := m23.with_change(v_plain, p_version.before, p_version.after);
  if p_version.class = 's' then
    if p_version.arrived then  -- another tenant's until then: not given back
      v_now.kept := p_version.after;
      v_now.taken := p_version.after;
    end if;
  elsif p_version.after is null then
    if p_version.before is not null then
      v_now.kept := null;
      v_now.taken := null;
    end if;
  elsif m23.rows_differ(p_version.before, p_version.after, p_stamps) then
    v_now.kept := m23.with_change(v_now.kept, p_version.before, p_version.after);
    v_now.taken := m23.taken_after(v_now.taken, v_plain, p_version.before, p_version.after);
  end if;
  return v_now;
end $$;

-- A result on a row as it is now, where what counts for nothing has made that another one than `plain`: only what the
-- result would change is written. A field that is neither as it is nor as it would be stays, unless p_all.
create function m23.onto_now(p_result text[], p_plain text[], p_now text[], p_all boolean) returns text[]
language plpgsql immutable as $$
begin
  if p_result is not distinct from p_plain then return p_now; end if;
  if p_result is null or p_plain is null or p_now is null then
    return case when p_all or (p_result is null) <> (p_plain is null) and (p_now is null) = (p_plain is null)
                then p_result else p_now end;
  end if;
  for n in 1..cardinality(p_result) loop
    if p_result[n] is not distinct from p_plain[n] or not p_all and p_now[n] is distinct from p_plain[n] then
      p_result[n] := p_now[n];
    end if;
  end loop;
  return p_result;
end $$;

-- Walks the versions of a row, the oldest first.
create function m23.walk(p_versions m23.row_version[], p_stamps boolean[]) returns m23.walked_row
language plpgsql immutable as $$
declare
  v_first   text[] := (p_versions[1]).before;
  v_now     text[] := (p_versions[cardinality(p_versions)]).after;
  v_past    m23.row_shadows[] := array[m23.same_shadows(v_first)];
  v_last    m23.row_shadows;
  v_result  m23.walked_row;
  v_version m23.row_version;
  v_is_odd  boolean := false;
begin
  foreach v_version in array p_versions loop
    v_is_odd := v_is_odd or v_version.class in ('n', 'r');
    v_past := v_past || m23.shadows_after(v_past, v_version, p_stamps);
    if v_version.class = 's' and not v_version.arrived then v_result.undone := v_version.after; end if;
  end loop;
  v_last := v_past[cardinality(v_past)];
  v_result.kept := v_last.kept;
  v_result.taken := v_last.taken;
  if v_is_odd then
    v_result.kept := m23.onto_now(v_last.kept, v_last.plain, v_now, false);
    v_result.taken := m23.onto_now(v_last.taken, v_last.plain, v_now, true);
  end if;
  if v_result.kept is not null and v_result.taken is not null then
    for n in 1..cardinality(v_result.kept) loop
      if p_stamps[n] then v_result.taken[n] := v_result.kept[n]; end if;
    end loop;
  end if;
  return v_result;
end $$;
