use super::*;
use crate::byte_rounding::Range;

/// Numbers without a pattern, between −1 and 1.
fn floats(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7919 + seed * 104_729 + 13) % 2003) as f32 / 1001.0 - 1.0).collect()
}

fn weights(count: usize) -> Vec<i8> {
    (0..count).map(|index| ((index * 7919 + index / 251) % 256) as u8).map(u8::cast_signed).collect()
}

/// The sum of the documentation, with sums of whole numbers in 64 bits.
fn naive(product: &Product<'_>) -> Vec<f32> {
    let Product { rows, weight, inputs, columns, scales, group, bias } = *product;
    let mut output = Vec::new();
    for (row, affine) in rows.affine.iter().enumerate() {
        for column in 0..columns {
            let mut sum = bias.map_or(0.0, |bias| bias[column]);
            for start in (0..inputs).step_by(group) {
                let whole: i64 = (start..start + group)
                    .map(|input| {
                        let byte = i64::from(rows.bytes[row * rows.pitch + input]);
                        (byte - i64::from(affine.zero)) * i64::from(weight[input * columns + column])
                    })
                    .sum();
                let scale = affine.scale * scales[start / group * columns + column];
                sum = (whole as f32).mul_add(scale, sum);
            }
            output.push(sum);
        }
    }
    output
}

#[track_caller]
fn agrees(product: &Product<'_>, what: &str) {
    let expected = naive(product);
    for dots in Dots::available() {
        let found = product.compute_with(dots);
        assert_eq!(found.len(), expected.len());
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            // Without a fused instruction each product is rounded once more.
            let close = (found - expected).abs() <= 1e-5 * expected.abs().max(1.0);
            let exact = dots == Dots::Portable || found == expected;
            assert!(close && exact, "{what} {dots:?}: value {index} is {found}, expected {expected}");
        }
    }
}

#[test]
fn sums_are_those_of_whole_numbers() {
    let shapes = [
        [1, 1, 1, 1],
        [1, 64, 64, 64],
        [1, 67, 130, 67],
        [2, 33, 63, 33],
        [3, 700, 65, 700],
        [5, 129, 1, 129],
        [7, 5, 200, 5],
        [13, 1030, 70, 1030],
        [6, 96, 96, 32],
        [1, 96, 77, 4],
        [250, 12, 9, 12],
        [64, 256, 300, 128],
    ];
    for [rows, inputs, columns, group] in shapes {
        let weight = weights(inputs * columns);
        let scales: Vec<f32> =
            floats(inputs / group * columns, 2).into_iter().map(|scale| scale / 300.0).collect();
        let bias = floats(columns, 3);
        let rows = Rows::new(&floats(rows * inputs, 1), inputs, Range::OfEachRow);
        for bias in [None, Some(&bias[..])] {
            let product =
                Product { rows: &rows, weight: &weight, inputs, columns, scales: &scales, group, bias };
            agrees(&product, &format!("{inputs} × {columns} by {group}"));
        }
    }
}

#[test]
fn shapes_that_were_drawn_agree_as_well() {
    let mut drawn = 1u64;
    let mut draw = |below: u64| {
        drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (1 + (drawn >> 33) % below) as usize
    };
    for _ in 0..60 {
        let (count, columns, groups) = (draw(14), draw(200), draw(4));
        let group = if groups == 1 { draw(150) } else { 4 * draw(20) };
        let inputs = groups * group;
        let weight = weights(inputs * columns);
        let scales: Vec<f32> = floats(groups * columns, 5).into_iter().map(|scale| scale / 300.0).collect();
        let rows = Rows::new(&floats(count * inputs, 6), inputs, Range::OfEachRow);
        let product =
            Product { rows: &rows, weight: &weight, inputs, columns, scales: &scales, group, bias: None };
        agrees(&product, &format!("{count} × {inputs} × {columns} by {group}"));
    }
}

#[test]
fn the_largest_sums_do_not_overflow() {
    let (inputs, columns) = (DEEPEST, 3);
    for (low, weight) in [(0.0, -128), (0.0, 127), (-1.0, -128), (-1.0, 127)] {
        let values: Vec<f32> = (0..inputs).map(|_| low + 1.0).collect();
        let mut values = values;
        values[0] = 1.0 + low * 2.0;
        let rows = Rows::new(&values, inputs, Range::OfEachRow);
        let weight = vec![weight; inputs * columns];
        let scales = [1e-6; 3];
        let product = Product {
            rows: &rows,
            weight: &weight,
            inputs,
            columns,
            scales: &scales,
            group: inputs,
            bias: None,
        };
        agrees(&product, &format!("{low} {weight:?}", weight = weight[0]));
    }
}

#[test]
fn a_row_that_is_not_finite_is_no_number_and_its_neighbours_are_untouched() {
    let (inputs, columns) = (70, 66);
    let mut values = floats(3 * inputs, 1);
    values[inputs + 5] = f32::INFINITY;
    let (rows, weight, scales) =
        (Rows::new(&values, inputs, Range::OfEachRow), weights(inputs * columns), vec![0.01; columns]);
    let product =
        Product { rows: &rows, weight: &weight, inputs, columns, scales: &scales, group: inputs, bias: None };
    for (index, value) in product.compute().into_iter().enumerate() {
        assert_eq!(value.is_nan(), index / columns == 1, "{index}");
    }
}

#[test]
fn rows_of_zeros_give_the_bias() {
    let (inputs, columns) = (9, 5);
    let (rows, weight) =
        (Rows::new(&vec![0.0; 2 * inputs], inputs, Range::OfEachRow), weights(inputs * columns));
    let (scales, bias) = (vec![0.5; columns], floats(columns, 4));
    let product = Product {
        rows: &rows,
        weight: &weight,
        inputs,
        columns,
        scales: &scales,
        group: inputs,
        bias: Some(&bias),
    };
    assert_eq!(product.compute(), [&bias[..], &bias[..]].concat());
}

#[test]
#[should_panic(expected = "weights are not inputs × columns")]
fn bounds_are_checked() {
    let rows = Rows::new(&[1.0; 8], 8, Range::OfEachRow);
    let (weight, scales) = ([1; 15], [1.0; 2]);
    Product { rows: &rows, weight: &weight, inputs: 8, columns: 2, scales: &scales, group: 8, bias: None }
        .compute();
}
