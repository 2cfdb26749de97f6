insert into m23_staging.rows (comment_id, emoji) select f[1]::integer as comment_id, ((case when pg_catalog.strpos(f[2], '\') = 0 then f[2] else m23.copy_unescape(f[2]) end))::text as emoji from (select * from (
      select pg_catalog.string_to_array(line, chr(9), '\N') as f from string_to_table($1, chr(10)) line offset 0) x
      where pg_catalog.cardinality(f) = 2) whole
