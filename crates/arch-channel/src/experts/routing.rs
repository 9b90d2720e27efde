//! Which experts each token uses.

/// How many experts there are, and how many of them a token uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routing {
    pub(super) experts: usize,
    pub(super) chosen: usize,
    pub(super) groups: usize,
    pub(super) chosen_groups: usize,
}

/// Best scores that speak for a group (DeepSeek-AI 2024, arXiv:2412.19437, section 2.1.2, as published).
const SPOKESMEN: usize = 2;

impl Routing {
    /// The chosen experts, `tokens × chosen`, the best first, by `scores`, `tokens × experts`.
    pub(super) fn choose(self, scores: &[f32]) -> Vec<usize> {
        scores.chunks(self.experts).flat_map(|scores| self.choose_for_one(scores)).collect()
    }

    fn choose_for_one(self, scores: &[f32]) -> Vec<usize> {
        if self.chosen_groups == self.groups {
            return best(scores, 0..self.experts, self.chosen);
        }
        let size = self.experts / self.groups;
        let strength: Vec<f32> = scores
            .chunks(size)
            .map(|group| best(group, 0..size, SPOKESMEN).into_iter().map(|expert| group[expert]).sum())
            .collect();
        let groups = best(&strength, 0..self.groups, self.chosen_groups);
        let candidates = groups.into_iter().flat_map(|group| group * size..(group + 1) * size);
        best(scores, candidates, self.chosen)
    }
}

/// The `count` candidates with the largest scores, or all where there are fewer, the best first; of equal ones
/// the first.
fn best(scores: &[f32], candidates: impl IntoIterator<Item = usize>, count: usize) -> Vec<usize> {
    let mut candidates: Vec<usize> = candidates.into_iter().collect();
    candidates.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    candidates.truncate(count);
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_chosen() {
        let routing = Routing { experts: 4, chosen: 2, groups: 1, chosen_groups: 1 };
        assert_eq!(routing.choose(&[0.1, 0.4, 0.2, 0.3, 0.5, 0.5, 0.0, 0.5]), [1, 3, 0, 1]);
    }

    #[test]
    fn groups_are_chosen_by_their_two_best() {
        // The best expert stands in the first group, but the second has the better pair.
        let scores = [0.9, 0.0, 0.0, 0.6, 0.5, 0.1];
        let routing = Routing { experts: 6, chosen: 2, groups: 2, chosen_groups: 1 };
        assert_eq!(routing.choose(&scores), [3, 4]);
        assert_eq!(Routing { chosen_groups: 2, ..routing }.choose(&scores), [0, 3]);
        // Groups of a single expert speak for themselves.
        assert_eq!(Routing { groups: 6, chosen_groups: 3, ..routing }.choose(&scores), [0, 3]);
    }
}
