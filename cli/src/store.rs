//! The store: a folder, or whatever speaks S3.

use crate::arguments::Place;
use crate::error::CliError;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::time::Duration;

/// Objects by name.
pub struct Store {
    objects: Box<dyn ObjectStore>,
    name: String,
}

impl Store {
    /// Opens a store; whether it answers is seen at the first read.
    pub fn open(place: &Place) -> Result<Self, CliError> {
        let objects = match place.place.strip_prefix("s3://") {
            Some(address) => open_s3(place, address)?,
            None => open_folder(&place.place)?,
        };
        Ok(Self {
            objects,
            name: place.place.clone(),
        })
    }

    /// What the command line calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An object's bytes; none when there is no such object. One that is larger than `limit` is
    /// not read.
    pub async fn get(&self, object: &str, limit: u64) -> Result<Option<Vec<u8>>, CliError> {
        let found = match self.objects.get(&path(object)?).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.unreachable(&error)),
        };
        if found.meta.size > limit {
            let fault = format!("it is {} bytes long, more than {limit}", found.meta.size);
            return Err(CliError::damaged(object, fault));
        }
        let bytes = found
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))?;
        Ok(Some(bytes.into()))
    }

    /// Whether there is such an object.
    pub async fn has(&self, object: &str) -> Result<bool, CliError> {
        match self.objects.head(&path(object)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    /// The names and sizes of all objects below a prefix.
    pub async fn sizes(&self, prefix: &str) -> Result<BTreeMap<String, u64>, CliError> {
        self.objects
            .list(Some(&path(prefix)?))
            .map_ok(|meta| (meta.location.to_string(), meta.size))
            .try_collect()
            .await
            .map_err(|error| self.unreachable(&error))
    }

    /// The names of the folders right below a prefix.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, CliError> {
        let listed = self
            .objects
            .list_with_delimiter(Some(&path(prefix)?))
            .await
            .map_err(|error| self.unreachable(&error))?;
        let name = |path: &Path| path.filename().map(ToOwned::to_owned);
        Ok(listed.common_prefixes.iter().filter_map(name).collect())
    }

    /// Writes an object, in place of one that is there.
    pub async fn put(&self, object: &str, bytes: Vec<u8>) -> Result<(), CliError> {
        self.objects
            .put(&path(object)?, bytes.into())
            .await
            .map_err(|error| self.unreachable(&error))?;
        Ok(())
    }

    /// Removes an object.
    pub async fn delete(&self, object: &str) -> Result<(), CliError> {
        self.objects
            .delete(&path(object)?)
            .await
            .map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &object_store::Error) -> CliError {
        let cause = error.to_string();
        // The library has no error of its own for a bucket that is not there.
        if cause.contains("NoSuchBucket") {
            return missing(&self.name);
        }
        CliError::Unreachable {
            what: self.name.clone(),
            cause,
        }
    }
}

fn path(object: &str) -> Result<Path, CliError> {
    Path::parse(object).map_err(|error| CliError::damaged(object, error.to_string()))
}

fn missing(store: &str) -> CliError {
    CliError::NotFound(format!("there is no store {store}"))
}

fn open_folder(folder: &str) -> Result<Box<dyn ObjectStore>, CliError> {
    let is_there = fs::exists(folder).map_err(|error| CliError::Unreachable {
        what: folder.to_owned(),
        cause: error.to_string(),
    })?;
    if !is_there {
        return Err(missing(folder));
    }
    let store =
        LocalFileSystem::new_with_prefix(folder).map_err(|error| CliError::Unreachable {
            what: folder.to_owned(),
            cause: error.to_string(),
        })?;
    Ok(Box::new(store))
}

fn open_s3(place: &Place, address: &str) -> Result<Box<dyn ObjectStore>, CliError> {
    let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
    let from_role = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    if bucket.is_empty() {
        return Err(CliError::Usage(
            "an S3 address is s3://BUCKET or s3://BUCKET/PREFIX".to_owned(),
        ));
    }
    if env::var_os("AWS_ACCESS_KEY_ID").is_none() && env::var_os(from_role).is_none() {
        let what =
            "an S3 store needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment";
        return Err(CliError::Usage(what.to_owned()));
    }
    // R2 has one region, `auto`; other stores with an address of their own take any.
    let region = if place.endpoint.is_some() {
        "auto"
    } else {
        "us-east-1"
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_region(place.region.as_deref().unwrap_or(region))
        .with_retry(RetryConfig {
            max_retries: 4,
            retry_timeout: Duration::from_secs(60),
            ..RetryConfig::default()
        });
    if let Some(endpoint) = &place.endpoint {
        builder = builder
            .with_endpoint(endpoint)
            .with_allow_http(endpoint.starts_with("http://"));
    }
    let store = builder
        .build()
        .map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(match prefix.trim_matches('/') {
        "" => Box::new(store),
        prefix => Box::new(PrefixStore::new(store, path(prefix)?)),
    })
}
