-- The fields of a restore that name transactions.

-- What is wrong with the number of a transaction; null for nothing.
create function m23.transaction_fault(p_value jsonb) returns text
language sql immutable as $$
  select case when jsonb_typeof(p_value) is distinct from 'string' then 'must be a string'
              when m23.transaction_faults(p_value #>> '{}') <> '{}' then 'must be the transaction_id of a change' end
$$;

-- What is wrong with what shall be undone; null for nothing.
create function m23.undo_fault(p_undo jsonb) returns text
language plpgsql stable as $$
declare
  v_by      text[];
  v_unknown text;
begin
  if jsonb_typeof(p_undo) <> 'object' then return 'must be an object of transactions, actor or source'; end if;
  v_by := array(select b from unnest('{transactions,actor,source}'::text[]) b where p_undo ? b);
  v_unknown := (select min(k) from jsonb_object_keys(p_undo) k
                 where k <> all ('{transactions,actor,source,since,until}'));
  return case
    when v_unknown is not null then format('%s is an unknown field', v_unknown)
    when cardinality(v_by) <> 1 then 'must have one of transactions, actor and source'
    when v_by = '{transactions}' then m23.transactions_fault(p_undo)
    when jsonb_typeof(p_undo -> v_by[1]) <> 'string' then format('%s must be a string', v_by[1])
    when v_by = '{actor}' and p_undo ->> 'actor' !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
      then 'actor must be a UUID'
    when not p_undo ? 'since' then format('since is required with %s', v_by[1])
    else (select min(format('%s must be an ISO 8601 timestamp with a time zone, such as 2026-01-31T10:31:00Z', f))
            from unnest('{since,until}'::text[]) f
           where p_undo ? f and (jsonb_typeof(p_undo -> f) <> 'string' or not m23.is_moment(p_undo ->> f))) end;
end $$;

-- The same of a list of transactions.
create function m23.transactions_fault(p_undo jsonb) returns text
language sql immutable as $$
  select case
    when p_undo ?| '{since,until}' then 'since and until are for an actor or a source'
    when jsonb_typeof(p_undo -> 'transactions') <> 'array' then 'transactions must be a list of transaction ids'
    when p_undo -> 'transactions' = '[]' then 'transactions must name at least one transaction'
    when jsonb_array_length(p_undo -> 'transactions') > 1000 then 'transactions may name at most 1000'
    else (select min(format('transactions[%s] %s', t.n - 1, m23.transaction_fault(t.value)))
            from jsonb_array_elements(p_undo -> 'transactions') with ordinality t (value, n)
           where m23.transaction_fault(t.value) is not null) end
$$;

-- A restore goes to a time, to before a transaction, or takes some back.
create function m23.moment_field_faults(p_body jsonb) returns text[]
language sql immutable as $$
  select array_remove(array[
    case when not p_body ?| '{targetTimestamp,beforeTransaction,undo}'
         then 'targetTimestamp: is required, or beforeTransaction or undo' end,
    case when p_body ?& '{targetTimestamp,beforeTransaction}'
         then 'beforeTransaction: cannot be combined with targetTimestamp' end,
    case when p_body ? 'undo' and p_body ? 'targetTimestamp' then 'undo: cannot be combined with targetTimestamp' end,
    case when p_body ? 'undo' and p_body ? 'beforeTransaction'
         then 'undo: cannot be combined with beforeTransaction' end,
    case when p_body ? 'onConflict' and not p_body ? 'undo' then 'onConflict: is for undo' end], null)
    || array(select f || ': cannot be combined with undo'
               from unnest('{baseBackupId,includeRelated,rows,exceptRows,where,operations,withRelated,mode,
                             targetSchema}'::text[]) f
              where p_body ? 'undo' and p_body ? f and p_body -> f not in ('false', '"exact"'))
    || case when p_body ?& '{beforeTransaction,baseBackupId}'
            then array['baseBackupId: cannot be combined with beforeTransaction'] else '{}' end
$$;
