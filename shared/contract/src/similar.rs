//! Which known name was probably meant.

use strsim::levenshtein;

/// The known name closest to `written`, if one is close enough to be worth suggesting.
pub(crate) fn suggestion(written: &str, known: &[&'static str]) -> Option<&'static str> {
    let plain = plain(written);
    if plain.chars().count() > 40 {
        return None;
    }
    known
        .iter()
        .map(|name| (levenshtein(&plain, &self::plain(name)), *name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Lower case without separators: `dry_run`, `dryrun` and `dryRun` are one name to a person.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|letter| !matches!(letter, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::suggestion;

    const KNOWN: [&str; 3] = ["dryRun", "targetTimestamp", "tables"];

    #[test]
    fn another_case_or_separator_is_recognised() {
        assert_eq!(suggestion("dryrun", &KNOWN), Some("dryRun"));
        assert_eq!(suggestion("dry_run", &KNOWN), Some("dryRun"));
        assert_eq!(
            suggestion("target-timestamp", &KNOWN),
            Some("targetTimestamp")
        );
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(suggestion("table", &KNOWN), Some("tables"));
        assert_eq!(
            suggestion("targetTimestmap", &KNOWN),
            Some("targetTimestamp")
        );
    }

    #[test]
    fn something_else_is_not() {
        assert_eq!(suggestion("color", &KNOWN), None);
        assert_eq!(suggestion(&"x".repeat(10_000), &KNOWN), None);
    }
}
