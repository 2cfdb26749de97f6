//! The same archives in an S3-compatible store. Runs where one is given, as with
//! `pip install 'moto[s3,server]' && moto_server -p 5600`, `M23_TEST_S3=127.0.0.1:5600`.

use crate::bucket::{Bucket, Ran, SEALED, backup, vectors};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// Puts an object, or a bucket, as a store without accounts takes it.
fn put(server: &str, path: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(server).unwrap();
    let head = format!(
        "PUT /{path} HTTP/1.1\r\nHost: {server}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        bytes.len()
    );
    stream
        .write_all(&[head.as_bytes(), bytes].concat())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
}

fn put_all(server: &str, prefix: &str, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            put_all(server, &name, &path);
        } else {
            put(server, &name, &fs::read(&path).unwrap());
        }
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
    let Ok(server) = std::env::var("M23_TEST_S3") else {
        println!("not run: M23_TEST_S3 names no server");
        return;
    };
    let folder = Bucket::copy("s3").with_key();
    let key = folder.key.clone().unwrap();
    put(&server, "m23-test", &[]);
    for prefix in ["m23-test", "m23-test/some/prefix"] {
        put_all(&server, prefix, &vectors().join("bucket"));
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
        3
    );
}
