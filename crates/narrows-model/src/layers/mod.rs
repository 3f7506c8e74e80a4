//! Which layer a shared object or a function belongs to, from rules in a file.
//!
//! Rules are data (`layers.toml`, carried inside; `--layers FILE` is read before it), so that a
//! library that this version never heard of can be placed without a new build. An object that no
//! rule names is the program's own as far as anyone can tell: it is put into [`Layer::App`] and
//! said to be unknown. How addresses become objects and symbols is not decided here.

pub mod glob;

use serde::{Deserialize, Serialize};

/// The rules that every build carries.
pub const BUILT_IN: &str = include_str!("layers.toml");

/// Where time is spent, from the program down to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The program itself, and objects that no rule knows.
    App,
    /// A language's interpreter, its global lock included.
    Interpreter,
    /// PyTorch, JAX, MLX, ONNX Runtime, ncnn, wgpu and the like.
    Framework,
    /// Libraries of kernels: cuBLAS, cuDNN, MPS, oneDNN.
    Library,
    /// The API's runtime or loader: libcudart, libvulkan, libOpenCL.
    Runtime,
    /// The part that belongs to the device's maker: libcuda, an ICD.
    Driver,
    /// System calls that reach a device.
    Kernel,
    /// The device.
    Gpu,
    /// Ready to run, but no core was free.
    Scheduler,
    /// Time that nothing recorded explains.
    Unseen,
}

impl Layer {
    /// All layers, from the program down.
    pub const ALL: [Layer; 10] = [
        Layer::App,
        Layer::Interpreter,
        Layer::Framework,
        Layer::Library,
        Layer::Runtime,
        Layer::Driver,
        Layer::Kernel,
        Layer::Gpu,
        Layer::Scheduler,
        Layer::Unseen,
    ];

    /// The layer's name in rules, tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::App => "app",
            Layer::Interpreter => "interpreter",
            Layer::Framework => "framework",
            Layer::Library => "library",
            Layer::Runtime => "runtime",
            Layer::Driver => "driver",
            Layer::Kernel => "kernel",
            Layer::Gpu => "gpu",
            Layer::Scheduler => "scheduler",
            Layer::Unseen => "unseen",
        }
    }
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What the rules say about an object or a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// A rule names the layer.
    Known(Layer),
    /// The object passes calls on: look at its caller.
    Caller,
    /// No rule matches.
    Unknown,
}

/// A rules file that cannot be used, with the place of the first fault.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}:{line}:{column}: {message}")]
#[non_exhaustive]
pub struct RulesError {
    /// The file as it was named by whoever loaded it.
    pub file: String,
    /// Line of the fault, from 1.
    pub line: usize,
    /// Column of the fault in characters, from 1.
    pub column: usize,
    /// What is wrong, on one line.
    pub message: String,
}

/// Rules in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct Rules {
    rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RuleLayer {
    App,
    Interpreter,
    Framework,
    Library,
    Runtime,
    Driver,
    Kernel,
    Gpu,
    Caller,
}

impl RuleLayer {
    const fn placement(self) -> Placement {
        match self {
            RuleLayer::App => Placement::Known(Layer::App),
            RuleLayer::Interpreter => Placement::Known(Layer::Interpreter),
            RuleLayer::Framework => Placement::Known(Layer::Framework),
            RuleLayer::Library => Placement::Known(Layer::Library),
            RuleLayer::Runtime => Placement::Known(Layer::Runtime),
            RuleLayer::Driver => Placement::Known(Layer::Driver),
            RuleLayer::Kernel => Placement::Known(Layer::Kernel),
            RuleLayer::Gpu => Placement::Known(Layer::Gpu),
            RuleLayer::Caller => Placement::Caller,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    layer: RuleLayer,
    #[serde(default)]
    objects: Vec<String>,
    #[serde(default)]
    symbols: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<toml::Spanned<Rule>>,
}

impl Rules {
    /// The built-in rules alone.
    pub fn built_in() -> Result<Rules, RulesError> {
        Ok(Rules {
            rules: parse("layers.toml (built in)", BUILT_IN)?,
        })
    }

    /// The rules in `text`, then the built-in ones. `file` is the name that an error shows.
    pub fn with_file(file: &str, text: &str) -> Result<Rules, RulesError> {
        let mut rules = parse(file, text)?;
        rules.extend(Rules::built_in()?.rules);
        Ok(Rules { rules })
    }

    /// Where code of the object at `path` belongs; `symbol` is the function inside it, if known.
    pub fn place(&self, path: &str, symbol: Option<&str>) -> Placement {
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        self.find(|rule| {
            !rule.objects.is_empty()
                && rule.objects.iter().any(|glob| object_matches(glob, path))
                && (rule.symbols.is_empty()
                    || symbol.is_some_and(|name| any_matches(&rule.symbols, name)))
        })
    }

    /// Where a call of the function `name` does its work, whichever object serves it.
    pub fn function(&self, name: &str) -> Placement {
        self.find(|rule| rule.objects.is_empty() && any_matches(&rule.symbols, name))
    }

    fn find(&self, matching: impl Fn(&Rule) -> bool) -> Placement {
        let found = self.rules.iter().find(|rule| matching(rule));
        found.map_or(Placement::Unknown, |rule| rule.layer.placement())
    }
}

fn any_matches(globs: &[String], text: &str) -> bool {
    globs.iter().any(|glob| glob::matches(glob, text))
}

fn object_matches(glob: &str, path: &str) -> bool {
    if glob.contains('/') {
        return glob::matches(glob, path);
    }
    glob::matches(glob, path.rsplit('/').next().unwrap_or(path))
}

fn parse(file: &str, text: &str) -> Result<Vec<Rule>, RulesError> {
    let fault = |at: usize, message: &str| {
        let (line, column) = position(text, at);
        let message = message
            .lines()
            .next()
            .unwrap_or("not a rules file")
            .to_owned();
        RulesError {
            file: file.to_owned(),
            line,
            column,
            message,
        }
    };
    let parsed: File = toml::from_str(text)
        .map_err(|error| fault(error.span().map_or(0, |span| span.start), error.message()))?;
    for rule in &parsed.rule {
        if rule.get_ref().objects.is_empty() && rule.get_ref().symbols.is_empty() {
            return Err(fault(
                rule.span().start,
                "a rule needs `objects` or `symbols`",
            ));
        }
    }
    Ok(parsed
        .rule
        .into_iter()
        .map(toml::Spanned::into_inner)
        .collect())
}

/// Line and column, both from 1, of the byte at `at`.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests;
