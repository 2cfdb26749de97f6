-- What a snapshot keeps: this moment.
create function m23.snapshot_here() returns jsonb
language plpgsql volatile as $$
begin
  return jsonb_build_object('position', m23.current_position()::text, 'incarnation', m23.incarnation(),
                            'taken_at', clock_timestamp());
end $$;
