//! The ports of a job.

use crate::postgrest::{Accept, Payload, Rest, RpcCall};
use crate::runtime::Runtime;
use m23_engine::JobPorts;
use m23_pipeline::Caller;
use m23_ports::{Database, DatabaseError, Objects, StoreFailed};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use worker::Delay;

/// One step of a job. The database gives up on one after 60 s.
const STEP: Duration = Duration::from_secs(65);

/// A restore's one transaction: as long as the database allows it.
const TRANSACTION: Duration = Duration::from_secs(3_660);

impl Database for Runtime {
    async fn call(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError> {
        self.database().rpc_as_service(name, arguments, STEP).await
    }

    async fn execute(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError> {
        self.database()
            .rpc_as_service(name, arguments, TRANSACTION)
            .await
    }

    type Rest = Rest;

    async fn read(&self, name: &str, arguments: &Value) -> Result<(Vec<u8>, Rest), DatabaseError> {
        self.database()
            .rpc_lines_as_service(name, arguments, STEP)
            .await
    }

    async fn send(&self, name: &str, bytes: &[u8]) -> Result<Value, DatabaseError> {
        let call = RpcCall {
            caller: Caller::Service,
            name,
            payload: Payload::Bytes(bytes),
            accept: Accept::Json,
            timeout: STEP,
        };
        self.database().send_for_json(call).await
    }
}

impl Objects for Runtime {
    async fn put_new(
        &self,
        object: &str,
        bytes: Vec<u8>,
        sha256: [u8; 32],
    ) -> Result<(), StoreFailed> {
        let archives = self.archives().map_err(failed)?;
        archives
            .put_new(object, bytes, sha256)
            .await
            .map_err(failed)
    }

    async fn get(&self, object: &str) -> Result<Option<Vec<u8>>, StoreFailed> {
        self.archives()
            .map_err(failed)?
            .get(object)
            .await
            .map_err(failed)
    }

    async fn sizes(&self, prefix: &str) -> Result<BTreeMap<String, u64>, StoreFailed> {
        let archives = self.archives().map_err(failed)?;
        let mut sizes = BTreeMap::new();
        let mut cursor = None;
        loop {
            let page = archives
                .list(prefix, cursor.as_deref())
                .await
                .map_err(failed)?;
            sizes.extend(
                page.objects
                    .into_iter()
                    .map(|object| (object.key, object.size)),
            );
            if page.cursor.is_none() {
                return Ok(sizes);
            }
            cursor = page.cursor;
        }
    }

    async fn delete(&self, object: &str) -> Result<(), StoreFailed> {
        self.archives()
            .map_err(failed)?
            .delete(object)
            .await
            .map_err(failed)
    }
}

impl JobPorts for Runtime {
    async fn pause(&self, milliseconds: u32) {
        Delay::from(Duration::from_millis(milliseconds.into())).await;
    }

    async fn give_way(&self) {
        Delay::from(Duration::ZERO).await;
    }
}

fn failed(error: impl std::fmt::Display) -> StoreFailed {
    StoreFailed(error.to_string())
}
