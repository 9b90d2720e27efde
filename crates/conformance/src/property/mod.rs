//! The properties, one file each.

mod causality;
mod extremes;
mod gradients;
mod influence;
mod layers;
mod long;
mod neighbours;
mod output;
mod padding;
mod precision;
mod records;
mod recurrence;
mod saved_state;
mod state_size;

use crate::case::Case;
use crate::network::Network;
use crate::run::Subject;

macro_rules! properties {
    ($($(#[doc = $promise:literal])+ $name:ident, $text:literal, $module:ident;)*) => {
        /// One promise of the seam.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Property {
            $($(#[doc = $promise])+ $name,)*
        }

        impl Property {
            /// Every property, in the order of checking.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name, e.g. `saved-state`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What is promised.
            pub fn promise(self) -> &'static str {
                match self { $(Self::$name => concat!($($promise),+).trim_ascii(),)* }
            }

            /// The largest deviation as a share of what is allowed; `None` where the property does not apply.
            pub(crate) fn check<N: Network>(
                self,
                subject: &Subject<'_, N>,
                case: &Case,
            ) -> Result<Option<f64>, String> {
                match self { $(Self::$name => $module::check(subject, case),)* }
            }
        }
    };
}

properties! {
    /// What leaves has the announced length, width and grid, and keeps its mask where the length stays.
    Output, "output", output;
    /// The recurrent form, token by token and in chunks, has the outputs and gradients of the parallel one.
    Recurrence, "recurrence", recurrence;
    /// Where there is a recurrent form, no output depends on a later token.
    Causality, "causality", causality;
    /// Padding changes nothing for real tokens, and gives no values or gradients that are not finite.
    Padding, "padding", padding;
    /// The other examples of a batch change nothing.
    Neighbours, "neighbours", neighbours;
    /// A state can be saved, restored to the bit, and forked.
    SavedState, "saved-state", saved_state;
    /// A state declared constant keeps its size, one that is not grows, and both count their tokens.
    StateSize, "state-size", state_size;
    /// The reading of influence has the shape `[batch, heads, to, from]` and none from a later token.
    Influence, "influence", influence;
    /// 1,024 tokens stay finite.
    Long, "long", long;
    /// Zeros and values of ±1e4 give finite outputs and gradients.
    Extremes, "extremes", extremes;
    /// Gradients are those of finite differences, in float64; a device that lacks it is not checked. Tensors that a network
    /// makes for itself must be of the same type of float as its tokens.
    Gradients, "gradients", gradients;
    /// Outputs and gradients in float32 are those in float64, whichever form computes them.
    Precision, "precision", precision;
    /// Parameters are saved and loaded to the bit.
    Records, "records", records;
    /// The table of layers counts every trainable value once.
    Layers, "layers", layers;
}

impl std::fmt::Display for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
