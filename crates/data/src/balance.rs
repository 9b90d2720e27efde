//! Epochs in which every class comes equally often.

use rand::seq::SliceRandom;

use crate::random::{Purpose, stream};

/// The examples of each class, from which an epoch is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// The examples of each class that has some.
    members: Vec<Vec<usize>>,
    examples: usize,
}

impl Balance {
    /// Of examples with these classes.
    pub fn new(classes: &[usize]) -> Self {
        let mut members = vec![Vec::new(); classes.iter().max().map_or(0, |highest| highest + 1)];
        for (index, &class) in classes.iter().enumerate() {
            members[class].push(index);
        }
        members.retain(|members| !members.is_empty());
        Self { members, examples: classes.len() }
    }

    /// As many indices as there are examples, in the order of an epoch: of each class equally many, to within one, and no
    /// example of a class again before all of them came. All follows from seed and epoch.
    pub fn indices(&self, seed: u64, epoch: u64) -> Vec<usize> {
        let draw = |place: u64| stream(seed, Purpose::Balance, epoch, place);
        let classes = self.members.len().max(1);
        let (each, left) = (self.examples / classes, self.examples % classes);
        // Whose turn it is to come once more.
        let mut turns: Vec<usize> = (0..self.members.len()).collect();
        turns.shuffle(&mut draw(0));
        let mut indices = Vec::with_capacity(self.examples);
        for (turn, class) in turns.into_iter().enumerate() {
            let mut order = self.members[class].clone();
            order.shuffle(&mut draw(1 + class as u64));
            indices.extend(order.iter().cycle().take(each + usize::from(turn < left)));
        }
        indices.shuffle(&mut stream(seed, Purpose::Order, epoch, 0));
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_comes_equally_often_and_none_of_its_examples_before_all_came() {
        // 90 of class 0, 8 of class 2, 3 of class 3; none of class 1.
        let classes: Vec<usize> = (0..101)
            .map(|index| {
                if index < 90 {
                    0
                } else if index < 98 {
                    2
                } else {
                    3
                }
            })
            .collect();
        let balance = Balance::new(&classes);
        let mut seen = vec![0_usize; 101];
        for epoch in 0..20 {
            let indices = balance.indices(7, epoch);
            assert_eq!(indices.len(), 101);
            let mut times = vec![0_usize; 101];
            indices.iter().for_each(|&index| times[index] += 1);
            for class in [0, 2, 3] {
                let of_class: Vec<usize> =
                    (0..101).filter(|&index| classes[index] == class).map(|index| times[index]).collect();
                let count: usize = of_class.iter().sum();
                assert!((33..=34).contains(&count), "{count} of class {class}");
                let (most, least) = (of_class.iter().max(), of_class.iter().min());
                assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1));
            }
            seen.iter_mut().zip(times).for_each(|(seen, times)| *seen += times);
        }
        assert!(seen.iter().all(|times| *times > 0), "all are learned from in the end");
    }

    #[test]
    fn seed_and_epoch_tell_the_order() {
        let balance = Balance::new(&[0, 0, 0, 1, 1, 2]);
        assert_eq!(balance.indices(1, 3), balance.indices(1, 3));
        assert_ne!(balance.indices(1, 3), balance.indices(1, 4));
        assert_ne!(balance.indices(1, 3), balance.indices(2, 3));
        assert!(Balance::new(&[]).indices(1, 0).is_empty());
    }
}
