//! Names that an object in memory carries: its exports, and a section of lines.

use object::{Object, ObjectSection, ObjectSymbol};
use std::collections::BTreeSet;

/// What an object offers and what it lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Functions that it exports.
    pub exported: BTreeSet<String>,
    /// Lines of the section that was asked for; empty without it.
    pub listed: BTreeSet<String>,
}

impl Carried {
    /// Reads the object whose bytes these are. The error is one line.
    pub fn read(bytes: &[u8], section: &str) -> Result<Carried, String> {
        let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
        let exports = file
            .dynamic_symbols()
            .filter(|symbol| symbol.is_definition());
        let exported = exports
            .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
            .collect();
        let found = file.section_by_name(section);
        let data = found
            .map(|section| section.data())
            .transpose()
            .map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(data.unwrap_or_default());
        let lines = text.split(['\n', '\0']).filter(|line| !line.is_empty());
        let listed = lines.map(str::to_owned).collect();
        Ok(Carried { exported, listed })
    }
}

#[cfg(test)]
mod tests {
    use super::Carried;
    use std::process::Command;

    #[test]
    fn exports_and_lines() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(
            folder.path().join("x.c"),
            "__attribute__((section(\"some_names\"), used)) static const char names[] = \
             \"cuInit\\ncuLaunchKernel\\n\";\n\
             int sem_wait(void) { return 0; }\n\
             static int hidden(void) { return 1; }\n\
             int use(void) { return hidden(); }\n",
        )
        .expect("writes");
        let status = Command::new("gcc")
            .args(["-shared", "-fPIC", "-o", "x.so", "x.c"])
            .current_dir(folder.path())
            .status();
        assert!(status.expect("gcc runs (apt-get install gcc)").success());
        let bytes = std::fs::read(folder.path().join("x.so")).expect("reads");
        let carried = Carried::read(&bytes, "some_names").expect("an object");
        assert!(carried.exported.contains("sem_wait") && !carried.exported.contains("hidden"));
        let listed: Vec<_> = carried.listed.iter().map(String::as_str).collect();
        assert_eq!(listed, ["cuInit", "cuLaunchKernel"]);
        assert_eq!(
            Carried::read(&bytes, "none")
                .expect("an object")
                .listed
                .len(),
            0
        );
        assert!(Carried::read(b"no object", "x").is_err());
    }
}
