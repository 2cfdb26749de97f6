-- Tries a statement as somebody, and takes everything back. What comes of it: the error's words, or what was read, and
-- which rows that speak of the other tenant are not what they were.

create schema torture;

-- The rows of a table that speak of the other tenant, each with its place.
create function torture.digest(p_table regclass, p_marks text) returns text
language plpgsql as $$
declare v_digest text;
begin
  execute format($q$
    select concat_ws(' ', count(*), sum(hashtextextended(concat_ws(' ', t.ctid, t.xmin, t), 0)::numeric))
      from only %s t where t::text ~ $1$q$, p_table)
    into v_digest using p_marks;
  return v_digest;
end $$;

create function torture.writes() returns table (relid oid, writes bigint) language sql volatile as $$
  select s.relid, s.n_tup_ins + s.n_tup_upd + s.n_tup_del from pg_stat_xact_all_tables s
   where s.schemaname !~ '^(pg_|information_schema|torture)' and s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0 $$;

create table torture.digests as
  select c.oid as relid, ''::text as digest from pg_class c
   where c.relkind = 'r'
     and c.relnamespace in (select oid from pg_namespace where nspname !~ '^(pg_|information_schema|torture)');

create function torture.probe(p_role text, p_claims jsonb, p_statement text, p_marks text) returns jsonb
language plpgsql as $$
declare
  v_before jsonb := (select coalesce(jsonb_object_agg(w.relid, w.writes), '{}') from torture.writes() w);
  v_read   text;
  v_state  text;
  v_words  text;
  v_detail text;
  v_hint   text;
begin
  begin
    perform set_config('request.jwt.claims', p_claims::text, true);
    execute format('set local role %I', p_role);
    execute p_statement into v_read;
    execute 'set local role none';
    raise exception using errcode = 'TORTU', message = jsonb_build_object('read', v_read, 'written', (
      select coalesce(jsonb_agg(w.relid::regclass), '[]')
        from torture.writes() w join torture.digests d on d.relid = w.relid
       where w.writes > coalesce((v_before ->> w.relid::text)::bigint, 0)
         and torture.digest(w.relid, p_marks) is distinct from d.digest));
  exception when others then
    get stacked diagnostics v_state = returned_sqlstate, v_words = message_text, v_detail = pg_exception_detail,
                            v_hint = pg_exception_hint;
  end;
  return case v_state
    when 'TORTU' then v_words::jsonb
    else jsonb_build_object('state', v_state, 'words', concat_ws(' | ', v_words, v_detail, v_hint))
  end;
end $$;
