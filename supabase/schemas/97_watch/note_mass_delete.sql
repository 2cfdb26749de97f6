-- What was told already is not told again, unless it was a small part of this.
create function m23.note_mass_delete(
  p_part m23.grown_part, p_tenant text, p_first xid8, p_since timestamptz, p_until timestamptz, p_rows bigint)
returns void
language sql volatile as $$
  insert into m23.alerts (kind, subject, tenant_id, is_event, ended_at, summary, detail)
    select 'mass_delete', about.subject, p_tenant, true, clock_timestamp(),
           format('%s rows of %s were deleted within a minute', p_rows, about.name),
           jsonb_build_object('table', about.name, 'rowsDeleted', p_rows, 'transactionId', p_first::text,
                              'since', m23.iso(p_since), 'until', m23.iso(p_until),
                              'targetTimestamp', m23.moment_before(p_first, p_since))
      from (select concat_ws('/', (p_part.tbl).id, p_tenant), m23.public_name((p_part.tbl).relid)) about (subject, name)
     where not exists (
       select from m23.alerts a
        where a.kind = 'mass_delete' and a.subject = about.subject and a.detail ->> 'until' >= m23.iso(p_since)
          and (a.detail ->> 'rowsDeleted')::bigint * 2 >= p_rows)
$$;
