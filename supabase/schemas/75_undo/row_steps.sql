-- The steps of rows: what each transaction did to one. A row is followed from key to key; each has a life of its own.

create type m23.row_step as (
  life       bigint,
  at         pg_lsn,   -- of the last change
  xid        xid8,
  class      "char",   -- as m23.row_version has it
  arrived    boolean,  -- from another tenant
  before_no  bigint,   -- its key before, and after: numbers of the gathered keys; null where it was not there
  after_no   bigint,
  is_sound   boolean,  -- the log's entries fit together
  images     m23.logged_image[]
);

-- A step, by the fields that a walk reads.
create function m23.new_step(p_xid xid8, p_class "char", p_arrived boolean, p_before_no bigint, p_after_no bigint,
                             p_is_sound boolean, p_images m23.logged_image[])
returns m23.row_step
language plpgsql immutable as $$
declare v_step m23.row_step;
begin
  v_step.xid := p_xid;
  v_step.class := p_class;
  v_step.arrived := p_arrived;
  v_step.before_no := p_before_no;
  v_step.after_no := p_after_no;
  v_step.is_sound := p_is_sound;
  v_step.images := p_images;
  return v_step;
end $$;

-- The class of a transaction's changes `g` of a key `k`: g.xid, g.is_back, g.actors.
create function m23.class_of_changes(p_target m23.target, p_tenant text, p_neutral m23.neutral[]) returns text
language plpgsql stable as $$
begin
  return m23.fill($sql$case
      when g.xid = any ({neutral_xids}) and exists (
             select from unnest({neutral}::m23.neutral[]) n
              where n.xid = g.xid and {table} = any (n.table_ids) and (n.actor is null or g.actors = array[n.actor])
                and not exists (select from m23.undone_except e
                                 where e.incarnation = {life} and e.tenant_id = {tenant} and e.by_xid = n.by_xid
                                   and e.table_id = {table} and e.key = k.m23_key)) then 'n'::"char"
      when g.is_back then 's'
      when exists (select from m23.returns r
                    where r.incarnation = {life} and r.tenant_id = {tenant} and r.xid = g.xid) then 'r'
      else 'o' end$sql$,
    'neutral_xids', quote_literal(array(select n.xid from unnest(p_neutral) n)) || '::xid8[]',
    'neutral', quote_literal(p_neutral), 'table', (p_target.tbl).id::text, 'life', quote_literal(m23.present_life()),
    'tenant', quote_literal(p_tenant));
end $$;

-- What each transaction did to each key of those for which a condition holds, with the balances of before and after.
create function m23.key_changes(p_target m23.target, p_condition text) returns text
language plpgsql stable as $$
begin
  return m23.fill($sql$
    (select c.*, (k.m23_live is not null)::int - coalesce(sum(c.balance) over later, 0) as after_balance
       from (select e.m23_no, e.xid, max(e.change_id) as at, bool_and(e.is_back) as is_back,
                    bool_or(e.op = 'a') as arrived, array_agg(distinct e.actor) as actors,
                    sum(case when e.op in ('I', 'n', 'a') then 1 when e.op in ('D', 'o', 'l') then -1 else 0 end)
                      as balance,
                    array_agg(e.image order by e.change_id) filter (where e.op in ('U', 'D')) as images
               from {entries} e group by e.m23_no, e.xid) c
       join {keys} k using (m23_no)
      where {condition}
     window later as (partition by c.m23_no order by c.at desc rows between unbounded preceding and 1 preceding))$sql$,
    'entries', m23.undo_name(p_target.tbl, 'entries'), 'keys', m23.undo_name(p_target.tbl, 'keys'),
    'condition', p_condition);
end $$;

-- Notes the steps of rows that have kept their keys.
create function m23.note_steps(p_target m23.target, p_tenant text, p_neutral m23.neutral[], p_condition text)
returns void
language plpgsql as $$
begin
  execute m23.fill($sql$
    insert into {steps}
    select g.m23_no, g.at, g.xid, {class}, g.arrived,
           case when g.after_balance - g.balance = 1 then g.m23_no end, case when g.after_balance = 1 then g.m23_no end,
           g.after_balance in (0, 1) and g.after_balance - g.balance in (0, 1), g.images
      from {changes} g join {keys} k using (m23_no)$sql$,
    'steps', m23.undo_name(p_target.tbl, 'steps'), 'class', m23.class_of_changes(p_target, p_tenant, p_neutral),
    'changes', m23.key_changes(p_target, p_condition), 'keys', m23.undo_name(p_target.tbl, 'keys'));
end $$;
