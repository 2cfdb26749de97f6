-- A table of ours is for our own functions: row-level security is on, and lets nobody through.
create function m23.close_table(p_table regclass) returns void
language plpgsql as $$
begin
  execute format('alter table %s enable row level security', p_table);
  execute format('create policy nobody on %s using (false)', p_table);
end $$;
comment on function m23.close_table(regclass) is 'Keeps a table from everybody but its owner and the service key.';
