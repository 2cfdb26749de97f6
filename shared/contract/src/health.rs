//! The body of the health endpoints' answer: whether the service works, and nothing that only its operator
//! should know.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// All of it works.
    Ok,
    /// Some of it does not, or is late.
    Degraded,
    /// Nothing can be asked of it (503).
    Down,
}

/// How one part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PartStatus {
    /// It answers.
    Ok,
    /// It does not.
    Down,
}

/// The releases in force. The database has to be of the functions' own minor version, or of the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Versions {
    /// Of the function that answers.
    pub functions: String,
    /// Of the migrations; null while the database does not answer.
    pub database: Option<String>,
}

/// The answer of a health endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// The whole.
    pub status: HealthStatus,
    /// The releases in force.
    pub versions: Versions,
    /// The database, through its API.
    pub database: PartStatus,
    /// The rate windows.
    pub kv: PartStatus,
    /// The archives' bucket.
    pub objects: PartStatus,
    /// Seconds since each job of the clock last came.
    pub cron: BTreeMap<String, u64>,
}

/// What the database says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DatabaseHealth {
    /// The release of its migrations.
    pub version: String,
    /// Whether it works with the functions of this release.
    #[serde(default = "works")]
    pub works: bool,
    /// Whether a job of the clock is late.
    pub late: bool,
    /// Seconds since each job of the clock last came.
    pub cron: BTreeMap<String, u64>,
}

/// A database that does not say so works with these.
const fn works() -> bool {
    true
}

impl Health {
    /// Puts together what the parts say; `None` is a database that does not answer.
    #[must_use]
    pub fn new(
        functions: &str,
        database: Option<DatabaseHealth>,
        kv: PartStatus,
        objects: PartStatus,
    ) -> Self {
        let status = match &database {
            None => HealthStatus::Down,
            Some(said) if !said.works => HealthStatus::Down,
            Some(said) if said.late || said.version != functions => HealthStatus::Degraded,
            Some(_) if kv == PartStatus::Down || objects == PartStatus::Down => {
                HealthStatus::Degraded
            }
            Some(_) => HealthStatus::Ok,
        };
        let answers = match &database {
            Some(_) => PartStatus::Ok,
            None => PartStatus::Down,
        };
        let (version, cron) = database.map(|said| (said.version, said.cron)).unzip();
        Self {
            status,
            versions: Versions {
                functions: functions.to_owned(),
                database: version,
            },
            database: answers,
            kv,
            objects,
            cron: cron.unwrap_or_default(),
        }
    }

    /// 200, or 503 where nothing can be asked of the service.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self.status {
            HealthStatus::Ok | HealthStatus::Degraded => 200,
            HealthStatus::Down => 503,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(version: &str, late: bool) -> Option<DatabaseHealth> {
        Some(DatabaseHealth {
            version: version.to_owned(),
            works: true,
            late,
            cron: BTreeMap::from([("backup-create".to_owned(), 3)]),
        })
    }

    fn status(
        database: Option<DatabaseHealth>,
        kv: PartStatus,
        objects: PartStatus,
    ) -> (HealthStatus, u16) {
        let health = Health::new("1.0", database, kv, objects);
        (health.status, health.http_status())
    }

    #[test]
    fn what_does_not_answer_or_is_late_degrades_the_service_and_only_the_database_takes_it_down() {
        use PartStatus::{Down, Ok};
        let degraded = (HealthStatus::Degraded, 200);
        assert_eq!(status(said("1.0", false), Ok, Ok), (HealthStatus::Ok, 200));
        assert_eq!(status(said("1.0", true), Ok, Ok), degraded);
        assert_eq!(status(said("0.9", false), Ok, Ok), degraded);
        assert_eq!(status(said("1.0", false), Down, Ok), degraded);
        assert_eq!(status(said("1.0", false), Ok, Down), degraded);
        assert_eq!(status(None, Ok, Ok), (HealthStatus::Down, 503));
    }

    #[test]
    fn a_database_that_does_not_work_with_the_functions_takes_it_down_and_is_named() {
        let mut database = said("3.0", false);
        if let Some(said) = &mut database {
            said.works = false;
        }
        let health = Health::new("1.0", database, PartStatus::Ok, PartStatus::Ok);
        assert_eq!(health.http_status(), 503);
        assert_eq!(health.versions.database.as_deref(), Some("3.0"));
    }

    #[test]
    fn a_database_that_does_not_answer_has_neither_a_release_nor_jobs() {
        let health = Health::new("1.0", None, PartStatus::Ok, PartStatus::Ok);
        assert_eq!((health.versions.database, health.cron.len()), (None, 0));
    }
}
