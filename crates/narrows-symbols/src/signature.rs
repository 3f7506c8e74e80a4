//! What a macOS program's signature says about libraries that are injected into it.

use object::BigEndian;
use object::macho::{self, CsFlags};
use object::read::macho::CodeSignature;

/// Whether and why the dynamic linker would ignore `DYLD_INSERT_LIBRARIES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Signed for the hardened runtime.
    pub hardened: bool,
    /// Marked as restricted, by its signature or by a segment of that name.
    pub restricted: bool,
    /// Only libraries of the same signer are loaded.
    pub same_signer: bool,
    /// Entitled to be told where to find libraries by the environment.
    pub allows_environment: bool,
    /// Entitled to load libraries of any signer.
    pub allows_any_library: bool,
}

impl Signature {
    /// Reads a signature's blob.
    pub(crate) fn parse(data: &[u8]) -> object::read::Result<Signature> {
        let mut found = Signature::default();
        let mut blobs = CodeSignature::parse(data)?.blobs();
        while let Some(blob) = blobs.next()? {
            if let Some(directory) = blob.code_directory()? {
                let flags: CsFlags = directory.header().flags.get(BigEndian);
                found.hardened |= flags.contains(macho::CS_RUNTIME);
                found.restricted |= flags.contains(macho::CS_RESTRICT);
                found.same_signer |= flags.contains(macho::CS_REQUIRE_LV);
            } else if blob.magic() == macho::CSMAGIC_EMBEDDED_ENTITLEMENTS {
                let text = String::from_utf8_lossy(blob.contents());
                let has = |name: &str| entitled(&text, name);
                found.allows_environment |=
                    has("com.apple.security.cs.allow-dyld-environment-variables");
                found.allows_any_library |= has("com.apple.security.cs.disable-library-validation");
            }
        }
        Ok(found)
    }
}

/// Does the property list say `<key>name</key><true/>`?
fn entitled(list: &str, name: &str) -> bool {
    let key = format!("<key>{name}</key>");
    let value = list
        .split_once(key.as_str())
        .map(|(_, rest)| rest.trim_start());
    value.is_some_and(|value| value.starts_with("<true"))
}

#[cfg(test)]
mod tests {
    use super::Signature;

    fn blob(magic: u32, contents: &[u8]) -> Vec<u8> {
        let length = u32::try_from(contents.len() + 8).expect("small");
        [&magic.to_be_bytes()[..], &length.to_be_bytes(), contents].concat()
    }

    /// A signature with a code directory of these flags and, if any, entitlements.
    fn signature(flags: u32, entitlements: Option<&str>) -> Vec<u8> {
        // Version 0x20001, flags, hash and identifier offsets, slots, limit, sizes, spare.
        let head: Vec<u8> = [0x20001, flags, 44, 44, 0, 0, 0, 0, 0]
            .iter()
            .flat_map(|word: &u32| word.to_be_bytes())
            .collect();
        let mut blobs = vec![(0_u32, blob(0xfade_0c02, &head))];
        if let Some(text) = entitlements {
            blobs.push((5, blob(0xfade_7171, text.as_bytes())));
        }
        let mut index = u32::try_from(blobs.len())
            .expect("small")
            .to_be_bytes()
            .to_vec();
        let mut at = 12 + 8 * blobs.len();
        for (slot, blob) in &blobs {
            index.extend(slot.to_be_bytes());
            index.extend(u32::try_from(at).expect("small").to_be_bytes());
            at += blob.len();
        }
        index.extend(blobs.iter().flat_map(|(_, blob)| blob.clone()));
        blob(0xfade_0cc0, &index)
    }

    fn parsed(flags: u32, entitlements: Option<&str>) -> Signature {
        Signature::parse(&signature(flags, entitlements)).expect("a signature")
    }

    #[test]
    fn flags_of_the_code_directory() {
        assert_eq!(
            parsed(0x2_0002, None),
            Signature::default(),
            "ad hoc, by a linker"
        );
        assert!(parsed(0x1_0000, None).hardened);
        assert!(parsed(0x800, None).restricted);
        assert!(parsed(0x2000, None).same_signer);
    }

    #[test]
    fn entitlements_count_only_when_true() {
        let list = |value| {
            format!(
                "<dict><key>com.apple.security.cs.allow-dyld-environment-variables</key>\n  {value}\
                 <key>x</key><true/></dict>"
            )
        };
        assert!(parsed(0x1_0000, Some(&list("<true/>"))).allows_environment);
        assert!(!parsed(0x1_0000, Some(&list("<false/>"))).allows_environment);
        assert!(!parsed(0x1_0000, Some("")).allows_environment);
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        let whole = signature(0x1_0000, Some("<dict/>"));
        for length in 0..whole.len() {
            let _ = Signature::parse(&whole[..length]);
        }
        assert!(Signature::parse(b"").is_err());
    }
}
