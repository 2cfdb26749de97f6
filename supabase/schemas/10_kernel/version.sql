-- open to: service_role
create function m23.version() returns text
language sql immutable as $$ select '0.1.0'::text $$;
comment on function m23.version() is
  'The release of the database half. Functions work with the database of their own and of the next minor version.';

-- The newest migration of this release.
create function m23.newest_migration() returns text
language sql immutable as $$ select '20261201000000'::text $$;
