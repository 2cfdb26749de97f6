insert into m23_staging.rows (tenant_id, order_no, line, sku, price) select f[1]::uuid as tenant_id, f[2]::bigint as order_no, f[3]::integer as line, ((case when pg_catalog.strpos(f[4], '\') = 0 then f[4] else m23.copy_unescape(f[4]) end))::character varying as sku, f[5]::numeric as price from (select * from (
      select pg_catalog.string_to_array(line, chr(9), '\N') as f from string_to_table($1, chr(10)) line offset 0) x
      where pg_catalog.cardinality(f) = 5) whole
