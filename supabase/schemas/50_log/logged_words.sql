-- The expression of a text that a log's row `l` holds: what it has to be read by depends on when it was logged.
create function m23.logged_words(p_text text, p_type oid) returns text
language plpgsql stable as $$
declare
  v_since pg_lsn;
  v_then  text;
  v_last  text;
  v_text  text;
begin
  if not exists (select from m23.type_versions where since > '0/0') then return p_text; end if;
  for v_since in
    select distinct v.since from m23.types_within(array[p_type]) u join m23.type_versions v on v.type = u.type
     where v.incarnation = m23.present_life() order by v.since
  loop
    v_then := m23.present_words(p_text, p_type, m23.former_words(p_type, v_since, null));
    continue when v_then = v_last;
    v_text := case when v_last is null then v_then
                   else format('case when l.change_id >= %L then %s else %s end', v_since, v_then, v_text) end;
    v_last := v_then;
  end loop;
  return coalesce(v_text, p_text);
end $$;
