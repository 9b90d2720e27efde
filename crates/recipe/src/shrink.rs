//! `kind = "shrink"`: what it needs beside the network.

use ansatz_core::{Batch, OpenData, Part, Result};

/// Training examples by which a layout is proved and blocks are chosen.
const EXAMPLES: usize = 64;

/// Examples from all over the training part, as they are.
pub(crate) fn some_of(data: &dyn OpenData) -> Result<Batch> {
    let all = data.examples(Part::Train);
    let count = all.min(EXAMPLES);
    let indices: Vec<usize> = (0..count).map(|number| number * all / count).collect();
    data.batch(Part::Train, &indices, None)
}
