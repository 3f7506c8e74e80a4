//! Looks at the program before it is started: can a library be injected into it?

use crate::failure::WrongInput;
use narrows_symbols::{Format, Image};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Deepest chain of scripts that run scripts; Linux itself follows four.
const DEEPEST: usize = 5;

/// A program that can be traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The file that was named or found in `PATH`.
    pub(crate) file: PathBuf,
    /// The file whose code runs first: the file itself, or a script's interpreter.
    pub(crate) program: PathBuf,
    /// With words: `program` is started itself, with these before the program's own arguments.
    pub(crate) before: Vec<OsString>,
}

/// A script's interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interpreter {
    file: PathBuf,
    /// Words that it is given before the script.
    options: Vec<OsString>,
    /// `env` would set variables for it.
    sets_variables: bool,
}

/// Finds `command` as a shell would and checks that it can be injected into.
pub(crate) fn find(command: &OsStr) -> anyhow::Result<Target> {
    let file = locate(command)?;
    let mut program = file.clone();
    let mut before = Vec::new();
    for _ in 0..DEEPEST {
        refuse_privileged(&program)?;
        let Some(next) = interpreter(&program)? else {
            check_image(&program)?;
            return Ok(Target {
                file,
                program,
                before,
            });
        };
        // `env` and the kernel's own start of an interpreter by it are protected on macOS, and
        // lose our variables on the way: the interpreter is started itself.
        if cfg!(target_os = "macos") {
            before = start_itself(&program, &next, before)?;
        }
        program = next.file;
    }
    Err(wrong(
        &file,
        "is a script whose interpreter is a script, and so on: too deep",
    ))
}

fn wrong(path: &Path, what: &str) -> anyhow::Error {
    WrongInput(format!("trace: {} {what}", path.display())).into()
}

fn locate(command: &OsStr) -> anyhow::Result<PathBuf> {
    let shown = command.to_string_lossy();
    if command.as_bytes().contains(&b'/') {
        let path = PathBuf::from(command);
        return match std::fs::metadata(&path) {
            Err(error) => Err(wrong(&path, &format!("cannot be run: {error}"))),
            Ok(found) if found.is_dir() => Err(wrong(&path, "is a folder, not a program")),
            Ok(found) if found.permissions().mode() & 0o111 == 0 => {
                Err(wrong(&path, "is not executable (chmod +x makes it so)"))
            }
            Ok(_) => Ok(path),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(command))
        .find(|file| {
            std::fs::metadata(file)
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        });
    found.ok_or_else(|| {
        WrongInput(format!(
            "trace: no program `{shown}` in PATH; give its path"
        ))
        .into()
    })
}

/// Programs with raised rights ignore LD_PRELOAD, so nothing would be recorded.
fn refuse_privileged(path: &Path) -> anyhow::Result<()> {
    let mode = std::fs::metadata(path).map_err(|e| wrong(path, &format!("cannot be run: {e}")))?;
    let mode = mode.permissions().mode();
    for (bit, name) in [(0o4000, "setuid"), (0o2000, "setgid")] {
        if mode & bit != 0 {
            return Err(wrong(
                path,
                &format!(
                    "is {name}: the system injects no library into it; trace a copy without that bit"
                ),
            ));
        }
    }
    if has_capabilities(path) {
        return Err(wrong(
            path,
            "has file capabilities: the system injects no library into it; trace a copy without them",
        ));
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn has_capabilities(path: &Path) -> bool {
    let mut value = [0_u8; 64];
    rustix::fs::getxattr(path, "security.capability", &mut value).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn has_capabilities(_path: &Path) -> bool {
    false
}

/// The words behind an interpreter that is started in a script's place.
fn start_itself(
    script: &Path,
    interpreter: &Interpreter,
    behind: Vec<OsString>,
) -> anyhow::Result<Vec<OsString>> {
    if interpreter.sets_variables {
        return Err(wrong(
            script,
            "has env set variables behind #!, and macOS lets nothing be injected through env; \
             set them yourself and start the interpreter with the script",
        ));
    }
    let mut words = interpreter.options.clone();
    words.push(script.into());
    words.extend(behind.into_iter().skip(1));
    Ok(words)
}

/// The interpreter of a script; `None` for anything that does not start with `#!`.
fn interpreter(path: &Path) -> anyhow::Result<Option<Interpreter>> {
    let mut head = Vec::new();
    let opened = std::fs::File::open(path);
    let file = opened.map_err(|error| wrong(path, &format!("cannot be read: {error}")))?;
    file.take(512).read_to_end(&mut head)?;
    let Some(line) = head.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line
        .split(|byte| b" \t\r".contains(byte))
        .filter(|word| !word.is_empty());
    let Some(first) = words.next() else {
        return Err(wrong(
            path,
            "is a script that names no interpreter behind #!",
        ));
    };
    let word = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let file = PathBuf::from(word(first));
    let mut found = Interpreter {
        file,
        options: Vec::new(),
        sets_variables: false,
    };
    if found.file.file_name() != Some(OsStr::new("env")) {
        found.options = words.map(word).collect();
        return exists(path, found).map(Some);
    }
    // `env [-S] [NAME=VALUE] PROGRAM`: what follows runs in env's place.
    let program = words.find(|word| {
        found.sets_variables |= word.contains(&b'=');
        !word.starts_with(b"-") && !word.contains(&b'=')
    });
    let Some(program) = program else {
        return exists(path, found).map(Some);
    };
    found.file = locate(OsStr::from_bytes(program))?;
    found.options = words.map(word).collect();
    Ok(Some(found))
}

fn exists(script: &Path, interpreter: Interpreter) -> anyhow::Result<Interpreter> {
    if interpreter.file.exists() {
        return Ok(interpreter);
    }
    Err(wrong(
        script,
        &format!("needs {}, which does not exist", interpreter.file.display()),
    ))
}

fn check_image(path: &Path) -> anyhow::Result<()> {
    let image = Image::open(path).map_err(|error| match error {
        narrows_symbols::Error::Format { .. } => wrong(
            path,
            "is neither a program of this system nor a script that starts with #!",
        ),
        other => WrongInput(format!("trace: {other}")).into(),
    })?;
    if let Some(why) = obstacle(path, &image) {
        return Err(wrong(path, &why));
    }
    Ok(())
}

/// Why no library can be injected, if so.
pub(crate) fn obstacle(path: &Path, image: &Image) -> Option<String> {
    if image.format == Format::MachO {
        let there = super::mac::obstacle(path, image);
        if cfg!(target_os = "macos") && (there.is_some() || image.is_native()) {
            return there;
        }
        if cfg!(not(target_os = "macos")) {
            let there = there.map(|why| format!("; there, too, it {why}"));
            return Some(format!("is a macOS program{}", there.unwrap_or_default()));
        }
    }
    if !image.is_native() {
        return Some(format!(
            "is for {}, this narrows and its probe are for {}",
            image.machine,
            std::env::consts::ARCH
        ));
    }
    let Some(linker) = &image.interpreter else {
        // The linker itself may be started as a program: `ld.so PROGRAM`.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("ld-linux") || name == "ld.so" {
            return None;
        }
        return Some(
            "is statically linked (as most Go programs and musl builds are): it has no dynamic \
             linker that could load the probe; link it dynamically"
                .into(),
        );
    };
    if linker.to_string_lossy().contains("ld-musl") {
        return Some("uses the musl C library; the probe is made for glibc".into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{find, interpreter, start_itself};
    use std::ffi::OsStr;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    fn script(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
        path
    }

    fn refusal(path: &Path) -> String {
        let error = find(path.as_os_str()).expect_err("refused");
        let text = error.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    }

    #[test]
    fn programs_and_scripts_are_found() {
        let sh = find(OsStr::new("sh")).expect("a shell");
        assert!(sh.file.is_absolute());
        let folder = tempfile::tempdir().expect("folder");
        let direct = script(folder.path(), "a", "#!/bin/sh -e\nexit 0\n", 0o755);
        assert_eq!(
            find(direct.as_os_str()).expect("good").program,
            Path::new("/bin/sh")
        );
        let by_env = script(folder.path(), "b", "#!/usr/bin/env -S X=1 sh -e\n", 0o755);
        assert_eq!(find(by_env.as_os_str()).expect("good").program, sh.file);
        let nested = script(
            folder.path(),
            "c",
            &format!("#!{}\n", direct.display()),
            0o755,
        );
        assert_eq!(
            find(nested.as_os_str()).expect("good").program,
            Path::new("/bin/sh")
        );
    }

    /// What is started on macOS in the place of scripts.
    #[test]
    fn an_interpreter_in_its_script_s_place() {
        let folder = tempfile::tempdir().expect("folder");
        let words = |path: &Path| {
            let found = interpreter(path).expect("reads").expect("a script");
            start_itself(path, &found, Vec::new())
        };
        let by_env = script(folder.path(), "a", "#!/usr/bin/env -S sh -e\n", 0o755);
        let found = interpreter(&by_env).expect("reads").expect("a script");
        assert_eq!(found.file, find(OsStr::new("sh")).expect("a shell").file);
        assert_eq!(
            words(&by_env).expect("good"),
            [OsStr::new("-e"), by_env.as_os_str()]
        );
        let direct = script(folder.path(), "b", "#!/bin/sh -e -u\n", 0o755);
        let expected = [OsStr::new("-e"), OsStr::new("-u"), direct.as_os_str()];
        assert_eq!(words(&direct).expect("good"), expected);
        let sets = script(folder.path(), "c", "#!/usr/bin/env -S X=1 sh\n", 0o755);
        assert!(
            words(&sets)
                .expect_err("refused")
                .to_string()
                .contains("variables")
        );
    }

    #[test]
    fn what_cannot_be_traced_is_refused_in_one_line() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        assert!(refusal(Path::new("no-such-program-here")).contains("PATH"));
        assert!(refusal(&at("none")).contains("cannot be run"));
        assert!(refusal(folder.path()).contains("folder"));
        assert!(refusal(&script(folder.path(), "x", "hi", 0o644)).contains("not executable"));
        assert!(refusal(&script(folder.path(), "y", "hi", 0o755)).contains("neither"));
        assert!(refusal(&script(folder.path(), "z", "#!/none/x\n", 0o755)).contains("/none/x"));
        assert!(refusal(&script(folder.path(), "e", "#!\n", 0o755)).contains("names no"));
        let own = script(folder.path(), "loop", "", 0o755);
        std::fs::write(&own, format!("#!{}\n", own.display())).expect("writes");
        assert!(refusal(&own).contains("too deep"));
        std::fs::copy("/bin/sh", at("raised")).expect("copies");
        let raised = std::fs::Permissions::from_mode(0o4755);
        std::fs::set_permissions(at("raised"), raised).expect("chmod");
        assert!(refusal(&at("raised")).contains("setuid"));
    }

    #[test]
    fn static_programs_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("m.c"), "int main(void) { return 0; }\n").expect("ok");
        for flags in [["-static"], ["-static-pie"]] {
            let status = Command::new("gcc")
                .args(flags)
                .args(["-o", "static", "m.c"])
                .current_dir(folder.path())
                .status();
            assert!(
                status
                    .expect("gcc runs (apt-get install gcc libc6-dev)")
                    .success()
            );
            assert!(refusal(&folder.path().join("static")).contains("statically linked"));
        }
    }
}
