//! From which rules something is derived, as a list of names: the longest way it came, each rule behind the one whose derivation it took, the latest last.
//! Before that, and parted from it by an empty name, which no rule has, stand the rules on its other ways.

/// Rules on other ways that are named.
const MAX_BESIDE: usize = 64;

/// How often it was derived on its longest way.
pub(crate) fn depth(lineage: &[String]) -> usize {
    longest(lineage).len()
}

/// Adds what something else was derived from that is an input of the same.
pub(crate) fn join(lineage: &mut Vec<String>, other: &[String]) {
    let is_longer = depth(other) > depth(lineage);
    let (long, short) = match is_longer {
        true => (other, &lineage[..]),
        false => (&lineage[..], other),
    };
    let way = longest(long);
    let mut joined: Vec<String> = Vec::new();
    for rule in beside(long).iter().chain(short) {
        let is_known = rule.is_empty() || way.contains(rule) || joined.contains(rule);
        if !is_known && joined.len() < MAX_BESIDE {
            joined.push(rule.clone());
        }
    }
    if !joined.is_empty() {
        joined.push(String::new());
    }
    joined.extend_from_slice(way);
    *lineage = joined;
}

fn longest(lineage: &[String]) -> &[String] {
    lineage.rsplit(String::is_empty).next().unwrap_or_default()
}

/// The names before the longest way.
fn beside(lineage: &[String]) -> &[String] {
    let behind = lineage.len() - depth(lineage);
    lineage.get(..behind).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(|it| it.replace('|', "")).collect()
    }

    #[test]
    fn many_inputs_make_nothing_deeper_and_no_name_is_lost_but_beyond_the_bound() {
        let mut lineage = names("a");
        for other in ["b", "c d", "a", "c d", "e | f d"] {
            join(&mut lineage, &names(other));
        }
        assert_eq!(lineage, names("b a e f | c d"));
        assert_eq!(depth(&lineage), 2);
        for rule in 0..1000 {
            join(&mut lineage, &[rule.to_string()]);
        }
        assert_eq!(lineage.len(), MAX_BESIDE + 3);
        assert_eq!((depth(&lineage), depth(&[])), (2, 0));
    }
}
