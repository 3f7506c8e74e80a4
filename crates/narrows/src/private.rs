//! Whose machine this is: names that must not stand in a report for strangers.

use narrows_report::Private;

/// Variables that hold a user's name.
const USERS: [&str; 4] = ["USER", "LOGNAME", "SUDO_USER", "USERNAME"];

/// User, host and home directory, as far as they can be read.
pub(crate) fn words() -> Private {
    let mut names: Vec<String> = USERS
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .collect();
    let system = rustix::system::uname();
    names.push(system.nodename().to_string_lossy().into_owned());
    names.extend(std::env::var("HOSTNAME"));
    let home = std::env::var("HOME").ok();
    Private::new(names.iter().map(String::as_str), home.as_deref())
}
