//! Which tokens each expert works on.

/// The tokens of every expert that was chosen at all, so that one product of matrices serves all experts.
///
/// Every expert gets as many rows as the one with the most tokens; what is left over repeats the first token,
/// and nothing made of it is used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dispatch {
    /// The experts that work, in order.
    pub(super) working: Vec<usize>,
    /// The token in each row, `working × capacity`.
    pub(super) rows: Vec<usize>,
    /// Rows of each working expert.
    pub(super) capacity: usize,
    /// The row of each choice, `tokens × chosen`.
    pub(super) places: Vec<usize>,
}

impl Dispatch {
    /// For `choices`, `tokens × chosen`, among `experts`.
    pub(super) fn new(choices: &[usize], chosen: usize, experts: usize) -> Self {
        let mut loads = vec![0; experts];
        for &expert in choices {
            loads[expert] += 1;
        }
        let capacity = loads.iter().copied().max().unwrap_or(0);
        let working: Vec<usize> = (0..experts).filter(|expert| loads[*expert] > 0).collect();
        let mut next = vec![0; experts];
        for (index, expert) in working.iter().enumerate() {
            next[*expert] = index * capacity;
        }
        let mut rows = vec![0; working.len() * capacity];
        let place = |(choice, &expert): (usize, &usize)| {
            let place = next[expert];
            next[expert] += 1;
            rows[place] = choice / chosen;
            place
        };
        let places = choices.iter().enumerate().map(place).collect();
        Self { working, rows, capacity, places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_finds_its_token_under_its_expert() {
        for (choices, chosen) in [(vec![2, 0, 0, 3, 2, 3, 2, 0], 2), (vec![1], 1), (vec![0, 1, 2, 3], 4)] {
            let dispatch = Dispatch::new(&choices, chosen, 5);
            for (choice, expert) in choices.iter().enumerate() {
                let place = dispatch.places[choice];
                assert_eq!(dispatch.rows[place], choice / chosen);
                assert_eq!(dispatch.working[place / dispatch.capacity], *expert);
            }
            let mut places = dispatch.places.clone();
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), choices.len(), "no two choices share a row");
        }
    }

    #[test]
    fn experts_that_nobody_chose_do_not_work() {
        let dispatch = Dispatch::new(&[3, 1, 3, 1], 2, 6);
        assert_eq!((dispatch.working, dispatch.capacity), (vec![1, 3], 2));
    }
}
