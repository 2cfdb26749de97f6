//! The names that M23 takes: nothing is changed where one of them is the application's.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::piece::pattern;
use super::statements::without_comments;

pattern!(SCHEMA, r"^create schema (\w+)");
pattern!(
    RELATION,
    r"^create (?:unlogged )?(?:table|type|domain|view) public\.(\w+)"
);
pattern!(
    INDEX,
    r"^create (?:unique )?index (\w+) on (?:only )?public\."
);
pattern!(
    FUNCTION,
    r"^create (?:or replace )?function public\.(\w+)\s*\("
);

/// Names of schemas, and of what stands in `public`.
#[derive(Default)]
pub struct Names {
    schemas: BTreeSet<String>,
    relations: BTreeSet<String>,
    indexes: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Names {
    /// What statements make.
    pub fn of<'a>(statements: impl Iterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for statement in statements {
            let code = without_comments(statement);
            for (pattern, found) in [
                (&SCHEMA, &mut names.schemas),
                (&RELATION, &mut names.relations),
                (&INDEX, &mut names.indexes),
                (&FUNCTION, &mut names.functions),
            ] {
                found.extend(pattern.captures(code).map(|name| name[1].to_owned()));
            }
        }
        names
    }

    /// The names that others do not have.
    pub fn without(&self, others: &Self) -> Self {
        let rest = |one: &BTreeSet<String>, other| one - other;
        Self {
            schemas: rest(&self.schemas, &others.schemas),
            relations: rest(&self.relations, &others.relations),
            indexes: rest(&self.indexes, &others.indexes),
            functions: rest(&self.functions, &others.functions),
        }
    }

    /// A statement that refuses, with the whole list, where names are taken.
    pub fn refusal(&self) -> String {
        let all = [
            &self.schemas,
            &self.relations,
            &self.indexes,
            &self.functions,
        ];
        if all.iter().all(|names| names.is_empty()) {
            return String::new();
        }
        TEMPLATE
            .replace("{schemas}", &lines(&self.schemas))
            .replace("{relations}", &lines(&self.relations))
            .replace("{indexes}", &lines(&self.indexes))
            .replace("{functions}", &lines(&self.functions))
    }
}

/// Names as the text of an array, in lines of at most 120 columns.
fn lines(names: &BTreeSet<String>) -> String {
    let mut text = String::from("{");
    let mut width = 0;
    for (at, name) in names.iter().enumerate() {
        if at > 0 && width + name.len() > 80 {
            text += ",\n    ";
            width = 0;
        } else if at > 0 {
            text += ", ";
            width += 2;
        }
        text += name;
        width += name.len();
    }
    text + "}"
}

const TEMPLATE: &str = r"-- M23 takes these names. Where one is taken, all that are taken are told, and nothing is changed.
do $$
declare
  v_schemas   constant text[] := '{schemas}';
  v_relations constant text[] := '{relations}';
  v_indexes   constant text[] := '{indexes}';
  v_functions constant text[] := '{functions}';
  v_taken     text;
begin
  select string_agg(t.what, ', ' order by t.what) into v_taken
    from (select 'schema ' || n.nspname from pg_namespace n where n.nspname = any (v_schemas)
          union
          select case c.relkind when 'v' then 'view ' when 'm' then 'materialized view ' when 'i' then 'index '
                                when 'S' then 'sequence ' else 'table ' end || 'public.' || c.relname
            from pg_class c
           where c.relnamespace = 'public'::regnamespace and c.relname = any (v_relations || v_indexes)
             and c.relkind <> 'c'
          union
          select 'type public.' || t.typname
            from pg_type t left join pg_class c on c.oid = t.typrelid
           where t.typnamespace = 'public'::regnamespace and t.typname = any (v_relations)
             and coalesce(c.relkind = 'c', true)
          union
          select format('function public.%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid))
            from pg_proc p where p.pronamespace = 'public'::regnamespace and p.proname = any (v_functions)) t (what);
  if v_taken is not null then
    raise exception 'M23 cannot be installed, because these names are taken: %', v_taken
      using errcode = 'duplicate_object',
            hint = 'Rename these objects of the application, then try again. Nothing was changed.';
  end if;
end $$;

";

#[cfg(test)]
mod tests {
    use super::Names;

    const MADE: [&str; 7] = [
        "-- What it is.\ncreate table public.audit_log (id int);",
        "create view public.transaction_logs as select 1;",
        "create unique index audit_log_created on public.audit_log (id);",
        "create index leases_until on m23.leases (until);",
        "create or replace function public.get_health(p_a int) returns int language sql as $$ select 1 $$;",
        "create or replace function m23.tick() returns int language sql as $$ select 1 $$;",
        "create schema m23;",
    ];

    #[test]
    fn names_are_schemas_and_what_stands_in_public() {
        let refusal = Names::of(MADE.into_iter()).refusal();
        for taken in [
            "v_schemas   constant text[] := '{m23}'",
            "v_relations constant text[] := '{audit_log, transaction_logs}'",
            "v_indexes   constant text[] := '{audit_log_created}'",
            "v_functions constant text[] := '{get_health}'",
        ] {
            assert!(refusal.contains(taken), "{taken} in {refusal}");
        }
    }

    #[test]
    fn what_was_taken_before_is_not_asked_for_again() {
        let names = Names::of(MADE.into_iter());
        assert_eq!(names.without(&Names::of(MADE.into_iter())).refusal(), "");
        let more = names
            .without(&Names::of(MADE[1..].iter().copied()))
            .refusal();
        assert!(more.contains("v_relations constant text[] := '{audit_log}'"));
        assert!(more.contains("v_functions constant text[] := '{}'"));
    }
}
