-- What a failure means to the caller: a refusal keeps its words, a constraint names itself,
-- anything else is ours, and its cause goes to the server's log.
create function m23.failure_answer(p_state text, p_message text, p_table text, p_constraint text) returns json
language plpgsql as $$
begin
  if p_state = 'PGRST' then
    return (select json_build_object('code', m ->> 'code', 'message', m ->> 'message',
                                     'details', (m ->> 'details')::json)
              from (select p_message::json) x (m));
  elsif p_state = '57014' then
    return json_build_object('code', 'UNAVAILABLE',
                             'message', 'the restore was cancelled before it was done; nothing was changed');
  elsif p_state ~ '^2[23]' then  -- its message would show the value
    return json_build_object('code', 'CONFLICT', 'message', m23.rules_sentence(),
      'details', array_remove(array[nullif(concat_ws(': ',
        nullif(p_table, ''), 'they would break "' || nullif(p_constraint, '') || '"'), '')], null));
  end if;
  raise log 'm23: restore failed: % (%)', p_message, p_state using hint = m23.shortage_hint(p_state);
  if p_state ~ '^53' then
    return json_build_object('code', 'UNAVAILABLE',
      'message', 'the database has no room for this just now; nothing was changed');
  end if;
  return json_build_object('code', 'INTERNAL',
    'message', 'the restore failed for a reason of our own; nothing was changed',
    'cause', p_message || ' (' || p_state || ')');
end $$;

-- What an operator does about a server that lacks something.
create function m23.shortage_hint(p_state text) returns text
language sql immutable as $$
  select case p_state
    when '53100' then 'The disk of the database is full: give it room. docs/on-call.md says what may go.'
    when '53200' then 'The database is out of memory, or max_locks_per_transaction is too low for so many tables.'
    when '53300' then 'All connections are in use: max_connections, or the pool of PostgREST, is too small.'
    else '' end
$$;
