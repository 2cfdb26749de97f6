-- M23's own transactions by what they were meant to do, as seen by an undo of others. What another undo took back, and
-- that undo itself, count for nothing: unless it was taken back as well, or lies within what a later restore went back
-- over.

-- A transaction whose changes count for nothing, because of the undo by_xid; of one actor's only where one is named.
create type m23.neutral as (xid xid8, by_xid xid8, actor uuid, table_ids int[]);

-- Transactions that count for nothing because of one undo.
create function m23.neutrals(p_xids xid8[], p_by xid8, p_actor uuid, p_table_ids int[]) returns m23.neutral[]
language plpgsql immutable as $$
declare
  v_neutral  m23.neutral;
  v_neutrals m23.neutral[] := '{}';
begin
  v_neutral.by_xid := p_by;
  v_neutral.actor := p_actor;
  v_neutral.table_ids := p_table_ids;
  foreach v_neutral.xid in array p_xids loop
    v_neutrals := v_neutrals || v_neutral;
  end loop;
  return v_neutrals;
end $$;

-- The undos and returns of a tenant that lie at or after a transaction, the newest first. An undo of changes that the
-- log does not hold any more is left out: it is anybody's transaction.
create function m23.own_changes(p_tenant text, p_from xid8)
returns table (xid xid8, xids xid8[], actor uuid, table_ids int[], moment m23.moment)
language plpgsql stable rows 10 as $$
begin
  return query
  select o.* from (
    select u.by_xid as xid, u.xids, u.actor, u.table_ids, null::m23.moment as moment from m23.undone u
     where u.incarnation = m23.present_life() and u.tenant_id = p_tenant and u.by_xid >= p_from
       and not exists (select from unnest(u.xids) x, m23.protected_tables t
                        where t.id = any (u.table_ids) and x < t.pruned_below)
    union all
    select r.xid, null, null, null, r.moment from m23.returns r
     where r.incarnation = m23.present_life() and r.tenant_id = p_tenant and r.xid >= p_from) o
   order by o.xid desc;
end $$;

-- What counts for nothing when some transactions are to be taken back.
create function m23.neutral_changes(p_tenant text, p_taken_back xid8[], p_from xid8) returns m23.neutral[]
language plpgsql stable as $$
declare
  v_own     record;
  v_neutral m23.neutral[] := '{}';
  v_gone    m23.moment[] := '{}';  -- what lies after one of these was gone back over
  v_is_gone boolean;
begin
  for v_own in select * from m23.own_changes(p_tenant, p_from) loop
    continue when v_own.xid = any (p_taken_back);
    v_is_gone := exists (select from unnest(v_neutral) n where n.xid = v_own.xid)
              or exists (select from unnest(v_gone) m where m23.is_after(v_own.xid, m));
    if v_own.xids is null then
      if not v_is_gone then v_gone := v_gone || v_own.moment; end if;
    else
      v_neutral := v_neutral || m23.neutrals(array[v_own.xid], v_own.xid, null, v_own.table_ids);
      if not v_is_gone then
        v_neutral := v_neutral || m23.neutrals(v_own.xids, v_own.xid, v_own.actor, v_own.table_ids);
      end if;
    end if;
  end loop;
  return v_neutral;
end $$;

-- Transactions without the undos among them that were taken back since: there is nothing left of those.
create function m23.without_undone(p_tenant text, p_xids xid8[]) returns xid8[]
language plpgsql stable as $$
declare v_neutral m23.neutral[] := m23.neutral_changes(p_tenant, '{}', (select min(x) from unnest(p_xids) x));
begin
  return array(select x from unnest(p_xids) x
                where not exists (select from unnest(v_neutral) n where n.xid = x and n.by_xid <> x)
                   or not exists (select from m23.undone u where u.incarnation = m23.present_life()
                                                             and u.tenant_id = p_tenant and u.by_xid = x)
                order by x);
end $$;

-- From which transaction on the versions of rows have to be read to take some back: with every undo, what it took back.
create function m23.undo_floor(p_tenant text, p_xids xid8[]) returns xid8
language plpgsql stable as $$
declare
  v_floor xid8 := m23.floor_of((select min(x) from unnest(p_xids) x));
  v_lower xid8;
begin
  loop
    v_lower := m23.floor_of((select min(x) from m23.own_changes(p_tenant, v_floor) o, unnest(o.xids) x));
    if v_lower is null or v_lower >= v_floor then return v_floor; end if;
    v_floor := v_lower;
  end loop;
end $$;
