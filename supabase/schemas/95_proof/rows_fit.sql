-- Inserts the staged rows into the copy; gives why they do not fit, null if they do.
create function m23.rows_fit(p_scratch m23.scratch) returns text
language plpgsql as $$
declare
  v_list       text := (select string_agg(quote_ident(c), ', ') from unnest((p_scratch.staged).columns) c);
  v_constraint text;
  v_rows       bigint;
begin
  v_rows := m23.run(p_scratch.path, format('insert into %s (%s) overriding system value select %s from %s',
    m23.qualified_name((p_scratch.copy).relid), v_list, v_list, (p_scratch.staged).staging));
  if v_rows <> (p_scratch.staged).standing then  -- no damage of the backup: the next worker stages anew
    perform m23.refuse('UNAVAILABLE', 'the database was restarted while the archive was read back');
  end if;
  perform m23.look_at(p_scratch);
  return null;
exception
  when integrity_constraint_violation then
    get stacked diagnostics v_constraint = constraint_name;
    return format('rows of %s break "%s"', p_scratch.name, v_constraint);
  when data_exception then
    return (select string_agg(u, '; ') from m23.unfit_columns(m23.new_target(p_scratch.live,
              p_wanted => format('select * from %s', (p_scratch.staged).staging),
              p_columns => (p_scratch.staged).columns, p_path => p_scratch.path, p_kept => '{}'), null) u);
end $$;
