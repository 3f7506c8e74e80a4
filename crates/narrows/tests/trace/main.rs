//! `trace`, `report`, `export`, `audit` and `top` as a user runs them: the command, real programs,
//! a probe that is really injected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod export;
mod refusals;
mod running;
mod support;
mod top;
