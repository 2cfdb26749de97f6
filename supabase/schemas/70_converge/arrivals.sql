-- Rows that have come from another tenant since the moment: a restore does not delete them.

-- The keys that an update has brought to a tenant from another, in the log's entries `l` from a transaction on for
-- which a condition holds.
create function m23.arrived_keys(
  p_table m23.protected_tables, p_tenant text, p_from xid8, p_later text, p_held boolean default true
) returns text
language sql volatile as $$
  select format('select %s from %s l where l.tenant_id = %s and l.op = ''a'' and %s',
                string_agg(format('%s as %I', m23.log_value(p_table, c), c.name), ', ' order by c.key_ord),
                m23.log_of(p_table.id, p_tenant, p_from, p_held),
                m23.tenant_value(p_table, quote_literal(p_tenant)), p_later)
    from m23.columns_of(p_table.relid, p_of_key => true) c
$$;

-- Leaves live rows that came from another tenant after the moment: they are not this
-- restore's to delete.
create function m23.leave_arrived(p_target m23.target, p_tenant text) returns bigint
language plpgsql as $$
declare
  v_later text := m23.lies_after('l.xid', format('%L::m23.moment', p_target.moment));
begin
  if p_target.arrived is null and (p_target.moment).position is null then return 0; end if;
  return m23.leave_alone(p_target, 'd.m23_op = ''D'' and ' || m23.key_in((p_target.tbl).relid, 'd',
                   format('(%s)', coalesce(p_target.arrived,
                                           m23.arrived_keys(p_target.tbl, p_tenant, (p_target.moment).floor,
                                                            v_later)))));
end $$;

-- What nobody can know of rows that an archive does not have and a restore deletes.
create function m23.arrival_warnings(p_target m23.target, p_deletes bigint) returns text[]
language plpgsql volatile as $$
begin
  return case when p_target.arrived is null or p_deletes = 0
                or (p_target.moment).position is not null
                 and pg_visible_in_snapshot((p_target.tbl).xid, (p_target.moment).position) then '{}'
    else array[format('%s: the history before %s is missing; '
                      'whether rows that are deleted had come from another tenant before is not known',
                      m23.public_name((p_target.tbl).relid), m23.iso(m23.history_since(p_target.tbl)))] end;
end $$;
