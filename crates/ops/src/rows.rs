//! Rows of a table, which may be quantized.

use burn::module::Param;
use burn::tensor::{Int, Tensor, assert_shape};

use crate::quantized::dense;
#[cfg(feature = "flex")]
use crate::{quantized::is_quantized, zero_points::ZeroPoints};

/// The rows `indices` of a table as floats. Of a quantized table (see [`quantized`](crate::quantized())) these rows alone
/// become floats on the processor, elsewhere and where gradients are asked for the whole table first.
///
/// # Shapes
/// - `table`: `[rows, width]`
/// - `indices`: `[count]`
/// - result: `[count, width]`
///
/// # Panics
/// When there is no such row.
pub fn rows(table: &Param<Tensor<2>>, indices: Tensor<1, Int>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if let Some(rows) = of_codes(table, &indices) {
        return rows;
    }
    dense(table.val()).select(0, indices)
}

/// Weighted sums of the rows of a table: `y_b = Σ_t w_bt E[i_bt]`. Where no gradients are asked for, the processor adds
/// row by row, leaves out what weighs nothing, and reads a quantized table as it is.
///
/// # Shapes
/// - `table`: `[rows, width]`
/// - `indices`, `weights`: `[batch, count]`
/// - result: `[batch, width]`
///
/// # Panics
/// When there is no such row, or not a weight for each index.
pub fn weighted_rows(table: &Param<Tensor<2>>, indices: Tensor<2, Int>, weights: Tensor<2>) -> Tensor<2> {
    let [batch, count] = indices.dims();
    assert_shape!(weights, [batch, count]);
    #[cfg(feature = "flex")]
    if let Some(sums) = summed(table, &indices, &weights) {
        return sums;
    }
    let rows = rows(table, indices.reshape([batch * count]));
    let [_, width] = rows.dims();
    let weights = weights.cast(rows.dtype()).reshape([batch, 1, count]);
    weights.matmul(rows.reshape([batch, count, width])).reshape([batch, width])
}

/// The same where a kernel adds; none elsewhere.
#[cfg(feature = "flex")]
fn summed(table: &Param<Tensor<2>>, indices: &Tensor<2, Int>, weights: &Tensor<2>) -> Option<Tensor<2>> {
    if ZeroPoints::of(table).is_some() {
        return None;
    }
    let table = table.val();
    if table.device().is_autodiff() || weights.device().is_autodiff() || !crate::flex::is_flex(&table) {
        return None;
    }
    let indices: Vec<i64> = indices.to_data().try_to_vec_as().ok()?;
    match is_quantized(&table) {
        true => crate::flex::integer::weighted_rows(&table, &indices, weights),
        false => crate::flex::weighted_rows(&table, &indices, weights),
    }
}

/// Rows where a kernel reads the codes; none elsewhere.
#[cfg(feature = "flex")]
fn of_codes(table: &Param<Tensor<2>>, indices: &Tensor<1, Int>) -> Option<Tensor<2>> {
    let points = ZeroPoints::of(table);
    let codes = if points.is_some() { table.base() } else { table.val() };
    if !is_quantized(&codes) || codes.device().is_autodiff() || !crate::flex::is_flex(&codes) {
        return None;
    }
    let indices: Vec<i64> = indices.to_data().try_to_vec_as().ok()?;
    let rows = crate::flex::integer::rows(&codes, &indices)?;
    Some(match points {
        Some(points) => rows + points.of_table(codes.dims(), &indices, &codes.device()),
        None => rows,
    })
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::quantized::{Granularity, quantized};
    use crate::testing::assert_close;
    use burn::module::{Module, ParamId};
    use burn::tensor::{Device, TensorData};

    #[derive(Module, Debug)]
    struct Table {
        table: Param<Tensor<2>>,
    }

    fn table(per: Granularity, device: &Device) -> (Table, Vec<f32>) {
        let codes: Vec<i8> = (0..600 * 5).map(|index| (index * 37 % 255 - 127) as i8).collect();
        let count = match per {
            Granularity::Tensor => 1,
            Granularity::Axis(axis) => [600, 5][axis],
            Granularity::Group(size) => 600 / size * 5,
        };
        let scales: Vec<f32> = (0..count).map(|index| (1.0 + (index % 7) as f32) / 100.0).collect();
        let table = quantized(&codes, [600, 5], &scales, per, device);
        (Table { table: Param::initialized(ParamId::new(), table) }, scales)
    }

    #[test]
    fn rows_of_codes_are_rows_of_what_they_stand_for() {
        let device = Device::flex();
        let indices = || Tensor::<1, Int>::from_data([599i64, 0, 31, 31], &device);
        for per in [Granularity::Tensor, Granularity::Axis(0), Granularity::Axis(1), Granularity::Group(12)] {
            let (plain, scales) = table(per, &device);
            assert!(of_codes(&plain.table, &indices()).is_some(), "{per:?}");
            let expected = dense(plain.table.val()).select(0, indices());
            assert_close(&rows(&plain.table, indices()), &expected, "codes");
            let points = (0..scales.len()).map(|index| (index % 11) as i8 - 5).collect();
            let points = BTreeMap::from([("table".to_owned(), (points, scales, per))]);
            let shifted = ZeroPoints::beside(plain, points);
            assert!(of_codes(&shifted.table, &indices()).is_some(), "{per:?}");
            let expected = dense(shifted.table.val()).select(0, indices());
            assert_close(&rows(&shifted.table, indices()), &expected, "codes with zero points");
        }
    }

    #[test]
    fn sums_of_rows_are_products_with_their_weights() {
        let device = Device::flex();
        let indices = || Tensor::<2, Int>::from_data([[599i64, 0, 31], [7, 31, 0]], &device);
        let weights = || Tensor::<2>::from_floats([[0.5, -2.0, 3.0], [1.5, 0.25, 0.0]], &device);
        let expected = |table: Tensor<2>| {
            let rows = table.select(0, indices().reshape([6])).reshape([2, 3, 5]);
            weights().reshape([2, 1, 3]).matmul(rows).reshape([2, 5])
        };
        for per in [Granularity::Tensor, Granularity::Axis(0), Granularity::Axis(1), Granularity::Group(12)] {
            let (codes, scales) = table(per, &device);
            assert!(summed(&codes.table, &indices(), &weights()).is_some(), "{per:?}");
            let dense = dense(codes.table.val());
            assert_close(
                &weighted_rows(&codes.table, indices(), weights()),
                &expected(dense.clone()),
                "codes",
            );
            let floats = Param::initialized(ParamId::new(), dense.clone());
            assert!(summed(&floats, &indices(), &weights()).is_some());
            assert_close(&weighted_rows(&floats, indices(), weights()), &expected(dense), "floats");
            let points = (0..scales.len()).map(|index| (index % 11) as i8 - 5).collect();
            let points = BTreeMap::from([("table".to_owned(), (points, scales, per))]);
            let shifted = ZeroPoints::beside(codes, points).table;
            let sums = weighted_rows(&shifted, indices(), weights());
            assert_close(&sums, &expected(crate::quantized::dense(shifted.val())), "zero points");
        }
        let beyond = Tensor::<2, Int>::from_data([[600i64]], &device);
        let floats = Param::initialized(ParamId::new(), Tensor::<2>::zeros([600, 5], &device));
        assert!(summed(&floats, &beyond, &Tensor::zeros([1, 1], &device)).is_none());
    }

    #[test]
    fn rows_of_floats_have_gradients() {
        let device = Device::flex().autodiff();
        let values = TensorData::from([[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
        let table =
            Param::initialized(ParamId::new(), Tensor::<2>::from_data(values, &device).require_grad());
        let found = rows(&table, Tensor::from_data([2i64, 0, 2], &device));
        found.to_data().assert_eq(&TensorData::from([[5.0f32, 6.0], [1.0, 2.0], [5.0, 6.0]]), true);
        let gradient = table.val().grad(&found.sum().backward()).expect("tracked");
        gradient.into_data().assert_eq(&TensorData::from([[1.0f32, 1.0], [0.0, 0.0], [2.0, 2.0]]), true);
    }
}
