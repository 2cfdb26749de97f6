-- Notes what this transaction has taken back of a tenant, and the rows on which it did not do so wholly.
create function m23.note_undone(p_tenant text, p_targets m23.target[]) returns void
language plpgsql as $$
declare
  v_target m23.target;
  v_undo   m23.undoing := (select (t).undo from unnest(p_targets) t where ((t).undo).xids is not null limit 1);
begin
  if v_undo.xids is null then return; end if;
  insert into m23.undone (incarnation, tenant_id, by_xid, xids, actor, table_ids)
    values (m23.incarnation(), p_tenant, pg_current_xact_id(), v_undo.xids, v_undo.actor, v_undo.table_ids);
  foreach v_target in array p_targets loop
    continue when to_regclass(m23.undo_name(v_target.tbl, 'lives')) is null;
    execute m23.fill($sql$
      insert into m23.undone_except
      select distinct {life}::uuid, $1, pg_current_xact_id(), $2, k.key
        from {lives} l, unnest(array[l.now_key::text, l.want_key::text, l.kept_key::text]) t (key),
             lateral (select t.key::text[]) k (key)
       where t.key is not null and (l.fell is not null or {is_conflict})$sql$,
      'life', quote_literal(m23.incarnation()), 'is_conflict', m23.is_conflict(),
      'lives', m23.fill('(select l.*, case when l.kept is not null then {key} end as kept_key from {lives} l)',
                        'key', m23.key_of_texts(v_target, 'l.kept'), 'lives', m23.undo_name(v_target.tbl, 'lives')))
      using p_tenant, (v_target.tbl).id;
  end loop;
end $$;
