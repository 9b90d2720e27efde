//! Long series of noisy points, drawn so that they can be read.

/// The points of one bucket: where, their mean, and between what they lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) x: f64,
    pub(crate) mean: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

/// Puts consecutive points into at most `limit` buckets of equal size; few points stay single.
pub(crate) fn thin(points: &[(f64, f64)], limit: usize) -> Vec<Bucket> {
    let size = points.len().div_ceil(limit).max(1);
    points.chunks(size).map(bucket).collect()
}

fn bucket(points: &[(f64, f64)]) -> Bucket {
    let number = points.len() as f64;
    let values = points.iter().map(|point| point.1);
    Bucket {
        x: points.iter().map(|point| point.0).sum::<f64>() / number,
        mean: values.clone().sum::<f64>() / number,
        lowest: values.clone().fold(f64::INFINITY, f64::min),
        highest: values.fold(f64::NEG_INFINITY, f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_points_stay_and_many_are_gathered() {
        let points: Vec<_> = (0..10).map(|x| (f64::from(x), f64::from(x % 2))).collect();
        assert_eq!(thin(&points, 10).len(), 10);
        let gathered = thin(&points, 5);
        assert_eq!(gathered.len(), 5);
        assert_eq!(gathered[0], Bucket { x: 0.5, mean: 0.5, lowest: 0.0, highest: 1.0 });
        assert!(thin(&[], 5).is_empty());
    }
}
