insert into m23_staging.rows (tenant_id, id, at, body) select f[1]::uuid as tenant_id, f[2]::bigint as id, f[3]::date as at, ((case when pg_catalog.strpos(f[4], '\') = 0 then f[4] else m23.copy_unescape(f[4]) end))::jsonb as body from (select * from (
      select pg_catalog.string_to_array(line, chr(9), '\N') as f from string_to_table($1, chr(10)) line offset 0) x
      where pg_catalog.cardinality(f) = 4) whole
