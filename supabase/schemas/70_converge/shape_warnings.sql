-- What of a table could not be as it was, because its shape has changed since the moment.
create function m23.shape_warnings(p_target m23.target) returns text[]
language plpgsql volatile as $$
declare v_said text[];
begin
  -- The moment of a backup has no time; the staging of its tables has told of their shape.
  if (p_target.moment).position is null or p_target.wanted is not null and (p_target.moment).taken is null then
    return '{}';
  end if;
  if not exists (select from m23.log_columns l
                  where l.table_id = (p_target.tbl).id and (l.since > '0/0' or l.until_xid is not null)) then
    return m23.type_warnings(p_target.tbl, p_target.moment);
  end if;
  execute m23.fill($sql$
      select array_agg($3 || '.' || l.column_name || ' ' || case
               when l.until_xid is not null then 'was dropped since; its values cannot come back'
               when exists (select from m23.log_columns e
                             where e.table_id = $1 and e.attnum = l.attnum and e.until_xid = l.since_xid)
                 then 'has had another type then; its values were converted'
               when l.generated then 'was generated then; rows that are there keep its value of now'
               else 'was added since; rows that are there keep theirs, and those that come back get its default' end
               order by l.attnum, l.since)
        from m23.log_columns l
       where l.table_id = $1
         and case when l.until_xid is null then l.since > '0/0' and {added}
                  else {dropped} and not exists (select from m23.log_columns p
                         where p.table_id = $1 and p.attnum = l.attnum and p.until_xid is null) end$sql$,
    'added', m23.lies_after('l.since_xid'), 'dropped', m23.lies_after('l.until_xid'))
    into v_said using (p_target.tbl).id, p_target.moment, m23.public_name((p_target.tbl).relid);
  return coalesce(v_said, '{}') || m23.type_warnings(p_target.tbl, p_target.moment);
end $$;
