//! The fuzz targets over their corpora, and over a few thousand bent copies of them: what a long fuzzing once found is found
//! again in every run of the tests. Here, because this crate sees all that is fuzzed. By hand: `cargo xtask fuzz TARGET`.

#[path = "../../fuzz/src/targets.rs"]
mod targets;

use std::path::Path;

use targets::{TARGETS, Target};

const BENT_PER_TARGET: usize = 2_000;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&folder).expect("every target has a corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a corpus is readable").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a corpus is readable")).collect()
}

/// A die that throws the same in every run (splitmix64).
struct Die(u64);

impl Die {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).unwrap_or(0)
    }
}

/// A copy with a few bytes changed, taken out, put in, or taken from another.
fn bent(die: &mut Die, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[die.below(corpus.len())].clone();
    for _ in 0..=die.below(4) {
        let place = die.below(bytes.len() + 1);
        let byte = *[b'0', b'9', b'-', b'"', b',', b'{', b'\\', 0, 0xff, b'='].get(die.below(12)).unwrap_or(&b'a');
        match die.below(5) {
            0 if place < bytes.len() => bytes[place] = byte,
            1 if place < bytes.len() => _ = bytes.remove(place),
            2 => bytes.insert(place, byte),
            3 => bytes.truncate(place),
            _ => {
                let other = &corpus[die.below(corpus.len())];
                let from = die.below(other.len());
                let to = (from + die.below(32)).min(other.len());
                bytes.splice(place..place, other[from..to].iter().copied());
            }
        }
    }
    bytes
}

fn check((name, target): Target) {
    let corpus = corpus(name);
    assert!(corpus.len() >= 5, "{name} has {} files", corpus.len());
    for bytes in &corpus {
        target(bytes);
    }
    let mut die = Die(7);
    for _ in 0..BENT_PER_TARGET {
        target(&bent(&mut die, &corpus));
    }
}

#[test]
fn what_is_fuzzed_holds_over_the_corpora_and_over_bent_copies_of_them() {
    for target in TARGETS {
        check(target);
    }
}
