insert into m23_staging.rows (tenant_id, "i d", "co""st$2", "it's {value}", "select") select f[1]::uuid as tenant_id, f[2]::integer as "i d", f[3]::numeric as "co""st$2", ((case when pg_catalog.strpos(f[4], '\') = 0 then f[4] else m23.copy_unescape(f[4]) end))::text as "it's {value}", f[5]::timestamp with time zone as "select" from (select * from (
      select pg_catalog.string_to_array(line, chr(9), '\N') as f from string_to_table($1, chr(10)) line offset 0) x
      where pg_catalog.cardinality(f) = 5) whole
