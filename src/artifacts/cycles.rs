//! Circles: where documents build on each other in such a way that none can be first.
//!
//! A circle is a strongly connected part of the graph, told once. What a document reaches and what reaches it have its
//! part in common. For a graph of the size that is answered, taking that word for word is quick enough, and it needs
//! neither a library nor a stack as deep as the graph.

use std::collections::BTreeSet;

/// The circles of a graph of paths: each begins with its first path and goes on along the edges, in the order in which
/// one who goes ahead first comes by. A document that builds on itself is one, too.
pub(super) fn of<'g>(edges: impl Iterator<Item = (&'g str, &'g str)> + Clone) -> Vec<Vec<String>> {
    let paths: BTreeSet<&str> = edges.clone().flat_map(|(from, to)| [from, to]).collect();
    let paths: Vec<&str> = paths.into_iter().collect();
    let (mut on, mut by) = (vec![Vec::new(); paths.len()], vec![Vec::new(); paths.len()]);
    for (from, to) in edges {
        if let (Ok(from), Ok(to)) = (paths.binary_search(&from), paths.binary_search(&to)) {
            on[from].push(to);
            by[to].push(from);
        }
    }
    on.iter_mut().for_each(|next| next.sort_unstable());
    let mut told = vec![false; paths.len()];
    let mut circles = Vec::new();
    for start in 0..paths.len() {
        if told[start] || on[start].is_empty() || by[start].is_empty() {
            continue;
        }
        let mut is_behind = vec![false; paths.len()];
        reached(start, &by).into_iter().for_each(|path| is_behind[path] = true);
        if !is_behind[start] {
            continue;
        }
        // It comes first, though it is reached last.
        let others = reached(start, &on).into_iter().filter(|path| *path != start && is_behind[*path]);
        let circle: Vec<_> = std::iter::once(start).chain(others).collect();
        circle.iter().for_each(|path| told[*path] = true);
        circles.push(circle.into_iter().map(|path| paths[path].to_owned()).collect());
    }
    circles
}

/// What is reached in at least one step.
fn reached(start: usize, steps: &[Vec<usize>]) -> Vec<usize> {
    let (mut seen, mut order) = (vec![false; steps.len()], Vec::new());
    let mut open: Vec<_> = steps[start].iter().rev().copied().collect();
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut seen[at], true) {
            order.push(at);
            open.extend(steps[at].iter().rev());
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(edges: &[(&'static str, &'static str)]) -> Vec<Vec<String>> {
        of(edges.iter().copied())
    }

    #[test]
    fn each_circle_is_told_once_from_its_first_path_on() {
        assert!(circles(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
        assert_eq!(circles(&[("b", "c"), ("c", "a"), ("a", "b"), ("d", "a")]), [["a", "b", "c"]]);
        assert_eq!(circles(&[("a", "z"), ("z", "m"), ("m", "a")]), [["a", "z", "m"]]);
        assert_eq!(circles(&[("a", "a"), ("b", "c"), ("c", "b"), ("a", "b")]), [vec!["a"], vec!["b", "c"]]);
    }

    #[test]
    fn circles_that_touch_are_one() {
        assert_eq!(circles(&[("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")]), [["a", "b", "c"]]);
    }
}
