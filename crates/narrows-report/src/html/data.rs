//! The timeline as the page's script reads it: bins as base64, four bytes each, so that a trace of
//! any length stays well below two megabytes.

use crate::Error;
use narrows_model::explain::timeline::{Bin, Lane, LaneKind, Share, Timeline};
use serde::Serialize;

/// No state: nothing was recorded.
const NOTHING: u8 = 255;

#[derive(Serialize)]
struct Data<'a> {
    length: u64,
    window: Option<(u64, u64)>,
    exact: Option<(u64, u64)>,
    bins: &'a [u64],
    /// Layer, class, place and call of each state.
    states: Vec<[String; 3]>,
    lanes: Vec<LaneData<'a>>,
}

#[derive(Serialize)]
struct LaneData<'a> {
    name: &'a str,
    kind: &'static str,
    /// Per level: first state, its part of 255, second state, its part.
    levels: Vec<String>,
    /// Start after the end of the one before, length, state, index into `owners` plus 1 or 0.
    exact: Vec<[u64; 4]>,
    owners: Vec<&'a str>,
}

pub(super) fn json(timeline: &Timeline) -> Result<String, Error> {
    let data = Data {
        length: timeline.length_ns,
        window: timeline.window,
        exact: timeline.exact,
        bins: &timeline.bin_ns,
        states: timeline
            .terms
            .iter()
            .map(|t| {
                [
                    t.layer.name().to_owned(),
                    t.class.words().to_owned(),
                    crate::words::place(t.class, Some(&t.site), t.call.as_deref()),
                ]
            })
            .collect(),
        lanes: timeline
            .lanes
            .iter()
            .map(|l| lane(l, timeline.exact.map_or(0, |e| e.0)))
            .collect(),
    };
    Ok(serde_json::to_string(&data)?)
}

fn lane(lane: &Lane, from: u64) -> LaneData<'_> {
    let mut owners: Vec<&str> = Vec::new();
    let mut last = from;
    let mut exact = Vec::with_capacity(lane.exact.len());
    for state in &lane.exact {
        let owner = state.owner.as_deref().map_or(0, |name| {
            let known = owners.iter().position(|o| *o == name);
            let at = known.unwrap_or_else(|| {
                owners.push(name);
                owners.len() - 1
            });
            at as u64 + 1
        });
        let gap = state.start_ns.saturating_sub(last);
        last = state.start_ns + state.length_ns;
        exact.push([gap, state.length_ns, u64::from(state.term), owner]);
    }
    LaneData {
        name: &lane.name,
        kind: match lane.kind {
            LaneKind::Ops => "ops",
            LaneKind::Other => "other",
            LaneKind::Device => "device",
        },
        levels: lane.levels.iter().map(|bins| packed(bins)).collect(),
        exact,
        owners,
    }
}

fn packed(bins: &[Bin]) -> String {
    let share = |share: Option<Share>| match share {
        // A state of the palette: there are fewer than 255.
        Some(Share { term, part }) => [
            u8::try_from(term).unwrap_or(NOTHING - 1),
            (part * 255.0).round().clamp(1.0, 255.0) as u8,
        ],
        None => [NOTHING, 0],
    };
    let bytes: Vec<u8> = bins
        .iter()
        .flat_map(|bin| [share(bin.first), share(bin.second)])
        .flatten()
        .collect();
    base64(&bytes)
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= group.len() {
                letter as char
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
    }
}
