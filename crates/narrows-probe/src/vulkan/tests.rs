//! The table, the manifest, and the layer between a made-up loader and made-up functions.

use super::table::{COUNT, NAMES, RULES, WRAPPERS};
use super::*;

#[test]
fn the_manifest_names_the_library() {
    let text = manifest_json("/opt/na\"rrows/lib\\x.so");
    assert!(
        text.contains(r#""library_path": "/opt/na\"rrows/lib\\x.so""#),
        "{text}"
    );
    assert!(text.contains(LAYER));
    assert!(!text.contains("@LIBRARY@"));
}

#[test]
fn every_function_has_a_name_of_its_own_and_a_wrapper() {
    let mut names: Vec<_> = NAMES.iter().map(|name| name.to_bytes()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COUNT);
    assert!(names.iter().all(|name| name.starts_with(b"vk")));
    assert!(WRAPPERS.iter().all(|wrapper| !wrapper.0.is_null()));
    for (name, rule) in NAMES.iter().zip(&RULES) {
        assert_eq!(name.to_bytes(), rule.name().as_bytes());
    }
}
