#![allow(clippy::unwrap_used)]

use super::*;
use crate::Definition;

fn table() -> Table {
    Table {
        schema: "shop".to_owned(),
        name: "Orders".to_owned(),
        tenant_column: Some("t".to_owned()),
        path: None,
        key: vec!["k".to_owned()],
        columns: Vec::new(),
        whole: true,
        groups: None,
        chunks: Vec::new(),
        history: Vec::new(),
        definition: Definition::default(),
    }
}

fn checked(sql: &str, stage: Stage) -> Result<Subject, String> {
    let table = table();
    let known = Name {
        schema: "shop".to_owned(),
        name: "orders_2024".to_owned(),
    };
    let of = (stage != Stage::Types).then_some(&table);
    check(sql, stage, of, &mut vec![known])
}

#[test]
fn what_a_database_writes_is_taken() {
    let taken = [
        (
            Stage::Types,
            &[
                "create schema if not exists \"My shop\"",
                "create extension if not exists citext with schema extensions",
                "create collation if not exists words.numbered (provider = icu, locale = 'und', deterministic = \
                 false, rules = '&V << w')",
                "create sequence if not exists shop.ranks as integer increment -2 minvalue -1000 maxvalue 100 \
                 start 100 cycle",
                "create type shop.colour as enum ('red', 'it''s \"dark\"; green', E'\\\\!')",
                "create type shop.empty as enum ()",
                "create type shop.pair as (a integer, \"B;\" shop.colour[])",
                "create type shop.span as range (subtype = numeric(10,2))",
                "create domain shop.share as numeric(5,2) default 0 not null constraint a CHECK (((VALUE >= \
                 (0)::numeric) AND (VALUE <= (100)::numeric)))",
            ][..],
        ),
        (
            Stage::Create,
            &[
                "create schema if not exists shop",
                "create sequence if not exists shop.s as bigint increment 1 minvalue 1 maxvalue 9 start 1",
                "create table shop.\"Orders\" (id integer not null, label character varying(20) collate \
                 pg_catalog.\"C\", half numeric generated always as ((\"Share\" / (2)::numeric)) stored, ten \
                 integer generated always as identity (increment 10 minvalue 10 maxvalue 10000 start 100 cycle) \
                 not null)",
                "create table shop.\"Orders\" (id integer) partition by RANGE (made, lower(label))",
                "create table shop.orders_2024 partition of shop.\"Orders\" FOR VALUES FROM ('2024-01-01', 5) \
                 TO ('2025-01-01', MAXVALUE) partition by HASH (id)",
                "create table shop.part partition of shop.orders_2024 FOR VALUES WITH (modulus 4, remainder 0)",
                "create table shop.list partition of shop.\"Orders\" FOR VALUES IN ('a;', NULL, E'\\\\')",
                "create table shop.rest partition of shop.\"Orders\" DEFAULT",
            ],
        ),
        (
            Stage::Finish,
            &[
                "alter table shop.\"Orders\" alter column number set default ('no. '::text || \
                 nextval('shop.numbers'::regclass))",
                "alter table shop.\"Orders\" alter column tags set default ARRAY['a'::text, 'b'::text]",
                "alter sequence shop.goods_id_seq owned by shop.\"Orders\".id",
                "alter table shop.\"Orders\" add constraint goods_pkey PRIMARY KEY (id)",
                "alter table shop.\"Orders\" add primary key (id)",
                "alter table shop.\"Orders\" add constraint u UNIQUE NULLS NOT DISTINCT (tenant_id, label)",
                "alter table shop.\"Orders\" add constraint x EXCLUDE USING gist (room WITH =, during WITH &&)",
                "alter table shop.\"Orders\" add constraint c CHECK ((tags[1:n] <> '{}'::text[])) NO INHERIT NOT VALID",
                "CREATE UNIQUE INDEX goods_made ON shop.\"Orders\" USING btree (made DESC, lower(label)) \
                 INCLUDE (a, b) WITH (fillfactor='70') WHERE (colour = 'red'::shop.colour)",
                "CREATE INDEX i ON ONLY shop.\"Orders\" USING gin (doc jsonb_path_ops)",
                "alter table shop.\"Orders\" enable row level security",
                "alter table shop.\"Orders\" force row level security",
                "create policy \"Own;\" on shop.\"Orders\" as permissive for all to authenticated, anon using \
                 ((tenant_id IN ( SELECT m23.caller_tenants() AS caller_tenants))) with check ((a \
                 OPERATOR(ext.@>) B'101'::\"bit\"))",
                "grant select, insert on shop.\"Orders\" to authenticated",
            ],
        ),
        (
            Stage::References,
            &[
                "alter table shop.\"Orders\" add constraint f FOREIGN KEY (account, t) REFERENCES \
                 shop.accounts(id, t) ON DELETE SET NULL (account) DEFERRABLE INITIALLY DEFERRED",
            ],
        ),
    ];
    for (stage, statements) in taken {
        for sql in statements {
            assert!(
                checked(sql, stage).is_ok(),
                "{sql}: {:?}",
                checked(sql, stage)
            );
        }
    }
}

#[test]
fn more_than_one_statement_is_refused_however_it_is_hidden() {
    for sql in [
        "create schema if not exists a; drop table b",
        "create schema if not exists a;",
        "create type a.b as enum ('\\'); drop table c; --')",
        "create type a.b as enum (E'\\''); drop table c; --')",
        "create type a.b as enum ('x'\n'y')",
        "create type a.b as enum (E'x'\n'\\'); drop table c; --')",
        "create domain a.b as text default $$;$$",
        "create domain a.b as text default $a$ x",
        "create domain a.b as text /* ; */",
        "create domain a.b as text -- ;",
        "create domain a.b as text default nameE'\\'; --'",
        "create domain a.b as text default 1E'\\'; --'",
        "create domain a.b as text default (1]",
        "create domain a.b as text default (1",
        "create domain a.b as text default 1)",
        "create domain a.\"b as text",
        "create domain a.b as text default 'x",
        "create domain a.b as text default :{?x}",
        "create domain a.b as text default 1 \\! sh",
        "create domain a.b as text default (1 \\g |sh\n)",
        "create domain a.b as text default '\0'",
        "create domain a.b as\u{b}text",
        "create domain a.b as text\r",
        "\\! sh",
        "",
    ] {
        assert!(checked(sql, Stage::Types).is_err(), "{sql}");
    }
}

#[test]
fn a_statement_of_another_kind_is_refused_even_when_it_begins_as_one_that_is_known() {
    let all = [
        "drop table shop.\"Orders\"",
        "create function shop.f() returns int language sql as 'select 1'",
        "create schema if not exists shop create table t (id int)",
        "create schema shop authorization postgres",
        "create extension if not exists plpython3u",
        "create type shop.span as range (subtype = int, canonical = shop.f)",
        "create type shop.base (input = f, output = g)",
        "create sequence if not exists shop.s as bigint owned by auth.users.id",
        "create table shop.\"Orders\" as select pg_sleep(9)",
        "create table shop.\"Orders\" (id int) as select 1",
        "create table shop.\"Orders\" (id int) inherits (auth.users)",
        "create table shop.\"Orders\" of shop.kind",
        "create temp table \"Orders\" (id int)",
        "create table shop.part partition of shop.\"Orders\" for values from (pg_read_file('x')) to (9)",
        "create table shop.part partition of shop.\"Orders\" for values in ((select 1))",
        "create table shop.part partition of auth.users default",
        "create table shop.part partition of shop.\"Orders\" (check (true)) default",
        "alter table shop.\"Orders\" owner to evil",
        "alter table shop.\"Orders\" disable row level security",
        "alter table shop.\"Orders\" alter column a set default 1, owner to evil",
        "alter table shop.\"Orders\" add constraint c check (true), disable trigger all",
        "alter table shop.\"Orders\" alter column a type text using f(a)",
        "alter table if exists shop.\"Orders\" force row level security",
        "alter sequence shop.s owned by none",
        "alter sequence shop.s restart 1",
        "create unique index concurrently i on shop.\"Orders\" using btree (a)",
        "grant select on shop.\"Orders\" to postgres",
        "grant select on shop.\"Orders\" to anon with grant option",
        "grant select on shop.\"Orders\", auth.users to anon",
        "grant all on shop.\"Orders\" to anon",
        "grant postgres to anon",
        "comment on table shop.\"Orders\" is 'x'",
        "select 1",
        "do 'begin end'",
        "begin",
    ];
    for stage in [
        Stage::Types,
        Stage::Create,
        Stage::Finish,
        Stage::References,
    ] {
        for sql in all {
            assert!(checked(sql, stage).is_err(), "{stage:?} {sql}");
        }
    }
}

#[test]
fn a_definition_is_about_its_own_table_and_never_about_what_is_not_the_applications() {
    for (stage, sql) in [
        (Stage::Create, "create table shop.orders (id int)"),
        (Stage::Create, "create type shop.colour as enum ('a')"),
        (Stage::Types, "create table shop.\"Orders\" (id int)"),
        (
            Stage::Finish,
            "alter table auth.users force row level security",
        ),
        (
            Stage::Finish,
            "alter sequence shop.s owned by auth.users.id",
        ),
        (
            Stage::Finish,
            "create policy p on m23.settings as permissive for all to anon using (true)",
        ),
        (
            Stage::Finish,
            "alter table shop.\"Orders\" add constraint f foreign key (a) references b (c)",
        ),
        (
            Stage::References,
            "alter table shop.other add foreign key (a) references b (c)",
        ),
        (Stage::Types, "create domain m23.x as text"),
        (Stage::Types, "create domain \"m23_log\".x as text"),
        (Stage::Types, "create schema if not exists pg_temp_3"),
        (Stage::Types, "create type pg_catalog.x as enum ('a')"),
        (Stage::Types, "create domain x as text"),
    ] {
        assert!(checked(sql, stage).is_err(), "{stage:?} {sql}");
    }
}

#[test]
fn psql_sees_no_variable_in_what_is_written_for_it() {
    for (sql, written) in [
        (
            "check (tags[1:n] = ':n'::text)",
            "check (tags[1: n] = ':n'::text)",
        ),
        ("a[\"x:y\":\"DBNAME\"]", "a[\"x:y\": \"DBNAME\"]"),
        ("'ö:a' :b", "'ö:a' : b"),
        ("nothing", "nothing"),
    ] {
        assert_eq!(for_psql(sql), written);
    }
}
