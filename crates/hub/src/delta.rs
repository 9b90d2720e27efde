//! Under which names layers of the delta rule are published.

use crate::Names;

impl Names {
    /// Queries, keys and values with their convolutions, the output and its norm, as the fla library names them:
    /// `published` is the layer `ours`.
    pub(crate) fn delta_projections(&mut self, published: &str, ours: &str, convolved: bool) {
        for (letter, part) in [("q", "query"), ("k", "key"), ("v", "value")] {
            self.linear(&format!("{published}.{letter}_proj"), &format!("{ours}.{part}.linear"));
            if convolved {
                let convolution = format!("{published}.{letter}_conv1d.weight");
                self.unsqueezed(convolution, format!("{ours}.{part}.convolution.weight"), 1);
            }
        }
        self.scale(&format!("{published}.o_norm"), &format!("{ours}.norm"));
        self.linear(&format!("{published}.o_proj"), &format!("{ours}.output"));
    }
}
