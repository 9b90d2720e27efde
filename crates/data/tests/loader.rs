//! What a resumed or differently threaded run relies on.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ansatz_core::{Batch, Encoder, Error, Exhibit, OpenData, Part, Result, Targets, Variation};
use ansatz_data::{Balance, Loader, LoaderConfig, Order, Purpose, stream};
use proptest::prelude::*;
use rand::RngExt;

/// A set whose batch shows which examples it was made of and what was drawn for them.
struct Numbers {
    examples: usize,
    fails_at: Option<usize>,
    panics_at: Option<usize>,
}

impl Numbers {
    fn new(examples: usize) -> Self {
        Self { examples, fails_at: None, panics_at: None }
    }
}

impl OpenData for Numbers {
    fn encoder(&self) -> &dyn Encoder {
        panic!("the loader never asks for it")
    }

    fn examples(&self, _: Part) -> usize {
        self.examples
    }

    fn batch(&self, _: Part, indices: &[usize], variation: Option<Variation>) -> Result<Batch> {
        let wanted = |at: Option<usize>| at.is_some_and(|at| indices.contains(&at));
        assert!(!wanted(self.panics_at), "example out of reach");
        if wanted(self.fails_at) {
            return Err(Error::Failed("example is damaged".to_owned()));
        }
        let drawn = indices.iter().map(|&index| match variation {
            Some(Variation { seed, epoch }) => {
                stream(seed, Purpose::Example, epoch, index as u64).random_range(0..1_000_000)
            }
            None => 0,
        });
        let targets = indices.iter().copied().zip(drawn).flat_map(|(index, drawn)| [index, drawn]).collect();
        Ok(Batch { examples: indices.len(), inputs: Vec::new(), targets: Targets::Classes(targets) })
    }

    fn exhibit(&self, _: Part, index: usize) -> Result<Exhibit> {
        Ok(Exhibit::Text(index.to_string()))
    }
}

fn loader(data: Numbers, batch_size: usize, workers: usize, prefetch: usize, order: Order) -> Loader {
    let batch_size = NonZeroUsize::new(batch_size).unwrap();
    Loader::new(Arc::new(data), Part::Train, order, &LoaderConfig { batch_size, workers, prefetch })
}

fn targets(loader: &Loader, epoch: u64, start: usize) -> Vec<Targets> {
    loader.epoch(epoch, start).unwrap().map(|batch| batch.unwrap().targets).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches_depend_on_seed_epoch_and_number_alone(
        examples in 0usize..70, batch_size in 1usize..20, workers in 1usize..5, prefetch in 0usize..7,
        seed: u64, epoch in 0u64..4, start in 0usize..10,
    ) {
        let order = Order::Shuffled { seed };
        let alone = targets(&loader(Numbers::new(examples), batch_size, 0, 0, order), epoch, 0);
        prop_assert_eq!(alone.len(), examples.div_ceil(batch_size));
        let threaded = loader(Numbers::new(examples), batch_size, workers, prefetch, order);
        prop_assert_eq!(&targets(&threaded, epoch, 0), &alone);
        prop_assert_eq!(&targets(&threaded, epoch, start)[..], alone.get(start..).unwrap_or(&[]));
    }

    #[test]
    fn every_example_comes_once_in_each_epoch(examples in 0usize..70, batch_size in 1usize..20, seed: u64) {
        let loader = loader(Numbers::new(examples), batch_size, 2, 2, Order::Shuffled { seed });
        let mut seen = Vec::new();
        for batch in loader.epoch(1, 0)? {
            let Targets::Classes(values) = batch?.targets else { unreachable!() };
            seen.extend(values.chunks(2).map(|pair| pair[0]));
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..examples).collect::<Vec<_>>());
    }
}

#[test]
fn epochs_and_seeds_differ_and_evaluation_keeps_the_order() {
    let of = |order, epoch| targets(&loader(Numbers::new(50), 50, 1, 1, order), epoch, 0);
    let base = of(Order::Shuffled { seed: 1 }, 0);
    assert_ne!(base, of(Order::Shuffled { seed: 1 }, 1));
    assert_ne!(base, of(Order::Shuffled { seed: 2 }, 0));
    let plain: Vec<usize> = (0..50).flat_map(|index| [index, 0]).collect();
    assert_eq!(of(Order::AsGiven, 3), [Targets::Classes(plain)]);
}

#[test]
fn balanced_epochs_can_be_entered_anywhere_and_evaluation_is_not_balanced() {
    let balance = || Balance::new(&(0..50).map(|index| usize::from(index < 5)).collect::<Vec<_>>());
    let of = |order, workers| loader(Numbers::new(50), 8, workers, 2, order).balanced(balance());
    let shuffled = Order::Shuffled { seed: 1 };
    let alone = targets(&of(shuffled, 0), 3, 0);
    assert_eq!(targets(&of(shuffled, 3), 3, 2), alone[2..]);
    let rare = alone.iter().map(|batch| match batch {
        Targets::Classes(values) => values.chunks(2).filter(|pair| pair[0] < 5).count(),
        _ => 0,
    });
    assert_eq!(rare.sum::<usize>(), 25, "five of fifty come as often as the others");
    let plain: Vec<usize> = (0..8).flat_map(|index| [index, 0]).collect();
    assert_eq!(targets(&of(Order::AsGiven, 0), 0, 0)[0], Targets::Classes(plain));
}

#[test]
fn batches_by_length_hold_every_example_once_and_neighbours_in_length() {
    let length = |index: usize| index * 37 % 101;
    let lengths: Vec<usize> = (0..1003).map(length).collect();
    let of = |order, workers| loader(Numbers::new(1003), 8, workers, 2, order).by_length(lengths.clone());
    let shuffled = Order::Shuffled { seed: 1 };
    let alone = targets(&of(shuffled, 0), 3, 0);
    assert_eq!(targets(&of(shuffled, 3), 3, 7), alone[7..]);
    assert_ne!(targets(&of(shuffled, 0), 4, 0), alone);
    let members = |batch: &Targets| -> Vec<usize> {
        let Targets::Classes(values) = batch else { unreachable!() };
        values.chunks(2).map(|pair| pair[0]).collect()
    };
    let batches: Vec<Vec<usize>> = alone.iter().map(members).collect();
    assert_eq!(batches.last().unwrap().len(), 3);
    let mut all = batches.concat();
    all.sort_unstable();
    assert_eq!(all, (0..1003).collect::<Vec<_>>());
    let spread = |batch: &Vec<usize>| {
        let lengths = batch.iter().map(|index| length(*index));
        lengths.clone().max().unwrap() - lengths.min().unwrap()
    };
    let spreads: usize = batches.iter().map(spread).sum();
    assert!(spreads < 5 * batches.len(), "lengths differ by {spreads} in {} batches", batches.len());
    let firsts: Vec<usize> = batches.iter().map(|batch| length(batch[0])).collect();
    assert!(!firsts.is_sorted(), "short and long batches take turns");
    let plain: Vec<usize> = (0..8).flat_map(|index| [index, 0]).collect();
    assert_eq!(targets(&of(Order::AsGiven, 0), 0, 0)[0], Targets::Classes(plain));
}

#[test]
fn an_error_of_a_worker_arrives_in_its_place() {
    for workers in [0, 1, 3] {
        let data = Numbers { fails_at: Some(25), ..Numbers::new(100) };
        let loader = loader(data, 10, workers, 4, Order::AsGiven);
        let batches: Vec<_> = loader.epoch(0, 0).unwrap().collect();
        assert_eq!(batches.len(), 3, "{workers} workers");
        assert!(batches[..2].iter().all(Result::is_ok));
        assert_eq!(batches[2].as_ref().unwrap_err().to_string(), "example is damaged");
    }
}

#[test]
fn a_panic_of_a_worker_is_an_error() {
    for workers in [0, 1, 3] {
        let data = Numbers { panics_at: Some(5), ..Numbers::new(100) };
        let error = loader(data, 10, workers, 4, Order::AsGiven).epoch(2, 0).unwrap().next().unwrap();
        assert_eq!(
            error.unwrap_err().to_string(),
            "loader: batch 0 of epoch 2 of the train part panicked: example out of reach\n  expected: a batch \
             or an error\n  to do: report it: this is a defect of the data model"
        );
    }
}

#[test]
fn an_epoch_can_be_left_early() {
    let loader = loader(Numbers::new(10_000), 1, 2, 2, Order::Shuffled { seed: 0 });
    let mut batches = loader.epoch(0, 7).unwrap();
    batches.next().unwrap().unwrap();
    assert_eq!(batches.position(), 8);
    drop(batches);
}

#[test]
fn burn_sees_the_same_examples() {
    use burn_dataset::Dataset;
    let data: Arc<dyn OpenData> = Arc::new(Numbers::new(5));
    let examples = ansatz_data::Examples::new(Arc::clone(&data), Part::Test);
    assert_eq!(examples.len(), 5);
    for (index, example) in examples.iter().enumerate() {
        let direct = data.batch(Part::Test, &[index], None).unwrap();
        assert_eq!(example.unwrap().targets, direct.targets);
    }
}
