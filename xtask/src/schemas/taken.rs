//! The names that M23 takes in `public`: nothing is changed where one of them is the application's.

use std::collections::BTreeSet;

use super::piece::{Kind, Piece};

/// A statement that refuses, with the whole list, where names are taken.
pub fn refusal(pieces: &[&Piece]) -> String {
    let (functions, relations) = public_names(pieces);
    let schemas: BTreeSet<&str> = pieces
        .iter()
        .filter_map(|piece| piece.defines.as_deref()?.strip_prefix("schema "))
        .collect();
    if functions.is_empty() && relations.is_empty() && schemas.is_empty() {
        return String::new();
    }
    TEMPLATE
        .replace("{schemas}", &lines(&schemas))
        .replace("{relations}", &lines(&relations))
        .replace("{functions}", &lines(&functions))
}

/// Names as the text of an array, in lines of at most 100 columns.
fn lines(names: &BTreeSet<&str>) -> String {
    let mut text = String::from("{");
    let mut width = 0;
    for (at, name) in names.iter().enumerate() {
        let separator = match at {
            0 => "",
            _ if width + name.len() > 100 => ",\n    ",
            _ => ", ",
        };
        width = if separator.contains('\n') {
            0
        } else {
            width + separator.len()
        } + name.len();
        text += separator;
        text += name;
    }
    text + "}"
}

fn public_names<'a>(pieces: &[&'a Piece]) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let (mut functions, mut relations) = (BTreeSet::new(), BTreeSet::new());
    for piece in pieces {
        if let Some(name) = piece
            .defines
            .as_deref()
            .and_then(|name| name.strip_prefix("public."))
        {
            match piece.kind {
                Kind::Function => functions.insert(name),
                Kind::Definition | Kind::Execution => relations.insert(name),
            };
        }
    }
    (functions, relations)
}

const TEMPLATE: &str = r#"-- M23 takes these names. Where one is taken, all that are taken are told, and nothing is changed.
do $$
declare
  v_schemas   constant text[] := '{schemas}';
  v_relations constant text[] := '{relations}';
  v_functions constant text[] := '{functions}';
  v_taken     text;
begin
  select string_agg(t.what, ', ' order by t.what) into v_taken
    from (select 'schema ' || n.nspname from pg_namespace n where n.nspname = any (v_schemas)
          union
          select case c.relkind when 'v' then 'view ' when 'm' then 'materialized view ' when 'i' then 'index '
                                when 'S' then 'sequence ' else 'table ' end || 'public.' || c.relname
            from pg_class c where c.relnamespace = 'public'::regnamespace and c.relname = any (v_relations)
          union
          select 'type public.' || t.typname
            from pg_type t
           where t.typnamespace = 'public'::regnamespace and t.typname = any (v_relations) and t.typrelid = 0
          union
          select 'function ' || p.oid::regprocedure
            from pg_proc p where p.pronamespace = 'public'::regnamespace and p.proname = any (v_functions)) t (what);
  if v_taken is not null then
    raise exception 'M23 cannot be installed, because these names are taken: %', v_taken
      using errcode = 'duplicate_object',
            hint = 'Rename these objects of the application, then push again. Nothing was changed.';
  end if;
end $$;

"#;
