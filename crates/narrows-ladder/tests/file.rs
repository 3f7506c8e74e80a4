//! The ladder's file: what is written is read; what is cut off, foreign or later is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

#[path = "../../narrows-model/src/ladder/fixture.rs"]
mod fixture;

use fixture::{fail, ladder, rung};
use narrows_ladder::samples::{FailureKind, Ladder, Line, Writer, looks_like_ladder, read};
use std::path::{Path, PathBuf};

fn planted() -> Ladder {
    let rungs = [
        rung("raw", "driver", None, &[(2, 0.9)]),
        rung("torch", "framework", Some("raw"), &[]),
    ];
    let mut file = ladder(2, &[1, 2], &rungs);
    fail(
        &mut file,
        1,
        Some(2),
        FailureKind::Crash,
        "killed by SIGSEGV",
    );
    file
}

fn write(folder: &Path, ladder: &Ladder) -> PathBuf {
    let path = folder.join("ladder.jsonl");
    let mut writer = Writer::create(&path).unwrap();
    let mut lines = vec![Line::Ladder(Box::new(ladder.header.clone()))];
    lines.extend(
        ladder
            .opened
            .iter()
            .cloned()
            .map(|o| Line::Opened(Box::new(o))),
    );
    lines.extend(ladder.pairs.iter().cloned().map(Line::RungPair));
    lines.extend(ladder.failures.iter().cloned().map(Line::Failed));
    lines.extend(ladder.end.iter().cloned().map(Line::End));
    lines.iter().for_each(|line| writer.write(line).unwrap());
    path
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &planted());
    assert!(looks_like_ladder(&path));
    assert_eq!(read(&path).unwrap(), planted());
}

#[test]
fn a_cut_off_file_keeps_what_stands_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &planted());
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 30]).unwrap();
    let found = read(&path).unwrap();
    assert!(found.truncated && found.end.is_none());
    assert_eq!(found.pairs, planted().pairs);
}

#[test]
fn later_lines_are_skipped_and_damage_is_placed() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &planted());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.clone() + "{\"line\":\"of_later\",\"x\":1}\n").unwrap();
    assert_eq!(read(&path).unwrap().skipped_lines, 1);
    let broken = text.replacen("{\"line\":\"opened\"", "{\"line\":\"opened\",,", 1);
    std::fs::write(&path, broken).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(
        error.contains("line 2") && error.contains("damaged"),
        "{error}"
    );
    let elsewhere = text.replacen("\"rung\":1", "\"rung\":7", 1);
    std::fs::write(&path, elsewhere).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("not there"), "{error}");
    let later = text.replacen("\"version\":1", "\"version\":9", 1);
    std::fs::write(&path, later).unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("version 9"));
}

#[test]
fn other_files_are_neither_read_nor_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes.txt");
    std::fs::write(&notes, "mine").unwrap();
    assert!(!looks_like_ladder(&notes));
    assert!(
        read(&notes)
            .unwrap_err()
            .to_string()
            .contains("no ladder file")
    );
    assert!(Writer::create(&notes).is_err());
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "mine");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    assert!(read(&empty).unwrap_err().to_string().contains("empty"));
    assert!(Writer::create(&empty).is_ok());
}
