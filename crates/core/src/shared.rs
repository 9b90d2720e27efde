//! What earlier layers of a network leave for later ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::Tensor;

use crate::{Features, StateTensor};

/// Tensors that earlier layers leave for later ones during one pass through a network, by name.
///
/// Most layers need nothing but the tokens. Some published architectures pass more along the depth: the
/// embedding table to a head that is tied to it ([`Shared::EMBEDDING`]), the first layer's values to all later
/// ones (RWKV-7), one table of relative positions to every attention (T5), what an encoder made of the source
/// to a decoder. Such a layer leaves a tensor here and says in its docs under which name; a later one that
/// finds it uses it.
///
/// Clones see the same tensors. Each pass begins with an empty one.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    tensors: BTreeMap<String, StateTensor>,
    loss: Option<Tensor<1>>,
    lanes: BTreeMap<String, Shared>,
}

impl Shared {
    /// The table of token embeddings `[vocabulary, width]`, left by a stem that has one.
    pub const EMBEDDING: &'static str = "embedding";
    /// What the tokens are to be made of, `[batch, source, width]`, left by a stem whose examples have a source
    /// apart from the tokens themselves.
    pub const SOURCE: &'static str = "source";
    /// The source's mask, `[batch, source]`, 1 where a token is real; nothing is left where all are.
    pub const SOURCE_MASK: &'static str = "source-mask";
    /// What a stem took off each channel of a series, `[batch, 1, channels]`, for the head to add again.
    pub const SERIES_LOCATION: &'static str = "series-location";
    /// What a stem divided each channel of a series by, `[batch, 1, channels]`, for the head to undo.
    pub const SERIES_SCALE: &'static str = "series-scale";

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Every change is a single insertion, so what a panicking thread left behind is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves `tensor` under `name`, in place of what was there.
    pub fn leave(&self, name: &str, tensor: impl Into<StateTensor>) {
        self.contents().tensors.insert(name.to_owned(), tensor.into());
    }

    /// What was left under `name`; `None` when there is nothing, or it has another rank.
    pub fn find<const D: usize>(&self, name: &str) -> Option<Tensor<D>>
    where
        Tensor<D>: TryFrom<StateTensor>,
    {
        self.contents().tensors.get(name).cloned().and_then(|stored| stored.try_into().ok())
    }

    /// Leaves the tokens of `source`, and its mask.
    pub fn leave_source(&self, source: &Features) {
        self.leave(Self::SOURCE, source.tokens.clone());
        if let Some(mask) = &source.mask {
            self.leave(Self::SOURCE_MASK, mask.clone().float());
        }
    }

    /// The source that was left, if any; it shares what these features share.
    pub fn source(&self) -> Option<Features> {
        let tokens = self.find::<3>(Self::SOURCE)?;
        let mask = self.find::<2>(Self::SOURCE_MASK).map(|mask| mask.equal_elem(1));
        Some(Features { mask, grid: None, tokens, shared: self.clone() })
    }

    /// Adds `loss`, `[1]`, to what is minimized besides the task's own loss, e.g. for an even load of experts.
    pub fn add_loss(&self, loss: Tensor<1>) {
        let mut contents = self.contents();
        contents.loss = Some(match contents.loss.take() {
            Some(sum) => sum + loss,
            None => loss,
        });
    }

    /// The sum of the losses that were added here and in all lanes, `[1]`; `None` when there were none.
    pub fn loss(&self) -> Option<Tensor<1>> {
        let contents = self.contents();
        let lanes = contents.lanes.values().filter_map(Self::loss);
        contents.loss.iter().cloned().chain(lanes).reduce(|sum, loss| sum + loss)
    }

    /// What the layers of one lane leave for each other alone, the same for all that ask by this name: tokens that are
    /// read in several orders have a lane for each, where places do not mean the same.
    pub fn lane(&self, name: &str) -> Self {
        self.contents().lanes.entry(name.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_see_what_was_left_and_ranks_are_kept_apart() {
        let device = ansatz_device::open("cpu").unwrap();
        let shared = Shared::default();
        let other = shared.clone();
        shared.leave("value", Tensor::<2>::ones([2, 3], &device));
        assert_eq!(other.find::<2>("value").expect("it was left").dims(), [2, 3]);
        assert!(other.find::<3>("value").is_none());
        assert!(other.find::<2>("key").is_none());
        assert!(Shared::default().find::<2>("value").is_none());
    }

    #[test]
    fn losses_add_up() {
        let device = ansatz_device::open("cpu").unwrap();
        let shared = Shared::default();
        assert!(shared.loss().is_none());
        for value in [1.0f32, 2.0] {
            shared.add_loss(Tensor::from_data([value], &device));
        }
        assert_eq!(shared.loss().expect("two were added").into_scalar::<f32>(), 3.0);
    }

    #[test]
    fn lanes_share_nothing_but_losses() {
        let device = ansatz_device::open("cpu").unwrap();
        let shared = Shared::default();
        shared.lane("down").leave("value", Tensor::<1>::ones([2], &device));
        assert!(shared.find::<1>("value").is_none() && shared.lane("up").find::<1>("value").is_none());
        assert!(shared.clone().lane("down").find::<1>("value").is_some());
        shared.lane("up").add_loss(Tensor::from_data([2.0f32], &device));
        shared.add_loss(Tensor::from_data([0.5f32], &device));
        assert_eq!(shared.loss().expect("two were added").into_scalar::<f32>(), 2.5);
    }
}
