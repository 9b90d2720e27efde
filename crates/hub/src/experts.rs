//! Under which names mixtures of experts are published.

use ansatz_arch_channel::ExpertsConfig;

use crate::Names;

/// What the parts of a mixture of experts are called inside a published layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExpertNames {
    /// The router; the correction of its choices stands inside it.
    pub(crate) router: &'static str,
    /// An expert's activated map, the map that is gated, and the one back to the width.
    pub(crate) maps: [&'static str; 3],
    /// The expert that every token uses; its gate has the same name with `_gate` behind it.
    pub(crate) shared: &'static str,
}

/// The maps of a gated layer in most families.
const PROJECTIONS: [&str; 3] = ["gate_proj", "up_proj", "down_proj"];

impl ExpertNames {
    /// Mixtral, MiniMax, and with a shared expert Kimi Linear.
    pub(crate) const MIXTRAL: Self =
        Self { router: "gate", maps: ["w1", "w3", "w2"], shared: "shared_experts" };
    /// Jamba.
    pub(crate) const JAMBA: Self = Self { router: "router", maps: PROJECTIONS, shared: "shared_experts" };
    /// Qwen3-Next.
    pub(crate) const QWEN: Self = Self { router: "gate", maps: PROJECTIONS, shared: "shared_expert" };
}

impl Names {
    /// A mixture of experts, each published by itself: `published` is the layer `ours`, built from `config`.
    pub(crate) fn experts(
        &mut self,
        published: &str,
        ours: &str,
        config: &ExpertsConfig,
        parts: ExpertNames,
    ) {
        let ExpertNames { router, maps, shared } = parts;
        self.linear(&format!("{published}.{router}"), &format!("{ours}.router"));
        if config.correction {
            let correction = format!("{published}.{router}.e_score_correction_bias");
            self.same(correction, format!("{ours}.correction"));
        }
        for (map, part) in maps.into_iter().zip(["gate", "expand", "contract"]) {
            let each = |expert| format!("{published}.experts.{expert}.{map}.weight");
            let each: Vec<String> = (0..config.experts).map(each).collect();
            self.stacked_linear(&each, format!("{ours}.{part}"));
        }
        if config.shared_hidden > 0 {
            self.gated(&format!("{published}.{shared}"), &format!("{ours}.shared"));
        }
        if config.shared_gate {
            self.linear(&format!("{published}.{shared}_gate"), &format!("{ours}.shared_gate"));
        }
    }

    /// A gated layer without biases, as most families publish it.
    pub(crate) fn gated(&mut self, published: &str, ours: &str) {
        self.gated_mlp(published, ours, false);
    }

    /// A gated layer whose maps have a bias where `bias` says so.
    pub(crate) fn gated_mlp(&mut self, published: &str, ours: &str, bias: bool) {
        for (map, part) in PROJECTIONS.into_iter().zip(["gate", "expand", "contract"]) {
            self.linear_maybe_bias(&format!("{published}.{map}"), &format!("{ours}.{part}"), bias);
        }
    }
}
