//! What the probe itself costs on this machine, measured once when it starts: reports subtract
//! nothing, but say it.
//!
//! The real hook paths run on a recorder without files, so the trace holds no event of this.

use super::local::{Local, Mode, local};
use super::scope::{Call, Scope, count_query};
use super::sys;
use core::sync::atomic::{AtomicU64, Ordering};
use narrows_trace::writer::{Scratch, Writer};
use narrows_trace::{Api, CallKind, Nanos, ObjectId, Ticks, Tid};

/// Calls per round; the least of the rounds counts, the first one warms up.
const CALLS: usize = 500;
const ROUNDS: usize = 4;

static CALL: Call = Call::new("", Api::Other, CallKind::Other);

/// Tenths of nanoseconds plus one; 0: not measured.
static EVENT: AtomicU64 = AtomicU64::new(0);
static QUERY: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);
static CLOCKS: AtomicU64 = AtomicU64::new(0);

/// Measures. The caller is inside the probe, and the thread is not registered yet.
pub(crate) fn measure() {
    let Some(scratch) = Scratch::map() else {
        return;
    };
    let local = local();
    // SAFETY: used on this thread until `forget` below, before the scratch goes.
    let handle = unsafe { scratch.handle() };
    CALL.preset(Scratch::CALL);
    local.become_ready(handle, Tid(sys::gettid()));
    local.next_sample.set(Ticks(u64::MAX));
    keep(&CLOCKS, least(&scratch, two_clocks));
    keep(&EVENT, least(&scratch, one_event));
    keep(&QUERY, least(&scratch, one_query));
    let hooked = least(&scratch, crate::hooks::lock_and_unlock);
    let free = least(&scratch, crate::hooks::lock_and_unlock_real);
    keep(&COUNT, hooked.saturating_sub(free));
    forget(local);
}

fn forget(local: &'static Local) {
    local.next_sample.set(Ticks(0));
    local.set_mode(Mode::Inside);
}

fn two_clocks() {
    core::hint::black_box(Ticks::now());
    core::hint::black_box(Ticks::now());
}

fn one_event() {
    if let Some(scope) = Scope::enter(&CALL) {
        scope.leave(ObjectId(0), false);
    }
}

fn one_query() {
    if !count_query(&CALL) {
        one_event();
    }
}

/// Tenths of nanoseconds that one call takes in the fastest round.
fn least(scratch: &Scratch, work: fn()) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        scratch.rewind();
        let start = Nanos::now();
        for _ in 0..CALLS {
            work();
        }
        least = least.min(Nanos::now().0.saturating_sub(start.0));
    }
    least.saturating_mul(10) / CALLS as u64
}

fn keep(place: &AtomicU64, tenths: u64) {
    place.store(tenths + 1, Ordering::Relaxed);
}

/// Tells the recording, of a forked child too, what was measured.
pub(crate) fn tell(writer: Writer) {
    for (key, place) in [
        (&b"cost.event_ns"[..], &EVENT),
        (b"cost.query_ns", &QUERY),
        (b"cost.count_ns", &COUNT),
        (b"cost.two_clocks_ns", &CLOCKS),
    ] {
        if let Some(tenths) = place.load(Ordering::Relaxed).checked_sub(1) {
            let mut text = [0; 24];
            writer.note(key, decimal(tenths, &mut text));
        }
    }
}

/// `123` as `12.3`.
fn decimal(tenths: u64, buffer: &mut [u8; 24]) -> &[u8] {
    let mut rest = tenths;
    let mut first = buffer.len();
    for (place, at) in (0..buffer.len()).rev().enumerate() {
        let letter = if place == 1 {
            b'.'
        } else {
            let digit = (rest % 10) as u8;
            rest /= 10;
            b'0' + digit
        };
        if let Some(to) = buffer.get_mut(at) {
            *to = letter;
        }
        first = at;
        if place >= 2 && rest == 0 {
            break;
        }
    }
    buffer.get(first..).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn tenths_read_as_decimals() {
        for (tenths, text) in [(0, "0.0"), (7, "0.7"), (213, "21.3"), (10_000, "1000.0")] {
            assert_eq!(decimal(tenths, &mut [0; 24]), text.as_bytes());
        }
    }
}
