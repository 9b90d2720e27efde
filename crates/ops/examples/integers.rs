//! How much faster quantized weights are than floats on this processor: linear maps and the convolutions of
//! `configs/mnist.toml`, both sides in turns, the first decile, so that others at work count little. One thread with `RAYON_NUM_THREADS=1`.
//!
//!     cargo run --release -p ansatz-ops --example integers

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ansatz_ops::{
    ConvNorm, ConvNormConfig, Granularity, InputRange, LinearConfig, conv_stages, dense, quantized,
};
use burn::module::{Param, ParamId};
use burn::tensor::{Device, Distribution, Tensor};

fn main() {
    let device = Device::flex();
    println!("| work | float32, µs | int8, µs | times as fast |\n|---|---|---|---|");
    for size in [256, 1024, 4096] {
        for rows in [1, 64] {
            let floats = LinearConfig::new(size, size).init(&device);
            let mut whole = floats.clone();
            let weight = to_whole(&floats.weight.val(), 1, &device);
            whole.weight = Param::initialized(ParamId::new(), weight);
            let x = Tensor::<2>::random([rows, size], Distribution::Normal(0.0, 1.0), &device);
            let times = compare(|| drop(floats.forward(x.clone())), || drop(whole.forward(x.clone())));
            report(&format!("linear {rows} × {size} × {size}"), times);
        }
    }
    for batch in [1, 64] {
        let mut total = [Duration::ZERO; 2];
        for (channels, size) in [([1, 24], 28), ([24, 24], 28), ([24, 48], 14), ([48, 48], 14), ([48, 96], 7)]
        {
            let floats = ConvNormConfig::same(channels, 3, 1).init(&device);
            let mut whole = floats.clone();
            let weight = to_whole(&floats.conv.weight.val(), 0, &device);
            whole.conv.weight = Param::initialized(ParamId::new(), weight);
            let shape = [batch, channels[0], size, size];
            let x = Tensor::<4>::random(shape, Distribution::Uniform(0.0, 1.0), &device);
            let times = compare(|| drop(floats.forward(x.clone())), || drop(whole.forward(x.clone())));
            let [from, to] = channels;
            report(&format!("convolution {batch} × {from} × {size}² to {to}, normed"), times);
            total = [0, 1].map(|side| total[side] + times[side]);
        }
        report(&format!("the five together, batch {batch}"), total);
        let [floats, dynamic, ranged] = pyramids(&device);
        let x = Tensor::<4>::random([batch, 1, 28, 28], Distribution::Uniform(0.0, 1.0), &device);
        for (work, whole) in [("by their own ranges", &dynamic), ("by given ranges", &ranged)] {
            let times = compare(|| drop(through(&floats, &x)), || drop(through(whole, &x)));
            report(&format!("the five with pooling, inputs {work}, batch {batch}"), times);
        }
    }
}

/// The convolutions of `configs/mnist.toml`: floats, whole numbers, and these with ranges of their inputs.
fn pyramids(device: &Device) -> [Vec<ConvNorm>; 3] {
    let same = |channels| ConvNormConfig::same(channels, 3, 1).init(device);
    let floats: Vec<ConvNorm> = [[1, 24], [24, 24], [24, 48], [48, 48], [48, 96]].map(same).to_vec();
    let mut dynamic = floats.clone();
    for layer in &mut dynamic {
        let weight = to_whole(&layer.conv.weight.val(), 0, device);
        layer.conv.weight = Param::initialized(ParamId::new(), weight);
    }
    let range = || BTreeMap::from([("conv.weight".to_owned(), [-0.5, 4.0])]);
    let ranged = dynamic.iter().map(|layer| InputRange::beside(layer.clone(), range())).collect();
    [floats, dynamic, ranged]
}

fn through(layers: &[ConvNorm], x: &Tensor<4>) -> Tensor<4> {
    conv_stages(x.clone(), &[(&layers[..2], 2), (&layers[2..4], 2), (&layers[4..], 1)])
}

/// A weight with one scale for each index along `axis`, the largest magnitude 127.
fn to_whole<const D: usize>(weight: &Tensor<D>, axis: usize, device: &Device) -> Tensor<D> {
    let shape = weight.dims();
    let floats: Vec<f32> = dense(weight.clone()).into_data().try_into_vec().expect("weights are float32");
    let behind: usize = shape[axis + 1..].iter().product();
    let mut scales = vec![0.0f32; shape[axis]];
    for (index, value) in floats.iter().enumerate() {
        let scale = &mut scales[index / behind % shape[axis]];
        *scale = scale.max(value.abs() / 127.0);
    }
    let whole = |(index, value): (usize, &f32)| (value / scales[index / behind % shape[axis]]).round() as i8;
    let values: Vec<i8> = floats.iter().enumerate().map(whole).collect();
    quantized(&values, shape, &scales, Granularity::Axis(axis), device)
}

/// What a tenth of the runs stay below, of two works that take turns for a second and at least ten times.
fn compare(mut one: impl FnMut(), mut other: impl FnMut()) -> [Duration; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let begun = Instant::now();
    while times[0].len() < 10 || begun.elapsed() < Duration::from_secs(1) {
        for (times, work) in times.iter_mut().zip([&mut one as &mut dyn FnMut(), &mut other]) {
            let start = Instant::now();
            work();
            times.push(start.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 10]
    })
}

fn report(work: &str, [floats, whole]: [Duration; 2]) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let ratio = floats.as_secs_f64() / whole.as_secs_f64();
    println!("| {work} | {:.1} | {:.1} | {ratio:.2} |", micros(floats), micros(whole));
}
