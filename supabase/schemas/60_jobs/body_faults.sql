-- What is wrong with a body for a function, a sentence each. p_dry_run: as m23.together_faults has it.
create function m23.body_faults(p_function text, p_body jsonb, p_dry_run boolean) returns text[]
language plpgsql stable as $$
declare v_body jsonb := jsonb_strip_nulls(p_body);  -- null counts as absent
begin
  if jsonb_typeof(p_body) is distinct from 'object' then
    return array['body: must be a JSON object'];
  end if;
  return array(select k || ': unknown field' from jsonb_object_keys(v_body) k
                where k not in (select f.field from m23.body_fields(p_function) f) order by k)
    || array(select f.field || ': ' || v.fault
               from m23.body_fields(p_function) with ordinality f (field, kind, is_required, most, words, n),
                    lateral (select case when v_body ? f.field
                                              then m23.value_fault(f.kind, f.most, f.words, v_body -> f.field)
                                         when f.is_required then 'is required' end) v (fault)
              where v.fault is not null order by f.n)
    || m23.together_faults(p_function, v_body, p_dry_run);
end $$;
