//! The largest dose that is borne: bisection of a range where a single answer may be wrong. Pure: it says which dose to play next and what is
//! known; who plays it, and what a dose is, is not its business.

/// An end of the bracket is believed when one answer is this far ahead of the other.
const AHEAD: u32 = 2;
/// A dose that was played so often and has no answer is at the boundary: it does not hold.
const MOST_OF_ONE: u32 = 5;

/// What was answered at one dose.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tally {
    dose: f64,
    held: u32,
    broke: u32,
}

impl Tally {
    /// In doubt it does not hold.
    fn holds(&self) -> bool {
        self.held > self.broke
    }

    fn is_believed(&self) -> bool {
        self.held.abs_diff(self.broke) >= AHEAD || self.held + self.broke >= MOST_OF_ONE
    }
}

/// What is known of one variant: the boundary lies between both. Nothing below: not even the smallest dose is borne; nothing above: the largest
/// is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Bracket {
    /// The expectations hold up to this dose.
    pub(crate) holds_to: Option<f64>,
    /// They do not hold at this one.
    pub(crate) breaks_at: Option<f64>,
}

/// The search for one variant.
#[derive(Debug, Clone)]
pub(crate) struct Margin {
    range: (f64, f64),
    resolution: f64,
    /// In order of dose.
    tallies: Vec<Tally>,
}

impl Margin {
    /// Between `from` and `to`, as exact as `resolution`.
    pub(crate) fn between(from: f64, to: f64, resolution: f64) -> Margin {
        Margin { range: (from.min(to), from.max(to)), resolution: resolution.max(f64::EPSILON), tallies: Vec::new() }
    }

    /// Takes the answer of a play in.
    pub(crate) fn add(&mut self, dose: f64, held: bool) {
        let at = self.tallies.partition_point(|tally| tally.dose < dose);
        if self.tallies.get(at).is_none_or(|tally| tally.dose > dose) {
            self.tallies.insert(at, Tally { dose, held: 0, broke: 0 });
        }
        let tally = &mut self.tallies[at];
        if held { tally.held += 1 } else { tally.broke += 1 }
    }

    /// What is known so far. Where answers contradict each other over doses, the smallest that breaks counts.
    pub(crate) fn bracket(&self) -> Bracket {
        let broke = self.tallies.iter().position(|tally| !tally.holds());
        let below = &self.tallies[..broke.unwrap_or(self.tallies.len())];
        Bracket { holds_to: below.last().map(|tally| tally.dose), breaks_at: broke.map(|at| self.tallies[at].dose) }
    }

    /// The dose to play next; `None`: the boundary is known as exactly as was asked, both of its sides more than once.
    pub(crate) fn next(&self) -> Option<f64> {
        let (from, to) = self.range;
        if self.tallies.is_empty() {
            return Some(to);
        }
        match self.bracket() {
            Bracket { breaks_at: None, .. } if !self.is_played(to) => Some(to),
            Bracket { breaks_at: None, .. } => self.unbelieved(to),
            Bracket { holds_to: None, .. } if !self.is_played(from) => Some(from),
            Bracket { holds_to: None, .. } => self.unbelieved(from),
            Bracket { holds_to: Some(low), breaks_at: Some(high) } if high - low > self.resolution => Some(low.midpoint(high)),
            Bracket { holds_to: Some(low), breaks_at: Some(high) } => self.unbelieved(low).or_else(|| self.unbelieved(high)),
        }
    }

    /// How far apart both sides of the boundary are.
    fn width(&self) -> f64 {
        let Bracket { holds_to, breaks_at } = self.bracket();
        breaks_at.unwrap_or(self.range.1) - holds_to.unwrap_or(self.range.0)
    }

    fn is_played(&self, dose: f64) -> bool {
        self.tally(dose).is_some()
    }

    fn unbelieved(&self, dose: f64) -> Option<f64> {
        self.tally(dose).filter(|tally| !tally.is_believed()).map(|tally| tally.dose)
    }

    fn tally(&self, dose: f64) -> Option<&Tally> {
        self.tallies.iter().find(|tally| tally.dose.total_cmp(&dose).is_eq())
    }
}

/// The next dose of several variants that are played together: that of the widest bracket. `None`: all are known.
pub(crate) fn next_of(margins: &[Margin]) -> Option<f64> {
    let open = margins.iter().filter_map(|margin| Some((margin.width(), margin.next()?)));
    open.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, dose)| dose)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    const RESOLUTION: f64 = 10.0;

    /// Plays until nothing is open; what was played with each dose is asked of `holds`.
    fn search(mut holds: impl FnMut(f64) -> bool) -> (Bracket, Vec<f64>) {
        let mut margin = Margin::between(0.0, 2000.0, RESOLUTION);
        let mut played = Vec::new();
        while let Some(dose) = margin.next() {
            margin.add(dose, holds(dose));
            played.push(dose);
            assert!(played.len() < 200, "it does not end: {played:?}");
        }
        (margin.bracket(), played)
    }

    #[test]
    fn a_boundary_is_found_as_exactly_as_was_asked_and_both_sides_are_played_twice() {
        for boundary in [1.0, 9.0, 430.0, 1000.0, 1995.0] {
            let (found, played) = search(|dose| dose <= boundary);
            let (low, high) = (found.holds_to.unwrap(), found.breaks_at.unwrap());
            assert!(low <= boundary && boundary < high && high - low <= RESOLUTION, "{boundary}: {found:?}");
            for end in [low, high] {
                assert!(played.iter().filter(|dose| dose.total_cmp(&end).is_eq()).count() >= 2, "{end} of {played:?}");
            }
            assert!(played.len() <= 14, "{played:?}");
        }
    }

    #[test]
    fn what_always_holds_and_what_never_does_is_known_after_few_plays() {
        let (found, played) = search(|_| true);
        assert_eq!((found, played), (Bracket { holds_to: Some(2000.0), breaks_at: None }, vec![2000.0, 2000.0]));
        let (found, played) = search(|_| false);
        assert_eq!((found, played), (Bracket { holds_to: None, breaks_at: Some(0.0) }, vec![2000.0, 0.0, 0.0]));
    }

    #[test]
    fn a_single_wrong_answer_at_the_boundary_is_corrected() {
        let mut lies = 1;
        // The first play above the boundary of 430 that a bisection asks for close to it.
        let (found, _) = search(|dose| {
            let lie = lies > 0 && (430.0..445.0).contains(&dose);
            lies -= i32::from(lie);
            (dose <= 430.0) != lie
        });
        assert_eq!(lies, 0, "the wrong answer was given");
        assert!(found.holds_to.is_some_and(|low| low <= 430.0) && found.breaks_at.is_some_and(|high| high < 460.0), "{found:?}");
    }

    #[test]
    fn noise_around_the_boundary_moves_the_answer_by_little_more_than_the_noise() {
        for seed in 0..200 {
            let mut dice = ChaCha8Rng::seed_from_u64(seed);
            let (found, played) = search(|dose| dose + dice.random_range(-50.0..50.0) <= 430.0);
            let low = found.holds_to.unwrap();
            assert!((330.0..=490.0).contains(&low), "seed {seed}: {found:?} after {played:?}");
        }
    }

    #[test]
    fn two_variants_share_plays_and_the_wider_bracket_asks() {
        let mut margins = [Margin::between(0.0, 2000.0, RESOLUTION), Margin::between(0.0, 2000.0, RESOLUTION)];
        let boundaries = [430.0, 610.0];
        let mut plays = 0;
        while let Some(dose) = next_of(&margins) {
            for (margin, boundary) in margins.iter_mut().zip(boundaries) {
                margin.add(dose, dose <= boundary);
            }
            plays += 1;
        }
        for (margin, boundary) in margins.iter().zip(boundaries) {
            let found = margin.bracket();
            assert!(found.holds_to.is_some_and(|low| low <= boundary && boundary - low <= RESOLUTION), "{boundary}: {found:?}");
        }
        assert!(plays < 28, "fewer than two searches alone: {plays}");
    }
}
