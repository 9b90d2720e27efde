//! How units may lie along an axis, and orders to try them in.

/// Layouts that are tried, at the most.
const TRIES: usize = 256;

/// An axis of a weight that the units share: `outer × units × inner` entries, `outer · inner = each`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tie {
    /// The weight's dotted path.
    pub name: String,
    /// The axis.
    pub axis: usize,
    /// Entries of each unit.
    pub each: usize,
    /// Those of them that lie side by side: `each` where a unit is one run, such as a head; 1 where all units follow
    /// each other `each` times, such as the gates of an LSTM.
    pub inner: usize,
}

impl Tie {
    /// The entries of the units `order` along the axis, where there are `units` of them.
    pub(super) fn places(&self, units: usize, order: &[usize]) -> Vec<usize> {
        let run = |first: usize| first * self.inner..(first + 1) * self.inner;
        let outer = 0..self.each / self.inner;
        outer.flat_map(|outer| order.iter().flat_map(move |unit| run(outer * units + unit))).collect()
    }
}

/// The layouts to try, `inner` of each tie: first all ties of as many entries alike, then each for itself where there
/// are not too many ways.
pub(super) fn arrangements(ties: &[Tie]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let mut sizes: Vec<usize> = ties.iter().map(|tie| tie.each).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let place: Vec<usize> =
        ties.iter().map(|tie| sizes.iter().position(|size| *size == tie.each).unwrap_or(0)).collect();
    let alike =
        combinations(&sizes).take(TRIES).map(move |inner| place.iter().map(|place| inner[*place]).collect());
    let all: Vec<usize> = ties.iter().map(|tie| tie.each).collect();
    let apart = ways(&all) <= TRIES && ways(&all) > ways(&sizes);
    alike.chain(apart.then(|| combinations(&all)).into_iter().flatten())
}

/// A divisor of each of `numbers`, in all ways.
fn combinations(numbers: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let choices: Vec<Vec<usize>> = numbers.iter().map(|number| divisors(*number)).collect();
    (0..ways(numbers)).map(move |mut way| {
        let pick = |choice: &Vec<usize>| {
            let picked = choice[way % choice.len()];
            way /= choice.len();
            picked
        };
        choices.iter().map(pick).collect()
    })
}

/// How many ways there are to choose a divisor of each of `numbers`.
fn ways(numbers: &[usize]) -> usize {
    numbers.iter().fold(1, |ways, number| ways.saturating_mul(divisors(*number).len()))
}

/// The divisors of `number`: the number itself, 1, and then the others.
fn divisors(number: usize) -> Vec<usize> {
    let between = (2..number).filter(|divisor| number.is_multiple_of(*divisor));
    let mut found = vec![number];
    found.extend((number > 1).then_some(1));
    found.extend(between);
    found
}

/// Orders of `count` units to try: one at random, so that a wrong layout is soon found out, and two from which all others
/// are made, the units moved on by one and the first two of them exchanged.
pub(super) fn orders(count: usize) -> [Vec<usize>; 3] {
    let straight: Vec<usize> = (0..count).collect();
    let (mut moved, mut exchanged) = (straight.clone(), straight.clone());
    moved.rotate_left(1.min(count));
    if count > 1 {
        exchanged.swap(0, 1);
    }
    [shuffled(straight), moved, exchanged]
}

/// Fisher and Yates's shuffle, with Knuth's linear congruential numbers (MMIX).
fn shuffled(mut order: Vec<usize>) -> Vec<usize> {
    let mut state = 1_u64;
    for last in (1..order.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (state >> 33) as usize % (last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tie(each: usize, inner: usize) -> Tie {
        Tie { name: String::new(), axis: 0, each, inner }
    }

    #[test]
    fn units_lie_in_runs_or_one_behind_the_other() {
        assert_eq!(tie(2, 2).places(3, &[2, 0]), [4, 5, 0, 1]);
        assert_eq!(tie(2, 1).places(3, &[2, 0]), [2, 0, 5, 3]);
        assert_eq!(tie(4, 2).places(3, &[1]), [2, 3, 8, 9]);
    }

    #[test]
    fn layouts_are_tried_alike_first_and_then_apart() {
        let found: Vec<_> = arrangements(&[tie(2, 1), tie(1, 1), tie(2, 1)]).collect();
        assert_eq!(found[..2], [[2, 1, 2], [1, 1, 1]]);
        assert!(found.contains(&vec![1, 1, 2]) && found.contains(&vec![2, 1, 1]), "{found:?}");
        assert_eq!(arrangements(&[tie(1, 1), tie(1, 1)]).count(), 1);
        assert_eq!(divisors(6), [6, 1, 2, 3]);
    }

    #[test]
    fn orders_hold_every_unit_once_and_two_of_them_move_some() {
        for count in 2..40 {
            let orders = orders(count);
            assert!(!orders[1].is_sorted() && !orders[2].is_sorted(), "{count}");
            for mut order in orders {
                order.sort_unstable();
                assert!(order.into_iter().eq(0..count));
            }
        }
        assert!(!orders(24)[0].is_sorted());
    }
}
