-- Which transactions a request takes back.

-- The transactions of some that have changed rows of a tenant, by table; with an actor, by rows of that one only.
create function m23.changed_by_transactions(p_tenant text, p_condition text, p_from xid8)
returns table (table_id int, xids xid8[])
language plpgsql volatile as $$
declare v_table m23.protected_tables;
begin
  for v_table in select t.* from m23.tables_with_entries(null, p_tenant, p_from) t loop
    table_id := v_table.id;
    xids := null;
    begin  -- what is opened is let go of
      execute m23.fill($sql$
        select array_agg(distinct l.xid) from {log} l
         where l.tenant_id = {tenant} and l.xid >= $2 and (l.op <> 'a' or l.xid >= {pruned}) and {condition}$sql$,
        'log', m23.log_of(v_table.id, p_tenant, p_from), 'tenant', m23.tenant_value(v_table, '$1'),
        'pruned', quote_literal(v_table.pruned_below), 'condition', p_condition)
        into xids using p_tenant, p_from;
      raise sqlstate 'M2303';
    exception when sqlstate 'M2303' then null;
    end;
    if xids is not null then return next; end if;
  end loop;
end $$;

-- Refuses transactions that have changed nothing of a tenant's, whether others know them or not.
create function m23.refuse_unknown(p_tenant text, p_xids text[], p_field text) returns void
language plpgsql volatile as $$
declare
  v_found   xid8[];
  v_unknown text[];
begin
  select array_agg(x) into v_found
    from m23.changed_by_transactions(p_tenant, format('l.xid = any (%L::xid8[])', p_xids),
                                     (select min(x::xid8) from unnest(p_xids) x)) c, unnest(c.xids) x;
  v_unknown := array(
    select format('%s: transaction %s has changed nothing of this tenant''s, as far as the history reaches',
                  case when p_field = 'undo' then format('undo.transactions[%s]', u.n - 1) else p_field end, u.x)
      from unnest(p_xids) with ordinality u (x, n)
     where u.x::xid8 <> all (coalesce(v_found, '{}'))
       and not exists (select from m23.undone o  -- an undo that had nothing to do
                        where o.incarnation = m23.present_life() and o.tenant_id = p_tenant and o.by_xid = u.x::xid8)
     order by u.n);
  if v_unknown <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the request is invalid', v_unknown);
  end if;
end $$;

-- The transactions of a tenant within a range of time that have changes `l` for which a condition holds.
create function m23.transactions_in_range(
  p_tenant text, p_condition text, p_since timestamptz, p_until timestamptz
) returns xid8[]
language plpgsql volatile as $$
declare
  v_bounds record := m23.transactions_between(p_since, p_until);
  v_found  xid8[];
begin
  select array_agg(distinct x) into v_found
    from m23.changed_by_transactions(p_tenant,
           format('%s and (%L::xid8 is null or l.xid < %2$L::xid8)', p_condition, v_bounds.beyond),
           coalesce(v_bounds.first, '0')) c, unnest(c.xids) x;
  return array(select u.x
                 from unnest(v_found) u (x), lateral (select coalesce(m23.time_of(u.x), clock_timestamp())) t (at)
                where t.at >= p_since and t.at < p_until order by u.x);
end $$;

-- What an actor or a source has changed in a range, as transactions.
create function m23.transactions_asked(p_tenant text, p_asked jsonb) returns xid8[]
language plpgsql volatile as $$
declare
  v_by    text := case when p_asked ? 'actor' then 'actor' else 'source' end;
  v_xids  xid8[] := m23.transactions_in_range(p_tenant,
    case v_by when 'actor' then format('l.actor = %L', p_asked ->> 'actor')
              else format('l.source = any (%L::bigint[])', (m23.numbers_of_source(p_asked ->> 'source')).numbers) end,
    (p_asked ->> 'since')::timestamptz, coalesce((p_asked ->> 'until')::timestamptz, clock_timestamp()));
begin
  if v_xids = '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the request is invalid',
                       array[format('undo.%s: has changed nothing of this tenant''s in that time', v_by)]);
  end if;
  return v_xids;
end $$;

-- What a request takes back, in some of the tables.
create function m23.undoing_of(p_tenant text, p_restore jsonb, p_tables text[]) returns m23.undoing
language plpgsql volatile as $$
declare
  v_asked  jsonb := p_restore -> 'undo';
  v_undo   m23.undoing;
  v_chosen int[] := array(select t.id from m23.tables_named(p_tables) t);
begin
  v_undo.actor := v_asked ->> 'actor';
  v_undo.on_conflict := coalesce(p_restore ->> 'onConflict', 'skip');
  if not v_asked ? 'transactions' then
    v_undo.xids := m23.transactions_asked(p_tenant, v_asked);
  else
    v_undo.xids := m23.list_of(v_asked -> 'transactions')::xid8[];
    perform m23.refuse_unknown(p_tenant, v_undo.xids::text[], 'undo');
  end if;
  v_undo.table_ids := array(
    select c.table_id from m23.changed_by_transactions(p_tenant, m23.is_taken_back(v_undo),
                                                       (select min(x) from unnest(v_undo.xids) x)) c
     where c.table_id = any (v_chosen) order by 1);
  v_undo.floor := m23.undo_floor(p_tenant, v_undo.xids);
  v_undo.xids := m23.without_undone(p_tenant, v_undo.xids);
  return v_undo;
end $$;
