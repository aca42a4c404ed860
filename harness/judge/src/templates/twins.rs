//! Templates that are the same but for one word.

use super::MANY;
use super::tree::ByHash;
use super::words::{HIDDEN, Word, mix};

/// Words that must be left for lines to be the same.
const SHARED_MIN: usize = 2;

/// For each template and place, who else is the same but for that place.
#[derive(Debug, Default)]
pub(super) struct Twins(ByHash<Group>);

/// No more than [`MANY`] ever: from then on they are one.
#[derive(Debug, Default)]
struct Group {
    count: usize,
    members: [u32; MANY],
}

impl Twins {
    /// A template with a value at the one place where this line differs from it.
    pub(super) fn known(&self, words: &[Word]) -> Option<u32> {
        keys(words).find_map(|(_, key)| self.0.get(&key).filter(|group| group.count == MANY).map(|group| group.members[0]))
    }

    /// Enters a template that is not known; the places at which there are many now, and who they are.
    pub(super) fn enter(&mut self, words: &[Word], template: u32) -> Vec<(usize, [u32; MANY])> {
        let mut many = Vec::new();
        for (place, key) in keys(words) {
            let group = self.0.entry(key).or_default();
            if let Some(member) = group.members.get_mut(group.count) {
                *member = template;
                group.count += 1;
                if group.count == MANY {
                    many.push((place, group.members));
                }
            }
        }
        many
    }
}

/// For each place that is no value, a hash of the line without it.
fn keys(words: &[Word]) -> impl Iterator<Item = (usize, u64)> {
    let at = |place: usize, symbol: u64| mix(place as u64 + 1, symbol);
    let whole = words.iter().enumerate().fold(words.len() as u64, |sum, (place, word)| sum.wrapping_add(at(place, word.symbol)));
    let shown = words.iter().filter(|word| word.symbol != HIDDEN).count();
    let places = words.iter().enumerate().filter(move |(_, word)| shown > SHARED_MIN && word.symbol != HIDDEN);
    places.map(move |(place, word)| (place, mix(whole.wrapping_sub(at(place, word.symbol)).wrapping_add(at(place, HIDDEN)), place as u64)))
}
