//! Kernels for burn's `flex` backend, which runs on the processor.

mod accumulate;
mod adam;
mod attention;
mod buffer;
mod causal;
mod columns;
mod convolution;
mod correlate;
mod curve;
mod descent;
mod dropout;
mod elementwise;
mod extension;
mod gradient;
pub(crate) mod integer;
mod lanes;
mod layout;
mod linear;
mod matrix_state;
mod matrix_state_extension;
mod normalize;
mod plane;
mod pool;
mod product;
mod recurrence;
mod recurrence_extension;
mod registers;
mod rows;
mod scalar_memory;
mod scalar_memory_extension;
mod scan;
mod scan_extension;
mod selective;
mod selective_gradient;
mod squash;
mod token_norm;
mod vector;
mod vectorized;
mod wkv;
mod wkv_extension;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::{Cell, SelectiveScan};
pub(crate) use adam::adam;
pub(crate) use attention::attention;
use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Bool, DType, Tensor};
pub(crate) use curve::{Curve, curve};
pub(crate) use descent::descent;
pub(crate) use dropout::kept;
use extension::Extension;
pub(crate) use linear::linear;
pub(crate) use matrix_state::{Change, Keeps, Rule};
use matrix_state_extension::MatrixStateExtension;
use plane::Window;
use recurrence::Recurrence;
use recurrence_extension::RecurrenceExtension;
pub(crate) use rows::weighted_rows;
use scalar_memory_extension::ScalarMemoryExtension;
use scan_extension::ScanExtension;
use std::sync::Arc;
pub(crate) use token_norm::token_norm;
use wkv_extension::WkvExtension;

/// Whether the kernels take a tensor: float32 on the `flex` backend, and not empty.
pub(crate) fn takes<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.shape().num_elements() > 0 && is_flex(x)
}

/// Whether a tensor is on the `flex` backend.
pub(crate) fn is_flex<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// `x` ∗ `weight`, where the kernels know this kind of convolution.
pub(crate) fn convolution(x: &Tensor<4>, weight: &Tensor<4>, options: &ConvOptions<2>) -> Option<Tensor<4>> {
    let windows = windows(x, weight, options)?;
    (takes(x) && takes(weight)).then(|| {
        let (x, weight) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as Extension>::convolution(x, weight, windows))
    })
}

/// The windows down and across of a convolution of the kind that kernels know.
fn windows(x: &Tensor<4>, weight: &Tensor<4>, options: &ConvOptions<2>) -> Option<[Window; 2]> {
    let padding = symmetric(options.padding)?;
    let ([_, _, height, width], [_, _, down, across]) = (x.dims(), weight.dims());
    let windows = [(down, 0), (across, 1)].map(|(kernel, axis)| Window {
        kernel,
        stride: options.stride[axis],
        padding: padding[axis],
        dilation: options.dilation[axis],
    });
    (options.groups == 1 && windows[0].fits(height) && windows[1].fits(width)).then_some(windows)
}

/// `f(norm(x) + residual)`, means and biased variances, where the kernels take these tensors.
pub(crate) fn batch_norm(
    x: &Tensor<4>,
    [gamma, beta]: [&Tensor<1>; 2],
    residual: Option<&Tensor<4>>,
    rectify: bool,
    epsilon: f64,
) -> Option<(Tensor<4>, [Tensor<1>; 2])> {
    if !(takes(x) && takes(gamma) && takes(beta) && residual.is_none_or(takes)) {
        return None;
    }
    let [gamma, beta] = [gamma, beta].map(|tensor| tensor.clone().into_dispatch());
    let x = x.clone().into_dispatch();
    let epsilon = epsilon as f32;
    let (output, mean, variance) = match residual {
        Some(residual) => {
            let residual = residual.clone().into_dispatch();
            <Dispatch as Extension>::batch_norm_sum(x, gamma, beta, residual, rectify, epsilon)
        }
        None => <Dispatch as Extension>::batch_norm(x, gamma, beta, rectify, epsilon),
    };
    Some((Tensor::from_dispatch(output), [mean, variance].map(Tensor::from_dispatch)))
}

/// The maximum under each window, where the kernels know this kind of window.
pub(crate) fn max_pool(x: &Tensor<4>, options: &MaxPoolOptions<2>) -> Option<Tensor<4>> {
    let padding = symmetric(options.padding)?;
    let [_, _, height, width] = x.dims();
    let windows = [0, 1].map(|axis| Window {
        kernel: options.kernel_size[axis],
        stride: options.stride[axis],
        padding: padding[axis],
        dilation: options.dilation[axis],
    });
    let fits = windows[0].fits(height) && windows[1].fits(width);
    // A window that may miss the picture altogether, or has more taps than a byte counts, is left to burn.
    let known = windows.iter().all(|window| window.dilation == 1 && window.padding < window.kernel)
        && windows[0].kernel * windows[1].kernel <= 256
        && !options.ceil_mode;
    (fits && known && takes(x))
        .then(|| Tensor::from_dispatch(<Dispatch as Extension>::max_pool(x.clone().into_dispatch(), windows)))
}

/// The outputs of the recurrence of RWKV-4, and behind them its last state, where the kernel takes these tensors:
/// decay and bonus, then key, value and state.
pub(crate) fn wkv(vectors: [&Tensor<1>; 2], tokens: [&Tensor<3>; 3]) -> Option<Tensor<3>> {
    (vectors.into_iter().all(takes) && tokens.into_iter().all(takes)).then(|| {
        let [decay, bonus] = vectors.map(|tensor| tensor.clone().into_dispatch());
        let [key, value, state] = tokens.map(|tensor| tensor.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as WkvExtension>::wkv(decay, bonus, key, value, state))
    })
}

/// The causal convolution of each channel, where the kernels take these tensors.
pub(crate) fn causal_convolution(
    x: &Tensor<3>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    window: &Tensor<3>,
) -> Option<Tensor<3>> {
    if !(takes(x) && takes(weight) && takes(window) && bias.is_none_or(takes)) {
        return None;
    }
    let bias = bias.cloned().unwrap_or_else(|| Tensor::zeros([x.dims()[2]], &x.device()));
    Some(Tensor::from_dispatch(<Dispatch as ScanExtension>::causal_convolution(
        x.clone().into_dispatch(),
        weight.clone().into_dispatch(),
        bias.into_dispatch(),
        window.clone().into_dispatch(),
    )))
}

/// The states of a diagonal scan, where the kernels take these tensors.
pub(crate) fn diagonal_scan(decay: &Tensor<3>, input: &Tensor<3>, initial: &Tensor<2>) -> Option<Tensor<3>> {
    (takes(decay) && takes(input) && takes(initial)).then(|| {
        let [decay, input] = [decay, input].map(|tensor| tensor.clone().into_dispatch());
        let initial = initial.clone().into_dispatch();
        Tensor::from_dispatch(<Dispatch as ScanExtension>::diagonal_scan(decay, input, initial))
    })
}

/// y and the last state of a selective scan, where the kernels take these tensors.
pub(crate) fn selective_scan(scan: &SelectiveScan, initial: &Tensor<3>) -> Option<(Tensor<3>, Tensor<3>)> {
    let SelectiveScan { x, step, rate, input, output, skip } = scan;
    if !([x, step, input, output, initial].into_iter().all(takes) && takes(rate) && takes(skip)) {
        return None;
    }
    let row = Tensor::<1>::from_dispatch(<Dispatch as ScanExtension>::selective_scan(
        x.clone().into_dispatch(),
        step.clone().into_dispatch(),
        rate.clone().into_dispatch(),
        input.clone().into_dispatch(),
        output.clone().into_dispatch(),
        skip.clone().into_dispatch(),
        initial.clone().into_dispatch(),
    ));
    let outputs = x.shape().num_elements();
    let states = initial.shape().num_elements();
    let y = row.clone().narrow(0, 0, outputs).reshape(x.dims());
    Some((y, row.narrow(0, outputs, states).reshape(initial.dims())))
}

/// What a matrix of state per head is made from.
#[derive(Debug, Clone)]
pub(crate) struct MatrixTokens {
    /// q `[batch, heads, length, key]`.
    pub(crate) query: Tensor<4>,
    /// k `[batch, heads, length, key]`.
    pub(crate) key: Tensor<4>,
    /// v `[batch, heads, length, value]`.
    pub(crate) value: Tensor<4>,
    /// What is kept, or its logarithm, `[batch, heads, length, 1 or key]`.
    pub(crate) decay: Option<Tensor<4>>,
    /// The strength of a correction `[batch, heads, length, 1]`, or what a change of rank one reads
    /// `[batch, heads, length, key]`.
    pub(crate) first: Option<Tensor<4>>,
    /// Where a change of rank one writes `[batch, heads, length, key]`.
    pub(crate) second: Option<Tensor<4>>,
    /// The state before the first token `[batch, heads, key, value]`; zeros where there is none.
    pub(crate) state: Option<Tensor<4>>,
}

/// The outputs and the last state of a recurrence with a matrix of state, where the kernels take these tensors.
pub(crate) fn matrix_state(tokens: &MatrixTokens, rule: Rule) -> Option<(Tensor<4>, Tensor<4>)> {
    let MatrixTokens { query, key, value, decay, first, second, state } = tokens;
    let given = [
        Some(query),
        Some(key),
        Some(value),
        decay.as_ref(),
        first.as_ref(),
        second.as_ref(),
        state.as_ref(),
    ];
    if !given.into_iter().flatten().all(takes) {
        return None;
    }
    let [batch, heads, length, channels] = query.dims();
    let [_, _, _, width] = value.dims();
    let device = query.device();
    let outer = [batch, heads, channels, width];
    let state = state.clone().unwrap_or_else(|| Tensor::zeros(outer, &device));
    let unused = Tensor::<4>::zeros([1; 4], &device);
    let or_unused =
        |tensor: &Option<Tensor<4>>| tensor.clone().unwrap_or_else(|| unused.clone()).into_dispatch();
    let row = Tensor::<1>::from_dispatch(<Dispatch as MatrixStateExtension>::matrix_state(
        query.clone().into_dispatch(),
        key.clone().into_dispatch(),
        value.clone().into_dispatch(),
        or_unused(decay),
        or_unused(first),
        or_unused(second),
        state.into_dispatch(),
        rule,
    ));
    let outputs = batch * heads * length * width;
    let states = outer.iter().product();
    let read = row.clone().narrow(0, 0, outputs).reshape([batch, heads, length, width]);
    Some((read, row.narrow(0, outputs, states).reshape(outer)))
}

/// A recurrent cell along the time, where the kernel takes these tensors.
pub(crate) fn recurrence(
    cell: Cell,
    [inputs, initial]: [&Tensor<3>; 2],
    weight: &Tensor<2>,
    bias: &Tensor<1>,
    real: Option<&Tensor<2, Bool>>,
) -> Option<Tensor<3>> {
    if !(takes(inputs) && takes(initial) && takes(weight) && takes(bias)) {
        return None;
    }
    let [length, batch, _] = inputs.dims();
    let [_, _, hidden] = initial.dims();
    let real = real.map(|real| Arc::new(real.to_data().iter::<bool>().collect()));
    let shape = Recurrence { cell, length, batch, hidden, real };
    let [inputs, initial] = [inputs, initial].map(|tensor| tensor.clone().into_dispatch());
    let (weight, bias) = (weight.clone().into_dispatch(), bias.clone().into_dispatch());
    let outputs = <Dispatch as RecurrenceExtension>::recurrence(inputs, weight, bias, initial, shape);
    Some(Tensor::from_dispatch(outputs))
}

/// xLSTM's scalar memory, `[heads, length + 3, batch, size]`, where the kernel takes these tensors.
pub(crate) fn scalar_memory(
    gates: &Tensor<4>,
    recurrent: &Tensor<3>,
    before: &Tensor<4>,
) -> Option<Tensor<4>> {
    (takes(gates) && takes(recurrent) && takes(before)).then(|| {
        let (gates, before) = (gates.clone().into_dispatch(), before.clone().into_dispatch());
        let recurrent = recurrent.clone().into_dispatch();
        Tensor::from_dispatch(<Dispatch as ScalarMemoryExtension>::scalar_memory(gates, recurrent, before))
    })
}

/// The padding before each axis, where there is as much behind.
fn symmetric(padding: [(usize, usize); 2]) -> Option<[usize; 2]> {
    padding.iter().all(|(before, behind)| before == behind).then(|| padding.map(|(before, _)| before))
}
