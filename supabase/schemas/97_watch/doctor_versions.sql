-- Whether database, functions and the history of migrations are of one release.
create function m23.doctor_versions() returns setof m23.finding
language sql stable as $$
  select 'versions',
         case when not others.work then 'problem' when others.names is not null then 'warning' else 'ok' end,
         format('the database is of release %s', m23.version()) || case
           when others.names is not null then ', and of another are the functions ' || others.names
             || case when others.work then ', which work with it' else ', whose calls are refused' end
           when others.known then ', as are the functions'
           else '; no function has said its own yet' end,
         case when others.names is not null
              then 'deploy the functions of the release that the migrations are of, or push the migrations of the '
                   'functions'' release' end
    from (select string_agg(format('%s (%s)', c.name, c.version), ', ' order by c.name)
                   filter (where c.version <> m23.version()),
                 coalesce(bool_and(m23.works_with(c.version)) filter (where c.version is not null), true),
                 bool_or(c.version is not null)
            from m23.crons() c) others (names, work, known)
  union all
  select 'versions', 'warning',
         format('the history of migrations does not have %s, which is in force', m23.newest_migration()),
         format('supabase migration repair --status applied %s; else the next push applies it once more',
                m23.newest_migration())
   where not m23.history_has_migration()
$$;
