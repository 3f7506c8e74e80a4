//! How hooks are declared on macOS: a function of ours and a row in the table that the dynamic
//! linker reads. The functions behind them are linked with by name.

/// Declares the real functions of a module. `NAME as "symbol"` where the symbol is no identifier of
/// ours; without its leading underscore.
macro_rules! real {
    ($($static:ident = $name:ident($($arg:ty),*) -> $ret:ty;)+) => {
        $(
            static $static: $crate::base::Real<unsafe extern "C-unwind" fn($($arg),*) -> $ret> = {
                #[allow(clashing_extern_declarations)] // types of ours for one symbol
                unsafe extern "C-unwind" {
                    fn $name($(_: $arg),*) -> $ret;
                }
                $crate::base::Real::new($name)
            };
        )+
    };
}

/// Declares the real functions whose symbols are mangled names of C++.
macro_rules! real_mangled {
    ($($static:ident = $symbol:literal($($arg:ty),*) -> $ret:ty;)+) => {
        $(
            static $static: $crate::base::Real<unsafe extern "C-unwind" fn($($arg),*) -> $ret> = {
                #[allow(clashing_extern_declarations)] // types of ours for one symbol
                unsafe extern "C-unwind" {
                    #[link_name = $symbol]
                    fn theirs($(_: $arg),*) -> $ret;
                }
                $crate::base::Real::new(theirs)
            };
        )+
    };
}

/// Register of the first argument behind the given ones.
#[cfg(target_arch = "x86_64")]
macro_rules! next_argument {
    () => {
        "rdi"
    };
    ($a:ident) => {
        "rsi"
    };
    ($a:ident $b:ident) => {
        "rdx"
    };
    ($a:ident $b:ident $c:ident) => {
        "rcx"
    };
    ($a:ident $b:ident $c:ident $d:ident) => {
        "r8"
    };
}

/// Register of the first argument behind the given ones.
#[cfg(target_arch = "aarch64")]
macro_rules! next_argument {
    () => {
        "x0"
    };
    ($a:ident) => {
        "x1"
    };
    ($a:ident $b:ident) => {
        "x2"
    };
    ($a:ident $b:ident $c:ident) => {
        "x3"
    };
    ($a:ident $b:ident $c:ident $d:ident) => {
        "x4"
    };
}

/// Puts `ours` in the place of the function `symbol`.
macro_rules! interpose {
    ($ours:expr, $symbol:literal) => {
        const _: () = {
            #[allow(clashing_extern_declarations)] // only its address is taken
            unsafe extern "C-unwind" {
                #[link_name = $symbol]
                fn theirs();
            }
            #[used]
            #[unsafe(link_section = "__DATA,__interpose,interposing")]
            static ROW: $crate::hooks::Tuple = $crate::hooks::Tuple {
                ours: $ours as *const (),
                theirs: theirs as *const (),
            };
        };
    };
}

/// Declares hooks that are told who called: `fn name(arguments) -> type = body;` stands in the
/// place of the function `name` and enters `body(arguments, site)`.
macro_rules! hooks {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $ret:ty = $body:path;)+) => {
        $( hooks!(@one $name stringify!($name), ($($arg: $type),*) -> $ret, $body); )+
    };
    (@one $name:ident $symbol:expr, ($($arg:ident: $type:ty),*) -> $ret:ty, $body:path) => {
        const _: () = {
            #[unsafe(naked)]
            unsafe extern "C-unwind" fn ours($($arg: $type),*) -> $ret {
                #[cfg(target_arch = "x86_64")]
                core::arch::naked_asm!(
                    concat!("mov ", next_argument!($($arg)*), ", qword ptr [rsp]"),
                    "jmp {body}",
                    body = sym $body,
                );
                #[cfg(target_arch = "aarch64")]
                core::arch::naked_asm!(
                    concat!("mov ", next_argument!($($arg)*), ", x30"),
                    "b {body}",
                    body = sym $body,
                );
            }
            #[allow(clashing_extern_declarations)] // types of ours for one symbol
            unsafe extern "C-unwind" {
                fn $name($(_: $type),*) -> $ret;
            }
            #[used]
            #[unsafe(link_section = "__DATA,__interpose,interposing")]
            static ROW: $crate::hooks::Tuple = $crate::hooks::Tuple {
                ours: ours as *const (),
                theirs: $name as *const (),
            };
        };
    };
}

/// The same for mangled names of C++.
macro_rules! hooks_mangled {
    ($(fn $symbol:literal($($arg:ident: $type:ty),*) -> $ret:ty = $body:path;)+) => {
        $(
            const _: () = {
                #[unsafe(naked)]
                unsafe extern "C-unwind" fn ours($($arg: $type),*) -> $ret {
                    #[cfg(target_arch = "x86_64")]
                    core::arch::naked_asm!(
                        concat!("mov ", next_argument!($($arg)*), ", qword ptr [rsp]"),
                        "jmp {body}",
                        body = sym $body,
                    );
                    #[cfg(target_arch = "aarch64")]
                    core::arch::naked_asm!(
                        concat!("mov ", next_argument!($($arg)*), ", x30"),
                        "b {body}",
                        body = sym $body,
                    );
                }
                interpose!(ours, $symbol);
            };
        )+
    };
}

/// As [`real`]: the loader binds them all.
macro_rules! real_when_called {
    ($($declared:tt)*) => {
        real! { $($declared)* }
    };
}
