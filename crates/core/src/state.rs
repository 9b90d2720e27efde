//! What a recurrent form carries from token to token.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

/// A state tensor of any rank from 1 to 5, batch first.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the rank is the name")]
pub enum StateTensor {
    Rank1(Tensor<1>),
    Rank2(Tensor<2>),
    Rank3(Tensor<3>),
    Rank4(Tensor<4>),
    Rank5(Tensor<5>),
}

macro_rules! ranks {
    ($($rank:literal $variant:ident),*) => {
        $(
            impl From<Tensor<$rank>> for StateTensor {
                fn from(tensor: Tensor<$rank>) -> Self {
                    Self::$variant(tensor)
                }
            }

            impl TryFrom<StateTensor> for Tensor<$rank> {
                type Error = StateTensor;

                fn try_from(stored: StateTensor) -> Result<Self, StateTensor> {
                    match stored {
                        StateTensor::$variant(tensor) => Ok(tensor),
                        other => Err(other),
                    }
                }
            }
        )*

        impl StateTensor {
            /// Sizes of its dimensions.
            pub fn dims(&self) -> Vec<usize> {
                match self { $(Self::$variant(tensor) => tensor.dims().to_vec(),)* }
            }

            /// Its values, copied to the host.
            pub fn to_data(&self) -> TensorData {
                match self { $(Self::$variant(tensor) => tensor.to_data(),)* }
            }

            /// Rebuilds a tensor from host values; `None` for a rank outside 1–5.
            pub fn from_data(data: TensorData, device: &Device) -> Option<Self> {
                match data.rank() {
                    $($rank => Some(Self::$variant(Tensor::from_data(data, device))),)*
                    _ => None,
                }
            }
        }
    };
}
ranks!(1 Rank1, 2 Rank2, 3 Rank3, 4 Rank4, 5 Rank5);

/// Named tensors carried from token to token, with the number of tokens seen.
///
/// A state is plain data: cloning it forks a generation, [`State::to_data`] and [`State::from_data`] save
/// and resume one.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Tokens taken in so far.
    pub position: usize,
    tensors: BTreeMap<String, StateTensor>,
    parts: BTreeMap<String, State>,
}

impl State {
    /// An empty state at position 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores `tensor` under `name`, in place of what was there.
    pub fn set(&mut self, name: &str, tensor: impl Into<StateTensor>) {
        self.tensors.insert(name.to_owned(), tensor.into());
    }

    /// The same, for building a state in one expression.
    pub fn with(mut self, name: &str, tensor: impl Into<StateTensor>) -> Self {
        self.set(name, tensor);
        self
    }

    /// Takes the tensor `name` out, to be replaced by its successor; `None` when it is absent or of another
    /// rank.
    pub fn take<const D: usize>(&mut self, name: &str) -> Option<Tensor<D>>
    where
        Tensor<D>: TryFrom<StateTensor>,
    {
        self.tensors.remove(name).and_then(|stored| stored.try_into().ok())
    }

    /// The state of a component inside this one, made empty on first use.
    pub fn part(&mut self, name: &str) -> &mut State {
        self.parts.entry(name.to_owned()).or_default()
    }

    /// Puts the state of an inner component.
    pub fn set_part(&mut self, name: &str, state: State) {
        self.parts.insert(name.to_owned(), state);
    }

    /// Values held, over all tensors and parts.
    pub fn elements(&self) -> usize {
        let own: usize = self.tensors.values().map(|tensor| tensor.dims().iter().product::<usize>()).sum();
        own + self.parts.values().map(State::elements).sum::<usize>()
    }

    /// Every tensor with its dotted name, in name order.
    pub fn tensors(&self) -> Vec<(String, &StateTensor)> {
        let own = self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor));
        let inner = self.parts.iter().flat_map(|(part, state)| {
            state.tensors().into_iter().map(move |(name, tensor)| (format!("{part}.{name}"), tensor))
        });
        own.chain(inner).collect()
    }

    /// The whole state as host values, exact to the bit.
    pub fn to_data(&self) -> StateData {
        StateData {
            position: self.position,
            tensors: self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.to_data())).collect(),
            parts: self.parts.iter().map(|(name, part)| (name.clone(), part.to_data())).collect(),
        }
    }

    /// Puts a saved state on `device`. Tensors of a rank that no state has are left out.
    pub fn from_data(data: StateData, device: &Device) -> Self {
        let tensors = data.tensors.into_iter();
        let parts = data.parts.into_iter();
        Self {
            position: data.position,
            tensors: tensors
                .filter_map(|(name, values)| Some((name, StateTensor::from_data(values, device)?)))
                .collect(),
            parts: parts.map(|(name, part)| (name, Self::from_data(part, device))).collect(),
        }
    }
}

/// A [`State`] on the host, for saving.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct StateData {
    position: usize,
    tensors: BTreeMap<String, TensorData>,
    parts: BTreeMap<String, StateData>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Sum;
    use crate::{Context, Recurrent};
    use burn::tensor::Distribution;

    fn device() -> Device {
        ansatz_device::open("cpu").unwrap()
    }

    #[test]
    fn a_state_is_saved_and_restored_to_the_bit() {
        let device = device();
        let mut state =
            State::new().with("keys", Tensor::<4>::random([1, 2, 3, 4], Distribution::Default, &device));
        state.position = 3;
        state.part("blocks.0").set("sum", Tensor::<1>::from_data([f32::MIN_POSITIVE], &device));
        let text = serde_json::to_string(&state.to_data()).unwrap();
        let mut restored = State::from_data(serde_json::from_str(&text).unwrap(), &device);
        assert_eq!(restored.position, 3);
        assert_eq!(restored.elements(), 25);
        let names: Vec<_> = restored.tensors().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["keys", "blocks.0.sum"]);
        for ((_, before), (_, after)) in state.tensors().into_iter().zip(restored.tensors()) {
            before.to_data().assert_eq(&after.to_data(), true);
        }
        assert!(restored.take::<3>("keys").is_none(), "it is of rank 4");
    }

    #[test]
    fn a_clone_goes_its_own_way() {
        let device = device();
        let sum = Sum::new(1.0, 1, &device);
        let token = |value: f32| Tensor::<3>::from_data([[[value]]], &device);
        let mut state = sum.state(1, &device);
        sum.step(token(1.0), &mut state, &Context::default());
        let mut fork = state.clone();
        let forked = sum.step(token(10.0), &mut fork, &Context::default()).into_scalar::<f32>();
        let own = sum.step(token(2.0), &mut state, &Context::default()).into_scalar::<f32>();
        assert_eq!((forked, own), (11.0, 3.0));
        assert_eq!((fork.position, state.position), (2, 2));
    }
}
