//! Recovery tests: an archive is examined as far as the test's level says, and at the deepest level restored by the
//! database into a place of its own. What does not hold is a finding; only what keeps the test itself from running
//! is an error.

mod drive;
mod kinds;
mod lines;
mod manifests;
mod plan;
mod tally;

pub use drive::{drive_test, take_up_tests};
