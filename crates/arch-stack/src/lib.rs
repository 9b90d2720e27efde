//! The stack: residual blocks of any pattern of sequence mixers and channel mixers; and the hierarchy, stacks over a
//! picture that becomes coarser from stage to stage.
//!
//! Most architectures since the Transformer differ only in the mixer; what stands around it is the same.
//! That frame is written once here, so that mixers are compared on equal terms and a hybrid of several is a
//! list in a config instead of code.

mod arrangement;
mod block;
mod config;
mod embedding;
mod hierarchy;
mod in_blocks;
mod parallel;
mod positions;
mod recurrent;
mod residual;
mod scans;
mod stack;

pub use arrangement::{Arrangement, NormOver, Scales};
pub use block::Block;
pub use config::{PositionKind, StackConfig};
pub use embedding::{Embedding, EmbeddingConfig};
pub use hierarchy::{Hierarchy, HierarchyConfig, HierarchyStage, Stage};
pub use parallel::{Parallel, ParallelBranch, ParallelConfig};
pub use positions::Positions;
pub use residual::Residual;
pub use scans::{Order, Scans, ScansConfig};
pub use stack::Stack;
