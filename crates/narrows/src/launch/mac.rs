//! What keeps macOS's dynamic linker from inserting a library, and what to do instead. Pure: the
//! audit asks it on any system.

use narrows_symbols::Image;
use std::path::Path;

/// Folders that System Integrity Protection protects.
const PROTECTED: [&str; 5] = ["/System/", "/bin/", "/sbin/", "/usr/", "/Library/Apple/"];
/// Folders in there that it does not.
const FREE: [&str; 2] = ["/usr/local/", "/System/Volumes/Data/"];

/// Why `DYLD_INSERT_LIBRARIES` is ignored for the program at `path`, if it is.
pub(super) fn obstacle(path: &Path, image: &Image) -> Option<String> {
    let text = path.to_string_lossy();
    let below = |folders: &[&str]| folders.iter().any(|folder| text.starts_with(folder));
    if below(&PROTECTED) && !below(&FREE) {
        return Some(format!(
            "is protected by macOS, which inserts no library into its own programs; {}",
            instead(path)
        ));
    }
    let signature = image.signature?;
    if signature.restricted {
        return Some(format!(
            "is marked as restricted: macOS inserts no library into it; {}",
            instead(path)
        ));
    }
    if signature.hardened && !signature.allows_environment {
        return Some(
            "is signed for the hardened runtime without the entitlement \
             com.apple.security.cs.allow-dyld-environment-variables: macOS inserts no library into \
             it; trace a copy that is signed anew: cp PROGRAM copy && codesign --force --sign - copy"
                .into(),
        );
    }
    if (signature.hardened || signature.same_signer) && !signature.allows_any_library {
        return Some(
            "loads libraries of its own signer only (no entitlement \
             com.apple.security.cs.disable-library-validation); trace a copy that is signed anew: \
             cp PROGRAM copy && codesign --force --sign - copy"
                .into(),
        );
    }
    None
}

fn instead(path: &Path) -> &'static str {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("python") {
        return "use the Python of python.org, Homebrew, conda or uv, or a virtual environment made \
                with one of them";
    }
    match name.as_ref() {
        "env" => "start the program itself, without env",
        "sh" | "bash" | "zsh" | "dash" => "start the program itself, without a shell around it",
        _ => "trace a program outside of those folders",
    }
}

#[cfg(test)]
mod tests {
    use super::obstacle;
    use narrows_symbols::{Format, Image, Signature};
    use std::path::Path;

    fn image(signature: Option<Signature>) -> Image {
        Image {
            format: Format::MachO,
            machine: "aarch64".into(),
            interpreter: Some("/usr/lib/dyld".into()),
            soname: None,
            needed: Vec::new(),
            rpath: Vec::new(),
            runpath: Vec::new(),
            signature,
        }
    }

    fn why(path: &str, signature: Option<Signature>) -> Option<String> {
        obstacle(Path::new(path), &image(signature))
    }

    #[test]
    fn the_system_s_own_programs() {
        for (path, advice) in [
            ("/usr/bin/python3", "python.org"),
            ("/usr/bin/env", "without env"),
            ("/bin/sh", "without a shell"),
            ("/System/Applications/X.app/Contents/MacOS/X", "outside"),
        ] {
            let why = why(path, None).expect("protected");
            assert!(why.contains(advice) && why.lines().count() == 1, "{why}");
        }
        for path in [
            "/usr/local/bin/python3",
            "/opt/homebrew/bin/python3",
            "/Users/x/app",
            "./usr/bin/x",
        ] {
            assert_eq!(why(path, None), None, "{path}");
        }
    }

    #[test]
    fn signatures() {
        let plain = Signature::default();
        assert_eq!(why("/a/app", Some(plain)), None);
        let hardened = Signature {
            hardened: true,
            ..plain
        };
        assert!(
            why("/a/app", Some(hardened))
                .expect("no")
                .contains("codesign")
        );
        let told = Signature {
            allows_environment: true,
            ..hardened
        };
        assert!(
            why("/a/app", Some(told))
                .expect("no")
                .contains("library-validation")
        );
        let free = Signature {
            allows_any_library: true,
            ..told
        };
        assert_eq!(why("/a/app", Some(free)), None);
        assert!(
            why(
                "/a/app",
                Some(Signature {
                    restricted: true,
                    ..plain
                })
            )
            .is_some()
        );
        assert!(
            why(
                "/a/app",
                Some(Signature {
                    same_signer: true,
                    ..plain
                })
            )
            .is_some()
        );
    }
}
