-- Pages: what callers give to get the next one.

-- How many rows a page has, by what is asked for: 100, from 1 to 1,000.
create function m23.page_size(p_limit int) returns int
language sql immutable as $$ select least(greatest(coalesce(p_limit, 100), 1), 1000) $$;

-- What is wrong with the last row of the page before, of which these fields are needed.
create function m23.cursor_faults(p_before jsonb, p_fields text[]) returns text[]
language plpgsql stable as $$
declare v_fault constant text[] := array['p_before: the last row of the page before, or its '
                                         || array_to_string(p_fields, ', ')];
begin
  if coalesce(jsonb_typeof(p_before), 'null') = 'null' then return '{}'; end if;
  if jsonb_typeof(p_before) <> 'object' then return v_fault; end if;
  return case when exists (
      select from unnest(p_fields) f
       where p_before ->> f is null or f <> 'table_name' and p_before ->> f !~ '^\d{1,18}$') then v_fault else '{}' end;
end $$;

-- What is wrong with a transaction's number.
create function m23.transaction_faults(p_transaction_id text) returns text[]
language sql immutable as $$
  select case when p_transaction_id ~ '^[1-9]\d{0,17}$' then '{}'::text[]
              else array['p_transaction_id: must be the transaction_id of a change'] end
$$;

-- What is wrong with a range of time.
create function m23.range_faults(p_since timestamptz, p_until timestamptz, p_required boolean) returns text[]
language sql immutable as $$
  select array_remove(array[
    case when p_required and p_since is null then 'p_since: is required' end,
    case when p_required and p_until is null then 'p_until: is required' end,
    case when p_since >= p_until then 'p_until: must be after p_since' end,
    case when not isfinite(coalesce(p_since, 'epoch')) or not isfinite(coalesce(p_until, 'epoch'))
         then 'p_since, p_until: must be times' end], null)
$$;

-- How long a search goes on.
create function m23.search_time() returns interval
language plpgsql stable as
$$ begin return make_interval(secs => m23.setting('search_seconds')::float8); end $$;

-- When a transaction was committed.
create function m23.time_of(p_xid xid8) returns timestamptz
language plpgsql stable as $$
declare v_at timestamptz;
begin
  execute format('select %s from (select $1 as xid) l', m23.committed_at()) into v_at using p_xid;
  return v_at;
end $$;
