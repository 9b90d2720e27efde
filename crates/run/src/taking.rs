//! Taking from another network what fits.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ansatz_core::{Error, Result};
use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::weights::{Shapes, WeightFile, shapes};

/// What of a network came from another run, by dotted path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// The folder of the run.
    pub from: PathBuf,
    /// Taken: of the same name and shape.
    pub taken: Vec<String>,
    /// Drawn: the run has nothing of this name, or another shape.
    pub fresh: Vec<String>,
    /// Left behind: the network has nothing of this name, or another shape.
    pub left: Vec<String>,
}

/// Names that are told one by one.
const TOLD: usize = 6;

impl Taken {
    /// In words.
    pub fn told(&self) -> String {
        let mut text = format!("{} tensors were taken from {}", self.taken.len(), self.from.display());
        for (what, names) in [("drawn anew", &self.fresh), ("left behind", &self.left)] {
            if names.is_empty() {
                continue;
            }
            // Writing into a string cannot fail.
            let _ = write!(text, "; {what}: {}", names[..names.len().min(TOLD)].join(", "));
            if names.len() > TOLD {
                let _ = write!(text, " and {} more", names.len() - TOLD);
            }
        }
        text + "."
    }
}

/// Reads into `module` the weights in the file at `path` whose name and shape are the same, and leaves all others as
/// they are; `from` is the run that they are of.
///
/// # Errors
/// When the file is not there or damaged, or nothing of the backbone fits; of the stem, where the backbone has no weights;
/// of the head, where neither has.
pub fn take_weights<M: Module>(module: &mut M, path: &Path, from: &Path) -> Result<Taken> {
    let file = WeightFile::read(path)?;
    let (held, wanted) = (file.shapes(), shapes(module));
    let fits = |name: &String, shape: &Vec<usize>, other: &Shapes| other.get(name) == Some(shape);
    let names = |of: &Shapes, other: &Shapes, alike: bool| -> Vec<String> {
        of.iter()
            .filter(|(name, shape)| fits(name, shape, other) == alike)
            .map(|(name, _)| name.clone())
            .collect()
    };
    let taken = names(&wanted, &held, true);
    let has_weights = |part: &&str| wanted.keys().any(|name| is_of(name, part));
    let part = ["backbone", "stem", "head"].into_iter().find(has_weights).unwrap_or("backbone");
    if !taken.iter().any(|name| is_of(name, part)) {
        return Err(Error::input(
            from.display(),
            format!("nothing of its {part} fits: {}", difference(part, &wanted, &held)),
            format!("a run whose {part} has parts of the same names and shapes"),
            format!("give init.from another run, or the {part} the settings of this one"),
        ));
    }
    let (fresh, left) = (names(&wanted, &held, false), names(&held, &wanted, false));
    file.fill(module, Some(&taken))?;
    Ok(Taken { from: from.to_owned(), taken, fresh, left })
}

/// Whether a weight of this name is of a part of the network.
fn is_of(name: &str, part: &str) -> bool {
    name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'))
}

/// Why the first weight of a part does not fit.
fn difference(part: &str, wanted: &Shapes, held: &Shapes) -> String {
    let first = wanted.iter().find(|(name, _)| is_of(name, part));
    match first.map(|(name, shape)| (name, shape, held.get(name))) {
        Some((name, shape, Some(other))) => format!("`{name}` is {other:?} there and {shape:?} here"),
        Some((name, _, None)) => format!("it has no `{name}`"),
        None => "the network's own has no weights".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::save_weights;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Network {
        backbone: Linear,
        head: Linear,
    }

    fn network(width: usize, classes: usize, device: &Device) -> Network {
        let linear = |outputs| LinearConfig::new(width, outputs).init(device);
        Network { backbone: linear(width), head: linear(classes) }
    }

    #[test]
    fn what_fits_is_taken_to_the_bit_and_the_rest_stays() {
        let device = ansatz_device::open("cpu").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let trained = network(4, 3, &device);
        save_weights(&trained, &path).unwrap();
        let mut fresh = network(4, 2, &device);
        let head = fresh.head.weight.val().into_data();
        let taken = take_weights(&mut fresh, &path, Path::new("runs/a")).unwrap();
        assert_eq!(taken.taken, ["backbone.bias", "backbone.weight"]);
        assert_eq!(taken.fresh, ["head.bias", "head.weight"]);
        assert_eq!(taken.left, ["head.bias", "head.weight"]);
        assert_eq!(
            taken.told(),
            "2 tensors were taken from runs/a; drawn anew: head.bias, head.weight; left behind: head.bias, head.weight."
        );
        assert_eq!(fresh.backbone.weight.val().into_data(), trained.backbone.weight.val().into_data());
        assert_eq!(fresh.head.weight.val().into_data(), head);
        let refused = take_weights(&mut network(5, 3, &device), &path, Path::new("runs/a")).unwrap_err();
        let expected = "runs/a: nothing of its backbone fits: `backbone.bias` is [4] there and [5] here";
        assert!(refused.to_string().starts_with(expected), "{refused}");
    }

    #[test]
    fn where_the_backbone_has_no_weights_the_others_are_taken() {
        #[derive(Module, Debug)]
        struct Bare {
            stem: Option<Linear>,
            head: Linear,
        }
        let device = ansatz_device::open("cpu").unwrap();
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
        let bare = |width| Bare { stem: Some(linear(width, width)), head: linear(width, 2) };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        save_weights(&bare(4), &path).unwrap();
        let taken = take_weights(&mut bare(4), &path, Path::new("runs/a")).unwrap();
        assert_eq!((taken.taken.len(), taken.fresh.len()), (4, 0));
        let refused = take_weights(&mut bare(5), &path, Path::new("runs/a")).unwrap_err().to_string();
        assert!(refused.starts_with("runs/a: nothing of its stem fits: `stem.bias` is [4]"), "{refused}");
        let lone = |classes| Bare { stem: None, head: linear(4, classes) };
        save_weights(&lone(2), &path).unwrap();
        assert_eq!(take_weights(&mut lone(2), &path, Path::new("runs/a")).unwrap().taken.len(), 2);
        let refused = take_weights(&mut lone(3), &path, Path::new("runs/a")).unwrap_err().to_string();
        assert!(refused.starts_with("runs/a: nothing of its head fits: `head.bias` is [2]"), "{refused}");
    }
}
