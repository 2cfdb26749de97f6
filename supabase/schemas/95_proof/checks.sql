-- The checks of a test, noted one by one; together they are its tally.

-- Begins a list of checks, which ends with the transaction.
create function m23.open_checks() returns void
language sql as
$$ create temp table m23_checks (n int generated always as identity, kind text not null, object text not null,
                                 sentence text) on commit drop $$;

-- Notes a check; p_fault says what does not hold, null if it holds.
create function m23.note_check(p_kind text, p_object text, p_fault text default null) returns void
language plpgsql as $$
begin
  insert into pg_temp.m23_checks (kind, object, sentence) values (p_kind, p_object, p_fault);
end $$;

-- Ends the list of checks; gives its tally.
create function m23.close_checks() returns jsonb
language plpgsql as $$
declare v_tally jsonb;
begin
  select jsonb_build_object('passed', count(*) filter (where sentence is null), 'issues', count(sentence),
      'findings', coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'object', object, 'sentence', sentence)
                                     order by n) filter (where sentence is not null), '[]'))
    into v_tally from pg_temp.m23_checks;
  drop table pg_temp.m23_checks;
  return v_tally;
end $$;

-- Two tallies as one.
create function m23.add_tallies(p_one jsonb, p_other jsonb) returns jsonb
language sql immutable as $$
  select jsonb_build_object('passed', (p_one ->> 'passed')::bigint + (p_other ->> 'passed')::bigint,
    'issues', (p_one ->> 'issues')::bigint + (p_other ->> 'issues')::bigint,
    'findings', (p_one -> 'findings') || (p_other -> 'findings'))
$$;
