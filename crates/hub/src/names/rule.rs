//! One way in which published tensors and ours belong together.

use std::collections::BTreeMap;

use ansatz_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::Shapes;
use crate::Values;

/// How published tensors and ours belong together. Every rule holds in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Rule {
    /// The published tensor is ours.
    Same { published: String, ours: String },
    /// The last two dimensions are exchanged: a linear map is published as `[outputs, inputs]`.
    Transposed { published: String, ours: String },
    /// The published tensor has one more dimension, of size 1.
    Unsqueezed { published: String, ours: String, axis: usize },
    /// A linear map is published as a convolution of width 1: `[outputs, inputs, 1]`.
    Pointwise { published: String, ours: String },
    /// A linear map of flattened patches is published as a convolution: `[outputs, channels, height, width]` is ours
    /// `[height × width × channels, outputs]`.
    Patches { published: String, ours: String, sides: [usize; 2] },
    /// The published tensor has the values of ours in other dimensions.
    Reshaped { published: String, shape: Vec<usize>, ours: String },
    /// The published tensor has the values of ours, in dimensions of another order.
    Permuted { published: String, whole: Vec<usize>, parts: Vec<usize>, order: Vec<usize>, ours: String },
    /// The published tensor is several of ours behind each other.
    Joined { published: String, ours: Vec<String>, axis: usize, transposed: bool },
    /// The published tensor is equal shares of several of ours behind each other, then the next shares, and so on;
    /// it may have one more dimension, of size 1, behind the outputs.
    Interleaved { published: String, ours: Vec<String>, groups: usize, form: Form },
    /// One of ours is several published tensors along a new first dimension.
    Stacked { published: Vec<String>, ours: String, transposed: bool },
}

/// How the outputs of a published tensor stand in ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    /// Published as `[outputs, inputs]`, ours the other way round.
    Linear,
    /// Published as `[channels, 1, taps]`, ours without the dimension of size 1.
    Convolution,
}

impl Form {
    /// Where the outputs stand in our tensor of two dimensions.
    fn axis(self) -> usize {
        usize::from(self == Self::Linear)
    }

    /// A published tensor in the form of ours.
    fn read(self, values: &Values) -> Option<Values> {
        match self {
            Self::Linear => values.transposed(),
            Self::Convolution => values.squeezed(1),
        }
    }

    /// One of ours as it is published.
    fn write(self, values: &Values) -> Option<Values> {
        match self {
            Self::Linear => values.transposed(),
            Self::Convolution => values.unsqueezed(1),
        }
    }
}

/// Why a rule cannot be followed.
pub(super) enum Problem {
    Missing(Error),
    /// The published tensor at fault.
    Shape(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Missing(error)
    }
}

impl Rule {
    /// The published tensor, the first of several.
    pub(super) fn published(&self) -> &str {
        match self {
            Self::Same { published, .. }
            | Self::Transposed { published, .. }
            | Self::Unsqueezed { published, .. }
            | Self::Pointwise { published, .. }
            | Self::Patches { published, .. }
            | Self::Reshaped { published, .. }
            | Self::Permuted { published, .. }
            | Self::Interleaved { published, .. }
            | Self::Joined { published, .. } => published,
            Self::Stacked { published, .. } => published.first().map_or("", String::as_str),
        }
    }

    pub(super) fn ours(&self) -> Vec<&str> {
        match self {
            Self::Same { ours, .. }
            | Self::Transposed { ours, .. }
            | Self::Unsqueezed { ours, .. }
            | Self::Pointwise { ours, .. }
            | Self::Patches { ours, .. }
            | Self::Reshaped { ours, .. }
            | Self::Permuted { ours, .. }
            | Self::Stacked { ours, .. } => vec![ours],
            Self::Joined { ours, .. } | Self::Interleaved { ours, .. } => {
                ours.iter().map(String::as_str).collect()
            }
        }
    }

    pub(super) fn read(
        &self,
        take: &mut impl FnMut(&String) -> Result<Values>,
        shapes: &Shapes,
        give: &mut impl FnMut(&str, Values),
    ) -> Result<(), Problem> {
        let shape = |name: &String| Problem::Shape(name.clone());
        match self {
            Self::Same { published, ours } => give(ours, take(published)?),
            Self::Transposed { published, ours } => {
                give(ours, take(published)?.transposed().ok_or_else(|| shape(published))?);
            }
            Self::Unsqueezed { published, ours, axis } => {
                give(ours, take(published)?.squeezed(*axis).ok_or_else(|| shape(published))?);
            }
            Self::Joined { published, ours, axis, transposed } => {
                let values = take(published)?;
                let mut first = 0;
                for name in ours {
                    // A map turned round has its outputs last.
                    let place = |shape: &Vec<usize>| {
                        if *transposed { shape.len().checked_sub(1) } else { Some(*axis) }
                    };
                    let count = shapes.get(name).and_then(|shape| shape.get(place(shape)?).copied());
                    let part = count.and_then(|count| values.narrow(*axis, first, count));
                    let part = part.and_then(|part| if *transposed { part.transposed() } else { Some(part) });
                    give(name, part.ok_or_else(|| shape(published))?);
                    first += count.unwrap_or_default();
                }
                if values.shape.get(*axis) != Some(&first) {
                    return Err(shape(published));
                }
            }
            Self::Pointwise { published, ours } => {
                let values = take(published)?.squeezed(2).and_then(|values| values.transposed());
                give(ours, values.ok_or_else(|| shape(published))?);
            }
            Self::Patches { published, ours, sides } => {
                let values = take(published)?;
                let fits = values.shape.len() == 4 && values.shape[2..] == *sides;
                let values = if fits { values.permuted(&[2, 3, 1, 0]) } else { None };
                let own = shapes.get(ours).and_then(|own| values?.reshaped(own.clone()));
                give(ours, own.ok_or_else(|| shape(published))?);
            }
            Self::Reshaped { published, ours, shape: whole } => {
                let values = take(published)?;
                let own = shapes.get(ours).filter(|_| values.shape == *whole);
                let values = own.and_then(|own| values.reshaped(own.clone()));
                give(ours, values.ok_or_else(|| shape(published))?);
            }
            Self::Permuted { published, whole, parts, order, ours } => {
                let values = take(published)?;
                let own = shapes.get(ours).filter(|_| values.shape == *whole);
                let turned = values.reshaped(parts.clone()).and_then(|values| values.permuted(order));
                let values = own.and_then(|own| turned?.reshaped(own.clone()));
                give(ours, values.ok_or_else(|| shape(published))?);
            }
            Self::Interleaved { published, ours, groups, form } => {
                let values = form.read(&take(published)?).ok_or_else(|| shape(published))?;
                let all = separated(&values, ours, *groups, *form, shapes).ok_or_else(|| shape(published))?;
                for (name, values) in ours.iter().zip(all) {
                    give(name, values);
                }
            }
            Self::Stacked { published, ours, transposed } => {
                let parts = published.iter().map(|name| {
                    let values = take(name)?;
                    let values = if *transposed { values.transposed() } else { Some(values) };
                    values.and_then(|values| values.unsqueezed(0)).ok_or_else(|| shape(name))
                });
                let parts: Vec<Values> = parts.collect::<Result<_, Problem>>()?;
                give(ours, Values::joined(&parts, 0).ok_or_else(|| shape(&published[0]))?);
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, ours: &BTreeMap<String, Values>) -> Option<Vec<(String, Values)>> {
        match self {
            Self::Same { published, ours: name } => Some(vec![(published.clone(), ours[name].clone())]),
            Self::Transposed { published, ours: name } => {
                Some(vec![(published.clone(), ours[name].transposed()?)])
            }
            Self::Unsqueezed { published, ours: name, axis } => {
                Some(vec![(published.clone(), ours[name].unsqueezed(*axis)?)])
            }
            Self::Joined { published, ours: names, axis, transposed } => {
                let parts = names
                    .iter()
                    .map(|name| if *transposed { ours[name].transposed() } else { Some(ours[name].clone()) });
                let parts: Vec<Values> = parts.collect::<Option<_>>()?;
                Some(vec![(published.clone(), Values::joined(&parts, *axis)?)])
            }
            Self::Pointwise { published, ours: name } => {
                Some(vec![(published.clone(), ours[name].transposed()?.unsqueezed(2)?)])
            }
            Self::Patches { published, ours: name, sides: [height, width] } => {
                let values = &ours[name];
                let &[flat, outputs] = &values.shape[..] else { return None };
                let channels = share(&flat, height * width)?;
                let apart = values.reshaped(vec![*height, *width, channels, outputs])?;
                Some(vec![(published.clone(), apart.permuted(&[3, 2, 0, 1])?)])
            }
            Self::Reshaped { published, ours: name, shape } => {
                Some(vec![(published.clone(), ours[name].reshaped(shape.clone())?)])
            }
            Self::Permuted { published, whole, parts, order, ours: name } => {
                let turned =
                    order.iter().map(|axis| parts.get(*axis).copied()).collect::<Option<Vec<_>>>()?;
                let back: Vec<usize> = (0..order.len())
                    .map(|axis| order.iter().position(|at| *at == axis))
                    .collect::<Option<_>>()?;
                let values = ours[name].reshaped(turned)?.permuted(&back)?.reshaped(whole.clone())?;
                Some(vec![(published.clone(), values)])
            }
            Self::Interleaved { published, ours: names, groups, form } => {
                let axis = form.axis();
                let mut parts = Vec::new();
                for group in 0..*groups {
                    for name in names {
                        let share = share(ours[name].shape.get(axis)?, *groups)?;
                        parts.push(ours[name].narrow(axis, group * share, share)?);
                    }
                }
                Some(vec![(published.clone(), form.write(&Values::joined(&parts, axis)?)?)])
            }
            Self::Stacked { published, ours: name, transposed } => {
                let values = &ours[name];
                if values.shape.first() != Some(&published.len()) {
                    return None;
                }
                published
                    .iter()
                    .enumerate()
                    .map(|(index, published)| {
                        let part = values.narrow(0, index, 1)?.squeezed(0)?;
                        Some((published.clone(), if *transposed { part.transposed()? } else { part }))
                    })
                    .collect()
            }
        }
    }
}

/// An equal share of `outputs` for each group.
fn share(outputs: &usize, groups: usize) -> Option<usize> {
    (groups > 0 && outputs.is_multiple_of(groups)).then(|| outputs / groups)
}

/// All of `ours` out of their interleaved shares; `None` where the shares do not make up `values`.
fn separated(
    values: &Values,
    ours: &[String],
    groups: usize,
    form: Form,
    shapes: &Shapes,
) -> Option<Vec<Values>> {
    let axis = form.axis();
    let shares = ours.iter().map(|name| share(shapes.get(name)?.get(axis)?, groups));
    let shares: Vec<usize> = shares.collect::<Option<_>>()?;
    let group: usize = shares.iter().sum();
    if values.shape.get(axis) != Some(&(group * groups)) {
        return None;
    }
    let mut before = 0;
    let mut all = Vec::with_capacity(ours.len());
    for share in shares {
        let parts = (0..groups).map(|at| values.narrow(axis, at * group + before, share));
        all.push(Values::joined(&parts.collect::<Option<Vec<_>>>()?, axis)?);
        before += share;
    }
    Some(all)
}
