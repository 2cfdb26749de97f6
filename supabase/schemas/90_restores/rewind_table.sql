-- Takes one staged table back to a moment inside its member.
create function m23.rewind_table(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_in_chain m23.moment
) returns void
language plpgsql as $$
declare
  v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(p_staged.columns) c);
begin
  execute m23.fill($sql$create temp table m23_rewound on commit drop as
      with logged as (select r.* from {history} r where {lies_inside})
      select touched.*, (exists (select from {staging} t where {same_key}))::int - touched.m23_balance = 1 as m23_there
        from ({first_images}) touched$sql$,
    'history', p_staged.history, 'lies_inside', m23.staged_lies_after(p_in_chain), 'staging', p_staged.staging,
    'same_key', m23.key_match(p_table.relid, 't', 'touched'),
    'first_images', m23.first_images(p_table.relid, p_staged.columns, coalesce(p_staged.groups, '[]'), 'logged',
                                     p_staged.staging, 'true'));
  execute format('delete from %s r using pg_temp.m23_rewound t where %s', p_staged.staging,
                 m23.key_match(p_table.relid, 't', 'r'));
  execute format('insert into %1$s (%2$s) select %2$s from pg_temp.m23_rewound r where r.m23_there', p_staged.staging,
                 v_columns);
  execute m23.fill($sql$
      update m23.staged_tables set standing = (select count(*) from {staging})
       where restore_id = $1 and ordinal = $2$sql$, 'staging', p_staged.staging)
    using p_staged.restore_id, p_staged.ordinal;
  drop table pg_temp.m23_rewound;
end $$;
