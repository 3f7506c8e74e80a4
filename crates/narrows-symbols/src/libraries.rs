//! Which files a program's libraries are, found as the dynamic linker would, without running it.
//!
//! Order: DT_RPATH (of the object and of who loaded it, unless the object has a RUNPATH),
//! `LD_LIBRARY_PATH`, DT_RUNPATH, the linker's cache, the default folders. Not followed: libraries
//! that the program opens by name later, and hardware-capability folders.

mod cache;

use crate::{Error, Image};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// Where to look besides what the objects say.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// `LD_LIBRARY_PATH`, split.
    pub library_path: Vec<PathBuf>,
    /// Names of the linker's cache and their files, in its order.
    pub cache: Vec<(String, PathBuf)>,
    /// Folders that are searched last.
    pub defaults: Vec<PathBuf>,
}

impl Search {
    /// What this machine's linker uses: environment, `/etc/ld.so.cache`, default folders.
    pub fn system() -> Search {
        let library_path = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let cache = std::fs::read("/etc/ld.so.cache").unwrap_or_default();
        Search {
            library_path: std::env::split_paths(&library_path).collect(),
            cache: cache::entries(&cache),
            defaults: ["/lib", "/usr/lib", "/lib64", "/usr/lib64"]
                .map(PathBuf::from)
                .to_vec(),
        }
    }

    /// The file that a program for `machine` gets when it opens `name` with nothing else said.
    pub fn by_name(&self, name: &str, machine: &str) -> Option<PathBuf> {
        self.candidates(name, &[], &[])
            .find(|path| fits(path, machine))
    }

    fn candidates<'a>(
        &'a self,
        name: &'a str,
        rpath: &'a [PathBuf],
        runpath: &'a [PathBuf],
    ) -> impl Iterator<Item = PathBuf> + 'a {
        let in_folder = move |folder: &PathBuf| folder.join(name);
        let cached = self.cache.iter().filter(move |(known, _)| known == name);
        rpath
            .iter()
            .map(in_folder)
            .chain(self.library_path.iter().map(in_folder))
            .chain(runpath.iter().map(in_folder))
            .chain(cached.map(|(_, path)| path.clone()))
            .chain(self.defaults.iter().map(in_folder))
    }
}

/// A program and the libraries it is linked with.
#[derive(Clone, Debug)]
pub struct Libraries {
    /// The program first, then its libraries in the order in which they are found.
    pub objects: Vec<(PathBuf, Image)>,
    /// Libraries that were not found: the name, and who needs it.
    pub missing: Vec<(String, PathBuf)>,
}

impl Libraries {
    /// The program at `path` and everything it is linked with.
    pub fn of(path: &Path, search: &Search) -> Result<Libraries, Error> {
        let image = Image::open(path)?;
        let mut walk = Walk {
            search,
            machine: image.machine.clone(),
            waiting: VecDeque::new(),
            known: BTreeMap::new(),
            result: Libraries {
                objects: Vec::new(),
                missing: Vec::new(),
            },
        };
        walk.add(path.to_owned(), image, &[]);
        while let Some((name, from, rpath, runpath)) = walk.waiting.pop_front() {
            walk.resolve(&name, &from, &rpath, &runpath);
        }
        Ok(walk.result)
    }
}

/// A needed name, who needs it, and the two lists of folders that its needer brings.
type Need = (String, PathBuf, Vec<PathBuf>, Vec<PathBuf>);

struct Walk<'a> {
    search: &'a Search,
    machine: String,
    waiting: VecDeque<Need>,
    /// Names and files that were met already.
    known: BTreeMap<String, ()>,
    result: Libraries,
}

impl Walk<'_> {
    fn add(&mut self, path: PathBuf, image: Image, inherited: &[PathBuf]) {
        let folder = real(&path).parent().map(Path::to_owned).unwrap_or_default();
        let expand = |entry: &String| expand(entry, &folder);
        let runpath: Vec<PathBuf> = image.runpath.iter().map(expand).collect();
        let mut rpath: Vec<PathBuf> = image.rpath.iter().map(expand).collect();
        rpath.extend_from_slice(inherited);
        // A RUNPATH switches the object's own and its loaders' RPATH off.
        let usable = if runpath.is_empty() {
            rpath
        } else {
            Vec::new()
        };
        for name in &image.needed {
            self.waiting
                .push_back((name.clone(), path.clone(), usable.clone(), runpath.clone()));
        }
        if let Some(soname) = &image.soname {
            self.known.insert(soname.clone(), ());
        }
        self.result.objects.push((path, image));
    }

    fn resolve(&mut self, name: &str, from: &Path, rpath: &[PathBuf], runpath: &[PathBuf]) {
        if self.known.insert(name.to_owned(), ()).is_some() {
            return;
        }
        match self.find(name, from, rpath, runpath) {
            Some((path, image)) => {
                if self.known.insert(path.display().to_string(), ()).is_none() {
                    self.add(path, image, rpath);
                }
            }
            None => self.result.missing.push((name.to_owned(), from.to_owned())),
        }
    }

    fn find(
        &self,
        name: &str,
        from: &Path,
        rpath: &[PathBuf],
        runpath: &[PathBuf],
    ) -> Option<(PathBuf, Image)> {
        let opened = |path: PathBuf| Some((Image::open(&path).ok()?, path));
        let fits = |(image, path): (Image, PathBuf)| {
            (image.machine == self.machine).then_some((path, image))
        };
        if let Some(rest) = name.strip_prefix('@') {
            return mach_candidates(rest, from, rpath)
                .into_iter()
                .find_map(|p| fits(opened(p)?));
        }
        if name.contains('/') {
            return fits(opened(PathBuf::from(name))?);
        }
        self.search
            .candidates(name, rpath, runpath)
            .find_map(|path| fits(opened(path)?))
    }
}

/// `@rpath/x`, `@loader_path/x`, `@executable_path/x` (the `@` is already gone).
fn mach_candidates(rest: &str, from: &Path, rpath: &[PathBuf]) -> Vec<PathBuf> {
    let folder = from.parent().unwrap_or(Path::new(""));
    match rest.split_once('/') {
        Some(("rpath", name)) => rpath.iter().map(|entry| entry.join(name)).collect(),
        Some((_, name)) => vec![folder.join(name)],
        None => Vec::new(),
    }
}

fn expand(entry: &str, folder: &Path) -> PathBuf {
    let folder = folder.display().to_string();
    let mut entry = entry.to_owned();
    for word in ["${ORIGIN}", "$ORIGIN", "@loader_path", "@executable_path"] {
        entry = entry.replace(word, &folder);
    }
    for (word, value) in [("LIB", "lib"), ("PLATFORM", std::env::consts::ARCH)] {
        entry = entry
            .replace(&format!("${{{word}}}"), value)
            .replace(&format!("${word}"), value);
    }
    PathBuf::from(entry)
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn fits(path: &Path, machine: &str) -> bool {
    Image::open(path).is_ok_and(|image| image.machine == machine)
}

#[cfg(test)]
mod tests;
