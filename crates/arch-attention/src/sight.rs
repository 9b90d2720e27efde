//! Which tokens each token sees.

use ansatz_ops::Visible;
use burn::tensor::{Bool, Tensor};

/// Which tokens each token sees, by where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Only itself and those before it.
    pub(crate) causal: bool,
    /// Only those nearer than this.
    pub(crate) window: Option<usize>,
}

impl Sight {
    /// Past tokens that a next one can still see; `None`: all.
    pub(crate) fn past(self) -> Option<usize> {
        self.window.map(|window| window - 1)
    }

    /// The keys that queries see, which stand in `groups` one behind the other; `mask` is true where a key is no
    /// padding.
    pub(crate) fn keys(self, mask: Option<&Tensor<2, Bool>>, groups: usize) -> Visible {
        Visible { causal: self.causal, window: self.window, groups, real: mask.cloned() }
    }
}
