-- M23's own transactions, for a later undo to replay by intent: what an undo took back counts for nothing by then, and
-- a restore or rollback is a return to its moment. Their rows in the log look like anybody's changes.

-- What an undo has taken back: the changes of these transactions, of one actor's only where one is named, in these
-- tables.
create table m23.undone (
  incarnation uuid not null references m23.incarnations (id),
  tenant_id   text not null,
  by_xid      xid8 not null,
  xids        xid8[] not null,
  actor       uuid,
  table_ids   int[] not null,
  primary key (incarnation, tenant_id, by_xid)
);
select m23.close_table('m23.undone');
comment on table m23.undone is 'Which transactions each undo of a tenant has taken back.';

-- The rows that it left otherwise than it was asked to, because of a conflict: on them, it is anybody's transaction.
create table m23.undone_except (
  incarnation uuid not null,
  tenant_id   text not null,
  by_xid      xid8 not null,
  table_id    int not null,
  key         text[] not null,  -- as text, in the order of the key
  primary key (incarnation, tenant_id, by_xid, table_id, key),
  foreign key (incarnation, tenant_id, by_xid) references m23.undone on delete cascade
);
select m23.close_table('m23.undone_except');
comment on table m23.undone_except is 'The rows in conflict of each undo.';

-- Restores and rollbacks: the rows that one has changed are as of its moment after it.
create table m23.returns (
  incarnation uuid not null references m23.incarnations (id),
  tenant_id   text not null,
  xid         xid8 not null,
  moment      m23.moment not null,
  primary key (incarnation, tenant_id, xid)
);
select m23.close_table('m23.returns');
comment on table m23.returns is 'To which moment each restore or rollback of a tenant went back.';

-- Notes that this transaction makes rows of a tenant what they were at a moment.
create function m23.note_return(p_tenant text, p_moment m23.moment) returns void
language plpgsql as $$
begin
  insert into m23.returns (incarnation, tenant_id, xid, moment)
    select m23.incarnation(), p_tenant, pg_current_xact_id(), p_moment where (p_moment).position is not null;
end $$;

-- Forgets what is older than the log: no undo comes to read it any more.
create function m23.prune_own_changes(p_needed xid8) returns void
language sql volatile as $$
  delete from m23.undone where by_xid < p_needed;
  delete from m23.returns where xid < p_needed
$$;
