use crate::bucket::Bucket;

#[test]
fn every_command_explains_itself_with_an_example() {
    let bucket = Bucket::copy("help");
    for command in [
        "archive inspect",
        "archive verify",
        "archive extract",
        "keys rewrap",
        "keys erase",
        "catalogue rebuild",
        "protect",
        "backup create",
        "backup restore",
        "restore",
        "rollback",
        "history transactions",
        "history transaction",
        "history row",
        "history find",
        "history counts",
        "history events",
        "test",
    ] {
        let ran = bucket.m23(&format!("{command} --help"));
        assert_eq!(ran.code, 0);
        assert!(ran.output.contains(&format!("m23 {command} ")), "{command}");
        assert!(ran.output.contains("Example"), "{command}");
    }
    assert!(bucket.m23("--help").output.contains("Exit codes:"));
}

#[test]
fn exit_codes_tell_what_was_wrong() {
    let bucket = Bucket::copy("exit-codes");
    let unknown = "--backup 00000000-0000-0000-0000-000000000001";
    for (arguments, code) in [
        ("archive inspect".to_owned(), 2),
        ("archive inspect BUCKET --backup nonsense".to_owned(), 2),
        ("archive inspect s3://".to_owned(), 2),
        ("archive extract BUCKET --backup 00000000-0000-0000-0000-0000000000a1 --format csv".to_owned(), 2),
        ("archive inspect FOLDER/nowhere".to_owned(), 5),
        (format!("archive inspect BUCKET {unknown}"), 5),
        (format!("archive verify BUCKET {unknown}"), 5),
        (format!("archive extract BUCKET {unknown}"), 5),
        ("catalogue rebuild --database postgresql://nobody@127.0.0.1:1/none BUCKET --tenant 00000000-0000-0000-0000-00000000000a".to_owned(), 3),
        ("catalogue rebuild --database nonsense BUCKET".to_owned(), 2),
        ("protect --database nonsense".to_owned(), 2),
        ("protect --database postgresql://nobody@127.0.0.1:1/none".to_owned(), 3),
        ("test".to_owned(), 2),
        ("test --url http://127.0.0.1:1".to_owned(), 2),
        ("test --url http://127.0.0.1:1 --token a --service-key b".to_owned(), 2),
        ("test --url nonsense --token a".to_owned(), 3),
        ("test --url http://127.0.0.1:1 --token a".to_owned(), 3),
        ("restore --url http://127.0.0.1:1 --token a --to yesterday".to_owned(), 2),
        ("restore --url http://127.0.0.1:1 --token a --to 2026-01-31T10:31:00Z --dry-run --confirm".to_owned(), 2),
        ("history row orders --url http://127.0.0.1:1 --token a".to_owned(), 2),
        ("history row orders --key id --url http://127.0.0.1:1 --token a".to_owned(), 2),
        ("history find orders --filter 1 --url http://127.0.0.1:1 --token a".to_owned(), 2),
        ("history transactions --url http://127.0.0.1:1 --token a --tenant b".to_owned(), 3),
        ("backup restore 00000000-0000-0000-0000-0000000000a1 --url http://127.0.0.1:1 --token a --into copy".to_owned(), 2),
    ] {
        let ran = bucket.m23(&arguments);
        assert_eq!(ran.code, code, "{arguments}: {}", ran.error);
        assert!(ran.error.starts_with("error: "), "{}", ran.error);
    }
}

#[test]
fn a_store_that_does_not_answer_is_told_of_in_bounded_time() {
    let bucket = Bucket::copy("s3-away");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_m23"));
    command
        .args([
            "archive",
            "inspect",
            "s3://bucket/prefix",
            "--endpoint",
            "http://127.0.0.1:1",
        ])
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .current_dir(&bucket.folder);
    let output = command.output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
