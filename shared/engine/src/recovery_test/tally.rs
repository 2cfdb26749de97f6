//! What checks came to: how many held, and what was found where one did not.

use m23_contract::Finding;
use serde::{Deserialize, Serialize};

/// Findings beyond these are counted, and not listed.
const LISTED: usize = 100;

/// A definition that nobody should execute.
pub(super) const UNSAFE_DEFINITION: &str = "definition_unsafe";

/// Checks that held, and findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) issues: u64,
    pub(super) findings: Vec<Finding>,
}

impl Tally {
    /// A check held.
    pub(super) fn pass(&mut self) {
        self.passed += 1;
    }

    /// A check did not.
    pub(super) fn find(&mut self, kind: &str, object: &str, sentence: &str) {
        self.list(Finding {
            kind: kind.to_owned(),
            object: object.to_owned(),
            sentence: sentence.to_owned(),
        });
    }

    /// Whether something was found of an object.
    pub(super) fn knows(&self, object: &str) -> bool {
        self.findings.iter().any(|finding| finding.object == object)
    }

    /// Whether anything was found that rows depend on. They need no definitions.
    pub(super) fn is_of_damage(&self) -> bool {
        let is_of_rows = |finding: &Finding| finding.kind != UNSAFE_DEFINITION;
        self.issues > self.findings.len() as u64 || self.findings.iter().any(is_of_rows)
    }

    /// Takes over what others have found.
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        let unlisted = other.issues.saturating_sub(other.findings.len() as u64);
        other
            .findings
            .into_iter()
            .for_each(|finding| self.list(finding));
        self.issues += unlisted;
    }

    fn list(&mut self, finding: Finding) {
        self.issues += 1;
        if self.findings.len() < LISTED {
            self.findings.push(finding);
        }
    }
}
