//! What a test breaks: which steps, on which side of their effect, and how.

use m23_contract::ErrorCode;
use m23_ports::{DatabaseError, StoreFailed};
use std::future::poll_fn;
use std::ops::Range;
use std::task::Poll;

/// What a broken part says. No tenant may ever read it.
pub const INTERNAL: &str = "relation \"m23.secret\" at 10.0.0.7";

/// What the fake database says in the contract's words.
pub const REFUSAL: &str = "public.a was dropped or unprotected while it was backed up";

/// On which side of a step's effect it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

pub const BOTH: [When; 2] = [When::Before, When::After];

/// How it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// It is away; the next try may succeed.
    Passing,
    /// It will never succeed. (A store has no such failure: it is away, too.)
    Hard,
    /// The database refuses for good, in the contract's words.
    Refused,
    /// The driver is killed, together with everything that it had begun.
    Death,
    /// Another worker takes the job over and completes it, while this one believes it has the lease.
    Rival,
}

/// Steps that break.
#[derive(Debug, Clone)]
pub struct Fault {
    pub steps: Range<usize>,
    pub when: When,
    pub how: Break,
    /// The one step that works all the same.
    pub spared: &'static str,
}

impl Fault {
    pub fn at(step: usize, when: When, how: Break) -> Self {
        Self::within(step..step + 1, when, how)
    }

    /// Everything breaks from this step on.
    pub fn from(step: usize, when: When, how: Break) -> Self {
        Self::within(step..usize::MAX, when, how)
    }

    fn within(steps: Range<usize>, when: When, how: Break) -> Self {
        Self {
            steps,
            when,
            how,
            spared: "",
        }
    }

    pub fn sparing(self, spared: &'static str) -> Self {
        Self { spared, ..self }
    }

    pub fn hits(&self, step: usize, name: &str, when: When) -> bool {
        self.steps.contains(&step) && self.when == when && name != self.spared
    }
}

/// What a part of the platform says when it breaks.
pub trait Broken {
    fn broken(how: Break) -> Self;
}

impl Broken for DatabaseError {
    fn broken(how: Break) -> Self {
        match how {
            Break::Refused => refused(ErrorCode::BackupUnusable, REFUSAL),
            Break::Hard => Self::Failed(INTERNAL.to_owned()),
            _ => Self::Unavailable(INTERNAL.to_owned()),
        }
    }
}

impl Broken for StoreFailed {
    fn broken(_how: Break) -> Self {
        Self(INTERNAL.to_owned())
    }
}

pub fn refused(code: ErrorCode, sentence: &str) -> DatabaseError {
    DatabaseError::Refused {
        code,
        sentence: sentence.to_owned(),
        details: Vec::new(),
    }
}

/// Lets whatever runs beside this go on first.
pub async fn give_way() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            Poll::Ready(())
        } else {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
