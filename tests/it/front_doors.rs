//! What fuzzing has collected, once more as ordinary tests.

use std::{fs, path::Path};

fn each(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5, "the corpus of {target} is there");
    for file in files {
        eprintln!("{}", file.display()); // shown when one fails
        check(&fs::read(file).unwrap());
    }
}

#[test]
fn no_signature_of_the_corpus_is_accepted() {
    each("signature", trackside::front_doors::signature);
}

#[test]
fn every_payload_of_the_corpus_is_understood_or_refused() {
    each("payload", trackside::front_doors::payload);
}

#[test]
fn every_cursor_of_the_corpus_is_read_or_refused() {
    each("cursor", trackside::front_doors::cursor);
}
