-- Notes of many organisations in shared tables. Every row says whose it is (org_id), and row-level
-- security shows each user the rows of their own organisations.

create table public.orgs (
  id   uuid primary key default gen_random_uuid(),
  name text not null unique
);

create table public.members (
  org_id  uuid not null references public.orgs (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role    text not null check (role in ('owner', 'editor', 'reader')),
  primary key (org_id, user_id)
);
create index members_user on public.members (user_id);

create table public.notebooks (
  id     bigint generated always as identity primary key,
  org_id uuid not null references public.orgs (id),
  title  text not null,
  unique (org_id, title)
);

create table public.notes (
  id          bigint generated always as identity primary key,
  org_id      uuid not null references public.orgs (id),
  notebook_id bigint not null references public.notebooks (id) on delete cascade,
  body        text not null
);
create index notes_org on public.notes (org_id);
create index notes_notebook on public.notes (notebook_id);

create function public.my_orgs(p_roles text[] default '{owner, editor, reader}') returns setof uuid
language sql stable security definer set search_path = '' as
$$ select m.org_id from public.members m where m.user_id = auth.uid() and m.role = any (p_roles) $$;

alter table public.orgs enable row level security;
alter table public.members enable row level security;
alter table public.notebooks enable row level security;
alter table public.notes enable row level security;
create policy members_see on public.orgs for select to authenticated using (id in (select public.my_orgs()));
create policy members_see on public.members for select to authenticated using (org_id in (select public.my_orgs()));
create policy members_see on public.notebooks for select to authenticated using (org_id in (select public.my_orgs()));
create policy editors_add on public.notebooks for insert to authenticated with check (org_id in (select public.my_orgs('{owner, editor}')));
create policy editors_remove on public.notebooks for delete to authenticated using (org_id in (select public.my_orgs('{owner, editor}')));
create policy members_see on public.notes for select to authenticated using (org_id in (select public.my_orgs()));
create policy editors_add on public.notes for insert to authenticated with check (org_id in (select public.my_orgs('{owner, editor}')));
