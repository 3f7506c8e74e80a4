//! The table and the manifest. The layer itself is tested on a real driver.

use super::table::{COUNT, NAMES, RULES, WRAPPERS};

#[test]
fn the_manifest_has_one_place_for_the_library() {
    let manifest = include_str!("manifest.json");
    assert_eq!(manifest.matches("@LIBRARY@").count(), 1);
    assert!(manifest.contains("\"VK_LAYER_NARROWS_probe\""));
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
