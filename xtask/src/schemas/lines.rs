//! Lines that are no wider than people read them.

/// The columns of a line, at most.
pub const WIDTH: usize = 120;

/// The words before which a statement is broken.
const BEFORE: [&str; 5] = ["returns ", "from ", "to ", "set ", "as"];

/// A statement in lines of at most 120 columns: what is too wide goes on, indented, after a comma or before a word.
pub fn folded(statement: &str) -> String {
    let lines: Vec<String> = statement.split('\n').map(folded_line).collect();
    lines.join("\n")
}

fn folded_line(line: &str) -> String {
    let (mut done, mut rest) = (String::new(), line.to_owned());
    while rest.trim_end().len() > WIDTH {
        let Some((at, _)) = rest.match_indices(' ').rfind(|(at, _)| {
            let (before, after) = (&rest[..*at], &rest[at + 1..]);
            let breaks = before.ends_with(',') || BEFORE.iter().any(|word| after.starts_with(word));
            (3..=WIDTH).contains(at) && breaks
        }) else {
            break;
        };
        done += &rest[..at];
        done += "\n";
        rest = format!("  {}", &rest[at + 1..]);
    }
    done + &rest
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, folded};

    #[test]
    fn a_wide_line_goes_on_after_a_comma_or_before_a_word() {
        let many = ["m23.protected_tables"; 6].join(", ");
        let text = folded(&format!(
            "revoke all on function m23.f({many}) from public, anon;"
        ));
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        assert_eq!(
            text.replace("\n  ", " "),
            format!("revoke all on function m23.f({many}) from public, anon;")
        );
    }

    #[test]
    fn a_line_that_fits_stays() {
        assert_eq!(folded("grant a, b\n  to c;"), "grant a, b\n  to c;");
    }
}
