-- The tables among these of which m23.capture_fault has nothing to say, as one look at the catalogue tells: ordinary
-- ones that nothing has been done to. Of the others it has to be asked.
create function m23.sound_tables(p_ids int[]) returns int[]
language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
declare
  v_triggers name[] := array(select g.name from m23.capture_triggers(true, false, false, false) g);
  v_temporal oid[] := case when current_setting('server_version_num')::int >= 180000 then array(
    select r from pg_constraint k, unnest(array[k.conrelid, k.confrelid]) r
     where k.contype = 'f' and m23.is_temporal(k)) else '{}' end;
begin
  return array(
    select t.id
      from m23.protected_tables t
      join pg_class c on c.oid = t.relid and c.relkind = 'r' and c.relpersistence = 'p'
      join pg_index i on i.indrelid = t.relid and i.indisprimary
      join pg_class x on x.oid = i.indexrelid
      join pg_am m on m.oid = x.relam and m.amname = 'btree'
     where t.id = any (p_ids) and t.suspended is null
       and t.relid <> all (v_temporal)
       and (case when t.parent_id is not null then m23.obstacle_of(t) is null
                 else exists (select from pg_attribute a
                               where a.attrelid = t.relid and a.attnum = t.tenant_attnum and not a.attisdropped
                                 and m23.tenant_type(a.atttypid) = t.tenant_type and a.attgenerated = '') end)
       and (i.indkey::int2[])[0:i.indnkeyatts - 1] = t.key_attnums
       and not exists (select from pg_attribute o
                        where o.attrelid = t.relid and not o.attisdropped
                          and (o.attname like 'm23\_%' or o.attnum = any (t.key_attnums) and o.attgenerated <> ''))
       and not exists (select from pg_attribute k join pg_type y on y.oid = k.atttypid
                         join m23.log_columns f on f.table_id = t.id and f.attnum = k.attnum and f.until_xid is null
                        where k.attrelid = t.relid and k.attnum = any (t.key_attnums)
                          and f.type_name <> case
                            when y.typnamespace = 'pg_catalog'::regnamespace and y.typtype in ('b', 'r', 'm')
                            then format_type(k.atttypid, -1) else 'text' end)
       and not exists (select from pg_inherits h where h.inhrelid = t.relid)
       and not exists (select from pg_inherits h where h.inhparent = t.relid)
       and not exists (select from pg_subscription_rel s where s.srrelid = t.relid)
       and not exists (select from m23.partitions p where p.table_id = t.id)
       and (select array_agg(g.tgname) @> v_triggers from pg_trigger g where g.tgrelid = t.relid and g.tgenabled = 'A')
       and t.triggers <@ array(select concat_ws('/', g.oid, g.xmin, g.tgrelid) from pg_trigger g
                                where g.tgrelid = t.relid));
end $$;
