insert into m23_staging.rows (id, task_id, body) select f[1]::integer as id, f[2]::integer as task_id, ((case when pg_catalog.strpos(f[3], '\') = 0 then f[3] else m23.copy_unescape(f[3]) end))::text as body from (select * from (
      select pg_catalog.string_to_array(line, chr(9), '\N') as f from string_to_table($1, chr(10)) line offset 0) x
      where pg_catalog.cardinality(f) = 3) whole
