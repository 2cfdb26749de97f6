-- Narrowing: the plan is made of all that has changed, then what was not chosen is set aside. References, snapshot,
-- hash and checks see the rest, as if nothing else had changed.

-- The temporary table with the planned rows of a table that were not chosen.
create function m23.aside_name(p_table m23.protected_tables) returns text
language plpgsql immutable as $$ begin return 'pg_temp.m23_aside_' || p_table.id; end $$;

-- Narrows the plans of the targets to what was chosen. p_chosen: these, and those that there is nothing to do for.
create function m23.narrow(p_tenant text, p_targets m23.target[], p_chosen m23.target[]) returns void
language plpgsql as $$
declare v_target m23.target;
begin
  if not exists (select from unnest(p_chosen) t where (t).selection is not null) then return; end if;
  foreach v_target in array p_chosen loop
    perform m23.forget_aside(v_target.tbl);
    perform m23.note_chosen_keys(v_target);
  end loop;
  perform m23.refuse_unknown_keys(p_tenant, p_chosen);
  if exists (select from unnest(p_targets) t where (t).selection ? 'withRelated') then
    perform m23.pick_related(p_tenant, p_targets, p_chosen);
  end if;
  foreach v_target in array p_targets loop
    perform m23.set_aside(v_target, format('(%s) is not true', case
      when v_target.selection ? 'withRelated' then m23.is_picked(v_target, 'd')
      else m23.is_chosen(v_target, 'd') end));
  end loop;
end $$;

-- Takes planned rows `d` for which a condition holds out of a plan.
create function m23.set_aside(p_target m23.target, p_condition text) returns bigint
language plpgsql as $$
begin
  execute format('create temp table %s on commit drop as select * from %s where false',
                 split_part(m23.aside_name(p_target.tbl), '.', 2), m23.diff_name(p_target.tbl));
  return m23.run(p_target.path, m23.fill($sql$
      with gone as (delete from {diff} d where {condition} returning d.*) insert into {aside} select * from gone$sql$,
    'diff', m23.diff_name(p_target.tbl), 'condition', p_condition, 'aside', m23.aside_name(p_target.tbl)));
end $$;

-- Takes the rows that were set aside out of a plan that was made anew.
create function m23.set_aside_again(p_target m23.target) returns void
language plpgsql as $$
begin
  if to_regclass(m23.aside_name(p_target.tbl)) is null then return; end if;
  perform m23.run(p_target.path, m23.fill('delete from {diff} d where {is_aside}', 'diff', m23.diff_name(p_target.tbl),
    'is_aside', m23.key_in((p_target.tbl).relid, 'd', m23.aside_name(p_target.tbl))));
end $$;

-- Whether rows of a table were set aside.
create function m23.has_aside(p_target m23.target) returns boolean
language plpgsql volatile as $$
declare v_has boolean := false;
begin
  if to_regclass(m23.aside_name(p_target.tbl)) is null then return false; end if;
  execute format('select exists (select from %s)', m23.aside_name(p_target.tbl)) into v_has;
  return v_has;
end $$;

-- Forgets what of a table was chosen, and what was set aside.
create function m23.forget_aside(p_table m23.protected_tables) returns void
language plpgsql as $$
declare v_name text;
begin
  foreach v_name in array array['m23_aside_', 'm23_chosen_keys_', 'm23_because_'] loop
    v_name := 'pg_temp.' || v_name || p_table.id;
    if to_regclass(v_name) is not null then execute format('drop table %s', v_name); end if;
  end loop;
end $$;
