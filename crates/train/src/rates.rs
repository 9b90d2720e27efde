//! Learning rates that fall from the head to the stem.

use ansatz_core::{Error, Result};
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrSchedulerConfig};
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::tensor::Tensor;

/// Factors of the learning rate, for each group of parameters that does not learn at the full rate.
///
/// ```text
/// η_head = η,  η_b = η δ^(B − b) of block b = 0 … B − 1,  η_stem = η δ^(B + 1)
/// ```
///
/// Clark et al., ELECTRA, 2020, arXiv:2003.10555, appendix B, with the exponents of Bao et al., BEiT, 2021,
/// arXiv:2106.08254, whose head learns at the full rate. What stands in the backbone before the first block goes with
/// the stem, what stands behind the last with the head.
#[derive(Debug, Clone, Default)]
pub(crate) struct LayerRates {
    groups: Vec<(f64, ParamGroup)>,
}

impl LayerRates {
    /// Rates of a network that fall by `decay` from block to block; 1: all alike.
    pub(crate) fn of<M: Module>(model: &M, decay: f64) -> Self {
        if decay == 1.0 {
            return Self::default();
        }
        let mut levels = Levels::default();
        model.visit(&mut levels);
        let blocks = levels.blocks.len();
        let factor = |level: usize| decay.powi((blocks + 1 - level) as i32);
        let ids = |level: usize| {
            let of_level = levels.found.iter().filter(move |(_, known)| *known == Some(level));
            of_level.map(|(id, _)| *id).collect::<Vec<_>>()
        };
        Self { groups: (0..=blocks).map(|level| (factor(level), ParamGroup::from_ids(ids(level)))).collect() }
    }

    /// Where the full rate is `rate`.
    pub(crate) fn at(&self, rate: f64) -> Result<ModuleLearningRate> {
        if self.groups.is_empty() {
            return Ok(rate.into());
        }
        let config = self.groups.iter().fold(ModuleLrSchedulerConfig::new(rate.into()), |config, group| {
            config.with_group(group.1.clone(), rate * group.0)
        });
        let mut scheduler =
            config.init().map_err(|error| Error::Failed(format!("learning rates: {error}")))?;
        Ok(scheduler.step())
    }
}

/// The level of each parameter: 0 for the stem, b + 1 for block b, none for the head.
#[derive(Default)]
struct Levels {
    path: Vec<String>,
    /// The paths of the blocks, from the first to the last.
    blocks: Vec<String>,
    found: Vec<(ParamId, Option<usize>)>,
}

impl Levels {
    fn level(&mut self) -> Option<usize> {
        match self.path.first().map(String::as_str) {
            Some("stem") => Some(0),
            Some("backbone") => match block(&self.path) {
                Some(block) => {
                    if self.blocks.last() != Some(&block) {
                        self.blocks.push(block);
                    }
                    Some(self.blocks.len())
                }
                None => self.blocks.is_empty().then_some(0),
            },
            _ => None,
        }
    }
}

/// The block that a path leads into: all of it up to the first place in a list, and the places inside that one that
/// follow at once, as of blocks in stages.
fn block(path: &[String]) -> Option<String> {
    let is_place = |part: &String| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut end = path.iter().position(is_place)? + 1;
    loop {
        match &path[end..] {
            [place, ..] if is_place(place) => end += 1,
            [list, place, ..] if list == "blocks" && is_place(place) => end += 2,
            _ => return Some(path[..end].join(".")),
        }
    }
}

impl ModuleVisitor for Levels {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let level = self.level();
        self.found.push((param.id, level));
    }
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Backbone {
        positions: Param<Tensor<1>>,
        blocks: Vec<Vec<Param<Tensor<1>>>>,
        norm: Param<Tensor<1>>,
    }

    #[derive(Module, Debug)]
    struct Network {
        stem: Param<Tensor<1>>,
        backbone: Backbone,
        head: Param<Tensor<1>>,
    }

    #[test]
    fn each_block_nearer_to_the_input_learns_more_slowly() {
        let device: Device = ansatz_device::open("cpu").unwrap();
        let one = || Param::<Tensor<1>>::from_data([1.0], &device);
        let network = Network {
            stem: one(),
            backbone: Backbone {
                positions: one(),
                blocks: vec![vec![one(), one()], vec![one()]],
                norm: one(),
            },
            head: one(),
        };
        let rates = LayerRates::of(&network, 0.5).at(16.0).unwrap();
        let rate = |param: &Param<Tensor<1>>| rates.lr_from_param(param.id, None);
        let Backbone { positions, blocks, norm } = &network.backbone;
        assert_eq!([rate(&network.stem), rate(positions)], [1.0, 1.0]);
        assert_eq!([&blocks[0][0], &blocks[0][1], &blocks[1][0]].map(rate), [2.0, 4.0, 8.0]);
        assert_eq!([rate(norm), rate(&network.head)], [16.0, 16.0]);
        let even = LayerRates::of(&network, 1.0).at(16.0).unwrap();
        assert_eq!(even.lr_from_param(network.stem.id, None), 16.0);
    }

    #[test]
    fn blocks_of_stages_are_blocks_of_their_own() {
        let path = |text: &str| block(&text.split('.').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(path("backbone.blocks.3.mixer.heads.0.weight").as_deref(), Some("backbone.blocks.3"));
        assert_eq!(path("backbone.stages.0.blocks.2.weight").as_deref(), Some("backbone.stages.0.blocks.2"));
        assert_eq!(path("backbone.stages.1.0.conv.weight").as_deref(), Some("backbone.stages.1.0"));
        assert_eq!(path("backbone.norm.scale"), None);
    }
}
