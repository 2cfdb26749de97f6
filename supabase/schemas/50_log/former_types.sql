-- Types of the application, as they were. The log and archives keep a value of such a type as text, which is read by
-- the present type: a label of an enum can have another name by now, a composite type other attributes. Their numbers
-- in the catalogue stay. So it is kept which numbers stood for what, and since when; with that a text is put into
-- present words.

-- The types that the columns of tables have.
create function m23.column_types(p_tables oid[]) returns oid[]
language plpgsql stable as $$
begin
  return array(select distinct a.atttypid from pg_attribute a
                where a.attrelid = any (p_tables) and a.attnum > 0 and not a.attisdropped);
end $$;

-- Keeping what they are --------------------------------------------------------------------

create table m23.type_versions (
  type        oid not null,
  since       pg_lsn not null,  -- the first change id that it holds for; 0/0: all
  xid         xid8 not null,    -- the transaction that made it so
  incarnation uuid not null references m23.incarnations (id),
  numbers     oid[] not null,   -- of an enum's labels, or a composite type's attributes, in ascending order
  names       text[] not null,
  check (cardinality(numbers) = cardinality(names)),
  primary key (incarnation, type, since)
);
select m23.close_table('m23.type_versions');
comment on table m23.type_versions is
  'What the enums and composite types that protected tables use were made of, and since when.';

-- The whole number of a transaction that the catalogue knows by its last 32 bits.
create function m23.whole_xid(p_xid xid) returns xid8
language plpgsql stable as $$
begin
  return (
    select greatest(0, near.xid - 2147483648
                       + mod(mod(p_xid::text::numeric - near.xid + 2147483648, 4294967296) + 4294967296, 4294967296)
                      )::text::xid8
      from (select pg_snapshot_xmax(pg_current_snapshot())::text::numeric as xid) near);
end $$;

-- What an enum or a composite type is made of now: labels or attributes by their numbers, and who altered it last.
create function m23.type_parts(p_type oid, out numbers oid[], out names text[], out xid xid8)
language sql stable as $$
  select coalesce(array_agg(p.number order by p.number) filter (where p.is_there), '{}'),
         coalesce(array_agg(p.name order by p.number) filter (where p.is_there), '{}'), max(m23.whole_xid(p.xid))
    from (select e.oid as number, e.enumlabel::text as name, true as is_there, e.xmin as xid
            from pg_enum e where e.enumtypid = p_type
          union all
          select a.attnum::int::oid, a.attname, not a.attisdropped, a.xmin
            from pg_type t join pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0
           where t.oid = p_type and t.typtype = 'c') p
$$;

-- The types whose versions are kept in this life of the database, and what they are by the last one.
create function m23.known_types() returns table (type oid, numbers oid[], names text[])
language sql stable rows 5 as $$
  select distinct on (v.type) v.type, v.numbers, v.names from m23.type_versions v
   where v.incarnation = m23.present_life() order by v.type, v.since desc
$$;

-- The same for all that are known: each minute, and where a command has altered a type.
create function m23.renew_types() returns int
language sql volatile as
$$ select m23.note_types(array(select k.type from m23.known_types() k)) $$;

-- Whether types that a table uses have been altered since a position, or may have been, as nobody has noted it yet.
create function m23.has_altered_type(p_relid oid, p_position pg_snapshot) returns boolean
language plpgsql stable as $$
begin
  return exists (
    select from m23.types_within(m23.column_types(array[p_relid])) u join m23.known_types() k on k.type = u.type
     cross join lateral m23.type_parts(u.type) p
     where p.numbers <> k.numbers or p.names <> k.names
        or exists (select from m23.type_versions v
                    where v.type = u.type and v.incarnation = m23.present_life()
                      and not pg_visible_in_snapshot(v.xid, p_position)));
end $$;

-- Present words -----------------------------------------------------------------------------

-- Versions of a type in the order in which they are asked: the one that held at a change id, or at a position, the ones
-- before it, the ones after it. Others, too: whoever wrote while a type was altered may have been the last to use its
-- words.
create function m23.versions_at(p_type oid, p_at pg_lsn, p_position pg_snapshot)
returns table (numbers oid[], names text[], rank bigint)
language plpgsql stable rows 2 as $$
begin
  return query
  select v.numbers, v.names, row_number() over (order by v.held desc, case when v.held then v.n * -1 else v.n end)
    from (select o.numbers, o.names, row_number() over (order by o.since) as n,
                 coalesce(o.since <= p_at, pg_visible_in_snapshot(o.xid, p_position)) as held
            from m23.type_versions o where o.type = p_type and o.incarnation = m23.present_life()) v;
end $$;

-- The labels that are called otherwise now: `{"former": "present"}`.
create function m23.former_labels(p_type oid, p_at pg_lsn, p_position pg_snapshot) returns jsonb
language plpgsql stable as $$
begin
  return (select jsonb_object_agg(was.name, e.enumlabel)
      from (select distinct on (p.name) p.name, p.number
              from m23.versions_at(p_type, p_at, p_position) v, unnest(v.names, v.numbers) p (name, number)
             order by p.name, v.rank) was
      join pg_enum e on e.oid = was.number and e.enumlabel <> was.name);
end $$;

-- Where the present attributes stand in a value of so many fields, if not in their order: `{"2": [1, null, 2]}`.
create function m23.former_fields(p_type oid, p_at pg_lsn, p_position pg_snapshot) returns jsonb
language plpgsql stable as $$
begin
  return (select jsonb_object_agg(cardinality(was.numbers), now.places)
      from (select distinct on (cardinality(v.numbers)) v.numbers
              from m23.versions_at(p_type, p_at, p_position) v order by cardinality(v.numbers), v.rank) was
     cross join lateral (
           select coalesce(jsonb_agg(array_position(was.numbers, a.attnum::int::oid) order by a.attnum), '[]') as places
             from pg_type t join pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
            where t.oid = p_type) now
     where now.places <> (select coalesce(jsonb_agg(n), '[]') from generate_series(1, cardinality(was.numbers)) n));
end $$;

-- What has to be put into other words in values of a type as of a change id, or of a position, by the numbers of
-- the types within: `{}` for nothing.
create function m23.former_words(p_type oid, p_at pg_lsn, p_position pg_snapshot) returns jsonb
language plpgsql stable as $$
begin
  if not exists (select from m23.type_versions where since > '0/0') then return '{}'; end if;
  return (select coalesce(jsonb_object_agg(u.type, f.words) filter (where f.words is not null), '{}')
            from m23.types_within(array[p_type]) u join pg_type t on t.oid = u.type
           cross join lateral (select case t.typtype
                                  when 'e' then m23.former_labels(u.type, p_at, p_position)
                                  when 'c' then m23.former_fields(u.type, p_at, p_position) end) f (words));
end $$;

-- An enum, under domains; null where a type is none.
create function m23.enum_of(p_type oid) returns oid
language plpgsql stable as $$
begin
  return (with recursive under (type) as (
      select p_type union all select t.typbasetype from under u join pg_type t on t.oid = u.type and t.typtype = 'd')
    select t.oid from under u join pg_type t on t.oid = u.type and t.typtype = 'e');
end $$;

-- The expression that puts a text, which is an expression, into present words.
create function m23.present_words(p_text text, p_type oid, p_words jsonb) returns text
language plpgsql stable as $$
declare v_enum oid := case when p_words <> '{}' then m23.enum_of(p_type) end;
begin
  return case when p_words = '{}' then p_text
    when v_enum is not null
    then format('coalesce(%1$L::jsonb ->> (%2$s), %2$s)', p_words -> v_enum::text, p_text)
    else format('m23.in_present_words(%s, %s, %L)', p_text, p_type, p_words) end;
end $$;
