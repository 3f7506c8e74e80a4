//! Readable names for C++ and Rust symbols.

/// The readable form of `symbol`; the symbol itself where it is not mangled.
///
/// C++ names lose their parameter list and Rust names their hash: a table has no room for either.
/// A version suffix (`@GLIBC_2.34`) is dropped.
pub fn demangle(symbol: &str) -> String {
    let symbol = symbol.split('@').next().unwrap_or(symbol);
    if let Ok(name) = rustc_demangle::try_demangle(symbol) {
        return format!("{name:#}");
    }
    let mangled = symbol.starts_with("_Z") || symbol.starts_with("__Z");
    let readable = if mangled { cpp(symbol) } else { None };
    readable.unwrap_or_else(|| symbol.to_owned())
}

fn cpp(symbol: &str) -> Option<String> {
    // The parser recurses; this depth is far above any real name and far below the stack's end.
    let limits = cpp_demangle::ParseOptions::default().recursion_limit(96);
    let parsed = cpp_demangle::Symbol::new_with_options(symbol, &limits).ok()?;
    let options = cpp_demangle::DemangleOptions::new()
        .no_params()
        .no_return_type();
    parsed.demangle_with_options(&options).ok()
}

#[cfg(test)]
mod tests {
    use super::demangle;

    #[test]
    fn c_cpp_and_rust() {
        assert_eq!(
            demangle("pthread_mutex_lock@GLIBC_2.2.5"),
            "pthread_mutex_lock"
        );
        assert_eq!(
            demangle("_ZN2at6native3addERKNS_6TensorES3_"),
            "at::native::add"
        );
        assert_eq!(
            demangle("_ZN4core3ptr13drop_in_place17h0123456789abcdefE"),
            "core::ptr::drop_in_place"
        );
        assert_eq!(demangle("_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(demangle("_Z"), "_Z");
        assert_eq!(demangle(""), "");
    }
}
