//! Finds a circle among names that wait for one another.

use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};

/// A circle, first name repeated at the end. Without recursion: a hostile chain may be long.
pub(crate) fn find_cycle(edges: &IndexMap<&str, Vec<&str>>) -> Option<Vec<String>> {
    let mut waiting: HashMap<&str, usize> = HashMap::new();
    let mut waited_for: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, nexts) in edges {
        let known = nexts.iter().filter(|next| edges.contains_key(**next));
        waiting.insert(name, known.clone().count());
        known.for_each(|next| waited_for.entry(next).or_default().push(name));
    }
    let mut left: HashSet<&str> = edges.keys().copied().collect();
    let mut free: Vec<&str> = waiting.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    while let Some(done) = free.pop() {
        left.remove(done);
        for name in waited_for.get(done).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    free.push(name);
                }
            }
        }
    }
    // Every name that is left waits for another that is left: walking on must come back.
    let mut name = *edges.keys().find(|name| left.contains(**name))?;
    let mut path: Vec<&str> = Vec::new();
    let mut seen = HashSet::new();
    while seen.insert(name) {
        path.push(name);
        name = edges[name].iter().copied().find(|next| left.contains(next))?;
    }
    let start = path.iter().position(|step| *step == name)?;
    Some(path[start..].iter().copied().chain([name]).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_and_named_from_its_first_member() {
        let edges = IndexMap::from([("z", vec!["a"]), ("a", vec!["b", "x"]), ("b", vec!["c"]), ("c", vec!["a"]), ("x", vec![])]);
        assert_eq!(find_cycle(&edges).unwrap(), ["a", "b", "c", "a"]);
    }

    #[test]
    fn a_thing_that_waits_for_itself_is_a_circle_and_a_missing_one_is_not() {
        assert_eq!(find_cycle(&IndexMap::from([("a", vec!["a"])])).unwrap(), ["a", "a"]);
        assert_eq!(find_cycle(&IndexMap::from([("a", vec!["gone"])])), None);
    }
}
