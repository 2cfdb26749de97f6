-- How many rows were changed when. Buckets of a minute or more begin with a minute: so the summaries, which are by
-- minute, say exactly what lies in them. What is left of the minutes in which the range begins and ends is read from
-- the log, as all that no summary has.

create type m23.counted_bucket as (
  bucket_start timestamptz, table_name text, operation text, row_count bigint, transaction_count bigint
);

-- Where the buckets of a range begin.
create function m23.bucket_starts(p_since timestamptz, p_until timestamptz, p_buckets int) returns timestamptz[]
language plpgsql immutable as $$
declare
  v_seconds numeric := extract(epoch from p_until - p_since) / p_buckets;
begin
  return array(
    select distinct greatest(p_since, case when v_seconds >= 60 then to_timestamp(floor(b.at / 60) * 60)
                                           else to_timestamp(b.at) end) as start
      from generate_series(0, p_buckets - 1) n
     cross join lateral (select (extract(epoch from p_since) + n * v_seconds)::float8) b (at) order by start);
end $$;

-- A table's share of a histogram.
create function m23.table_histogram(p_table m23.protected_tables, p_tenant text, p_since timestamptz,
                                    p_until timestamptz, p_starts timestamptz[], p_actor uuid)
returns setof m23.counted_bucket
language plpgsql stable as $$
declare
  v_wide  boolean := p_until - p_since >= make_interval(mins => cardinality(p_starts));
  v_from  timestamptz := date_trunc('minute', p_since + interval '1 minute' - interval '1 microsecond');
  v_to    timestamptz := date_trunc('minute', p_until);
  v_query text;
begin
  if not v_wide or v_from > v_to then v_from := null; v_to := null; end if;
  v_query := m23.histogram_query(p_table, p_tenant, p_since, p_until, v_from, v_to);
  return query execute v_query
    using p_tenant, p_since, p_until, v_from, v_to, p_starts, p_actor, m23.logged_tenant(p_table, p_tenant);
end $$;

-- The histogram of some tables.
create function m23.change_histogram(p_tenant text, p_since timestamptz, p_until timestamptz, p_buckets int,
                                     p_tables text[], p_actor uuid)
returns setof m23.counted_bucket
language plpgsql stable as $$
declare
  v_starts  timestamptz[] := m23.bucket_starts(p_since, p_until, p_buckets);
  v_table   m23.protected_tables;
  v_buckets m23.counted_bucket[];
begin
  for v_table in
    select t.* from m23.tables_with_entries(p_tables, p_tenant, (m23.transactions_between(p_since, p_until)).first) t
  loop
    begin
      v_buckets := array(select b from m23.table_histogram(v_table, p_tenant, p_since, p_until, v_starts, p_actor) b);
      raise sqlstate 'M2303';
    exception when sqlstate 'M2303' then null;
    end;
    return query select b.* from unnest(v_buckets) b;
  end loop;
end $$;
