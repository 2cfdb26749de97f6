//! The same archives in an S3-compatible store: a server of our own over a folder, with signed requests.

use crate::bucket::{Bucket, Ran, SEALED, backup, copy, vectors};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use tokio::net::TcpListener;
use tokio::runtime;

/// Serves the folders of a folder as buckets, as long as the tests run; gives the address.
fn serve(folder: &Path) -> String {
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
    builder.set_auth(SimpleAuth::from_single("id", "secret"));
    let service = builder.build();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(accept(listener, service));
    });
    address.to_string()
}

async fn accept(listener: std::net::TcpListener, service: S3Service) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let service = service.clone();
        tokio::spawn(async move {
            let connections = Builder::new(TokioExecutor::new());
            let connection = connections.serve_connection(TokioIo::new(socket), service);
            connection.await.ok();
        });
    }
}

fn m23(server: &str, arguments: &str, key: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_m23"));
    command
        .args(arguments.split_whitespace())
        .args(["--endpoint", &format!("http://{server}")])
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("ARCHIVE_KEY", key)
        .env_remove("ARCHIVE_KEY_PREVIOUS");
    Ran::from(command.output().unwrap())
}

#[test]
fn an_s3_store_is_read_as_a_folder_is() {
    let folder = Bucket::copy("s3").with_key();
    let key = folder.key.clone().unwrap();
    let served = folder.folder.join("served");
    fs::create_dir(&served).unwrap();
    let server = serve(&served);
    for prefix in ["m23-test", "m23-test/some/prefix"] {
        copy(&vectors().join("bucket"), &served.join(prefix));
        let same = |command: &str| {
            let [found, wanted] = [
                m23(
                    &server,
                    &command.replace("BUCKET", &format!("s3://{prefix}")),
                    &key,
                ),
                folder.m23(command),
            ];
            assert_eq!(
                (found.code, found.output, found.error),
                (wanted.code, wanted.output, wanted.error),
                "{command}"
            );
        };
        same("archive inspect BUCKET --tenant 00000000-0000-0000-0000-00000000000e");
        same("archive verify BUCKET --json");
        same(&format!(
            "archive extract BUCKET --backup {}",
            backup(SEALED, 3)
        ));
        same(&format!(
            "archive extract BUCKET --backup {} --at 2026-01-31T10:20:00Z --table shop.orders",
            backup(SEALED, 3)
        ));
    }
    let new = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let erased = m23(
        &server,
        &format!("keys erase s3://m23-test {SEALED} --yes"),
        new,
    );
    assert_eq!((erased.code, erased.error), (0, String::new()));
    assert_eq!(
        m23(
            &server,
            &format!(
                "archive extract s3://m23-test --backup {}",
                backup(SEALED, 1)
            ),
            &key
        )
        .code,
        4
    );
    assert_eq!(
        m23(
            &server,
            &format!(
                "archive extract s3://m23-test/some/prefix --backup {}",
                backup(SEALED, 1)
            ),
            &key
        )
        .code,
        0
    );
    assert_eq!(
        m23(&server, "archive inspect s3://no-such-bucket", &key).code,
        5
    );
    for nowhere in ["s3://no-such-bucket", "s3://m23-test/no/such/prefix"] {
        let ran = m23(&server, &format!("archive verify {nowhere}"), &key);
        assert_eq!(ran.code, 5, "{}", ran.error);
    }
}
