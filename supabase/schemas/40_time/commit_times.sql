-- When transactions were committed: what the server still knows of it, and what was copied of that.

-- Whether the server records commit times.
create function m23.commit_times_are_native() returns boolean
language plpgsql stable as $$ begin return current_setting('track_commit_timestamp')::boolean; end $$;

-- Copies of commit times that the server is about to forget.
create table m23.commit_times (
  xid xid8 primary key,
  at  timestamptz not null
);
select m23.close_table('m23.commit_times');

-- Whether the server has recorded commit times ever since.
create function m23.commit_times_since(p_at timestamptz) returns text
language plpgsql stable as $$
begin
  return (select case when m23.commit_times_are_native() and not exists (
      select from m23.ticks t where t.at > p_at and not t.native) then 'native' else 'ticks' end);
end $$;
