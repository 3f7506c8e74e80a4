//! Takes out of a text what is nobody else's business.

/// Names that must not stand in a report for strangers: the user's, the host's, the folders of the
/// home directory.
#[derive(Clone, Debug, Default)]
pub struct Private {
    names: Vec<String>,
}

/// What stands where a private name stood.
pub(super) const GONE: &str = "...";

/// Components of home directories that name nobody.
const COMMON: [&str; 9] = [
    "home", "Users", "root", "usr", "var", "mnt", "export", "data", "nfs",
];

/// Options whose value is never shown.
const SECRETS: [&str; 6] = ["token", "secret", "password", "passwd", "key", "credential"];

impl Private {
    /// `names`: users and hosts; `home`: the home directory. Parts of a host's full name count one
    /// by one.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>, home: Option<&str>) -> Private {
        let folders = home.into_iter().flat_map(|path| path.split(['/', '\\']));
        let hosts = names.into_iter().flat_map(|name| {
            let parts = name.split('.');
            std::iter::once(name).chain(parts)
        });
        let mut all: Vec<String> = hosts
            .chain(folders)
            .map(str::trim)
            .filter(|name| {
                name.chars().count() > 1 && !COMMON.contains(name) && *name != "localhost"
            })
            .map(str::to_owned)
            .collect();
        // The longest first: none may survive as a part of another.
        all.sort_by_key(|name| std::cmp::Reverse(name.len()));
        all.dedup();
        Private { names: all }
    }

    /// Paths become base names, private names go away, in a sentence or a name.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let breaks = |c: char| c.is_whitespace() || "\"'`()[]{}<>,;=".contains(c);
        for piece in text.split_inclusive(breaks) {
            let end = piece.chars().next_back().filter(|c| breaks(*c));
            let word = end.map_or(piece, |c| &piece[..piece.len() - c.len_utf8()]);
            out.push_str(&path_to_name(word));
            out.extend(end.map(|c| if c == '\n' || c == '\r' { ' ' } else { c }));
        }
        self.without_names(&out)
    }

    /// A word of a command line: whatever holds a slash becomes a base name, values of variables
    /// and of secrets go away.
    pub(super) fn word(&self, word: &str, before: Option<&str>) -> String {
        let secret = |name: &str| {
            let name = name.to_ascii_lowercase();
            SECRETS.iter().any(|s| name.contains(s))
        };
        if before.is_some_and(|b| b.starts_with('-') && !b.contains('=') && secret(b)) {
            return GONE.into();
        }
        if let Some((name, value)) = word.split_once('=') {
            let variable = !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            let value = match variable || secret(name) {
                true => GONE.to_owned(),
                false => base_name(value).to_owned(),
            };
            return self.without_names(&format!("{}={value}", base_name(name)));
        }
        self.without_names(base_name(word))
    }

    fn without_names(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for name in &self.names {
            text = replace_any_case(&text, name);
        }
        text
    }
}

/// Host names come in any case.
fn replace_any_case(text: &str, name: &str) -> String {
    let (lower, wanted) = (text.to_lowercase(), name.to_lowercase());
    if lower.len() != text.len() {
        // Lower case changed the length of something: places no longer agree.
        return text.replace(name, GONE);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = 0;
    for (at, found) in lower.match_indices(&wanted) {
        if let Some(before) = text.get(rest..at) {
            out.push_str(before);
            out.push_str(GONE);
            rest = at + found.len();
        }
    }
    out.push_str(text.get(rest..).unwrap_or_default());
    out
}

/// A path in a sentence: it begins like one, or has more than one slash (`ops/s` has one).
fn path_to_name(word: &str) -> String {
    let begins = ["/", "./", "../", "~"].iter().any(|b| word.starts_with(b));
    let inside = word.matches('/').count() > 1 || word.contains(":/") || word.contains('\\');
    if (begins || inside) && word.len() > 1 {
        base_name(word).to_owned()
    } else {
        word.to_owned()
    }
}

fn base_name(path: &str) -> &str {
    let trimmed = path.trim_end_matches(['/', '\\']);
    trimmed.rsplit(['/', '\\']).next().unwrap_or(trimmed)
}

#[cfg(test)]
mod tests {
    use super::{GONE, Private};
    use proptest::prelude::*;

    fn private() -> Private {
        Private::new(["ada", "box7.lab.example"], Some("/home/ada/deep"))
    }

    #[test]
    fn paths_become_names() {
        let p = private();
        assert_eq!(
            p.scrub("in /opt/x/libcuda.so.1+0x12, twice"),
            "in libcuda.so.1+0x12, twice"
        );
        assert_eq!(
            p.scrub("at 36,630 ops/s; slope 1/N"),
            "at 36,630 ops/s; slope 1/N"
        );
        assert_eq!(p.scrub("file=/etc/x"), "file=x");
        assert_eq!(p.scrub("~/a b"), "a b");
    }

    #[test]
    fn names_go_away_in_any_case() {
        let p = private();
        assert_eq!(
            p.scrub("worker-ADA on Box7"),
            format!("worker-{GONE} on {GONE}")
        );
        assert_eq!(p.scrub("deep"), GONE);
        assert_eq!(p.scrub("home"), "home");
    }

    #[test]
    fn words_of_a_command() {
        let p = private();
        assert_eq!(p.word("../build/app", None), "app");
        assert_eq!(p.word("--model=/data/m.bin", None), "--model=m.bin");
        assert_eq!(
            p.word("API_URL=https://x/y", None),
            format!("API_URL={GONE}")
        );
        assert_eq!(p.word("--api-key=abc", None), format!("--api-key={GONE}"));
        assert_eq!(p.word("abc", Some("--token")), GONE);
        assert_eq!(p.word("{}", Some("--threads")), "{}");
    }

    proptest! {
        #[test]
        fn no_private_name_survives(
            user in "zq[a-z0-9]{1,8}",
            host in "zw[a-zA-Z0-9-]{1,8}",
            folder in "zy[a-z0-9 ]{1,6}z",
            text in "[a-z/ .=~\\\\A-Z\"ß]{0,40}",
            cut in 0usize..40,
        ) {
            let p = Private::new(
                [user.as_str(), host.as_str()],
                Some(&format!("/home/{user}/{folder}")),
            );
            let cut = text.char_indices().nth(cut).map_or(text.len(), |(i, _)| i);
            let (a, b) = text.split_at(cut);
            for name in [&user, &host, &folder] {
                let dirty = format!("{a}{name}{b}/home/{user}/{folder}/x {host} {a}");
                let words = [p.scrub(&dirty), p.word(&dirty, None)];
                for clean in words {
                    prop_assert!(!clean.contains(name.as_str()), "{:?} in {:?}", name, clean);
                }
            }
        }
    }
}
