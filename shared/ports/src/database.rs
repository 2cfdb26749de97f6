//! The database's functions, and why a call of one fails.

use m23_contract::ErrorCode;
use serde_json::Value;

/// The database's functions, called with the service key. Calls end in bounded time;
/// [`Database::execute`] may last as long as a restore's one transaction.
#[allow(async_fn_in_trait)]
pub trait Database {
    /// Calls a function, JSON to JSON.
    async fn call(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError>;

    /// Calls a function that does its work in one long transaction.
    async fn execute(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError>;

    /// What is still to come of an answer.
    type Rest: Future<Output = Result<Vec<u8>, DatabaseError>>;

    /// Calls a function for its raw bytes: the first line without its end, and what comes after it,
    /// which is taken into memory only when it is waited for.
    async fn read(
        &self,
        name: &str,
        arguments: &Value,
    ) -> Result<(Vec<u8>, Self::Rest), DatabaseError>;

    /// Calls a function with raw bytes.
    async fn send(&self, name: &str, bytes: &[u8]) -> Result<Value, DatabaseError>;
}

/// Why a call did not give a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// A refusal in the contract's own words.
    #[error("the database refuses: {code}")]
    Refused {
        /// The contract's code.
        code: ErrorCode,
        /// A sentence for a person.
        sentence: String,
        /// The single faults.
        details: Vec<String>,
    },
    /// The user's token is not good there (it may have just expired).
    #[error("the database does not accept the user's token: {0}")]
    TokenRefused(String),
    /// It does not answer, for now.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// It failed, and trying again will not help.
    #[error("the database failed: {0}")]
    Failed(String),
}
