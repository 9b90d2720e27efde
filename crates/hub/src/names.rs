//! Under which names a family publishes its weights.

mod rule;

use std::collections::{BTreeMap, BTreeSet};

use ansatz_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{TensorFile, Values};

use rule::{Form, Problem, Rule};

/// The sizes of our tensors by name.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

/// The key table of one checkpoint: which published tensor is which of ours.
///
/// A table is complete: a tensor of the checkpoint that no rule names, or a parameter of the network that none
/// fills, is an error.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Names {
    rules: Vec<Rule>,
    ignored: BTreeSet<String>,
}

impl Names {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// `published` is the tensor `ours`.
    pub fn same(&mut self, published: impl Into<String>, ours: impl Into<String>) {
        self.rules.push(Rule::Same { published: published.into(), ours: ours.into() });
    }

    /// `published` is `ours` with its last two dimensions exchanged.
    pub fn transposed(&mut self, published: impl Into<String>, ours: impl Into<String>) {
        self.rules.push(Rule::Transposed { published: published.into(), ours: ours.into() });
    }

    /// `published` is `ours` with a dimension of size 1 put before `axis`.
    pub fn unsqueezed(&mut self, published: impl Into<String>, ours: impl Into<String>, axis: usize) {
        self.rules.push(Rule::Unsqueezed { published: published.into(), ours: ours.into(), axis });
    }

    /// `published` is all of `ours` behind each other along `axis`.
    pub fn joined(&mut self, published: impl Into<String>, ours: &[String], axis: usize) {
        let (published, ours) = (published.into(), ours.to_vec());
        self.rules.push(Rule::Joined { published, ours, axis, transposed: false });
    }

    /// `published` `[outputs, inputs]` is all of `ours` `[inputs, outputs]`, turned and put behind each other along
    /// the outputs.
    pub fn joined_linear(&mut self, published: impl Into<String>, ours: &[String]) {
        let (published, ours) = (published.into(), ours.to_vec());
        self.rules.push(Rule::Joined { published, ours, axis: 0, transposed: true });
    }

    /// `published` has the values of `ours` in the dimensions `shape`.
    pub fn reshaped(&mut self, published: impl Into<String>, shape: &[usize], ours: impl Into<String>) {
        let (published, shape, ours) = (published.into(), shape.to_vec(), ours.into());
        self.rules.push(Rule::Reshaped { published, shape, ours });
    }

    /// `published`, of the dimensions `whole`, is `ours` whose dimensions stand in another order: cut into the
    /// dimensions `parts`, and these put into the order `order`, its values are those of `ours`.
    pub fn permuted(
        &mut self,
        published: impl Into<String>,
        whole: &[usize],
        parts: &[usize],
        order: &[usize],
        ours: impl Into<String>,
    ) {
        let (published, ours) = (published.into(), ours.into());
        let [whole, parts, order] = [whole, parts, order].map(<[usize]>::to_vec);
        self.rules.push(Rule::Permuted { published, whole, parts, order, ours });
    }

    /// `published` `[outputs, inputs]` is `groups` groups of outputs, each with an equal share of every one of `ours`
    /// `[inputs, outputs]`: first shares first, as where each head has its query, key and value side by side.
    pub fn interleaved_linear(&mut self, published: impl Into<String>, ours: &[String], groups: usize) {
        let (published, ours) = (published.into(), ours.to_vec());
        self.rules.push(Rule::Interleaved { published, ours, groups, form: Form::Linear });
    }

    /// `published` `[channels, 1, taps]` is all of `ours` `[channels, taps]` behind each other.
    pub fn joined_convolution(&mut self, published: impl Into<String>, ours: &[String]) {
        let (published, ours) = (published.into(), ours.to_vec());
        self.rules.push(Rule::Interleaved { published, ours, groups: 1, form: Form::Convolution });
    }

    /// `ours` is all of `published` along a new first dimension.
    pub fn stacked(&mut self, published: &[String], ours: impl Into<String>) {
        let (published, ours) = (published.to_vec(), ours.into());
        self.rules.push(Rule::Stacked { published, ours, transposed: false });
    }

    /// `ours` `[count, inputs, outputs]` is all of `published` `[outputs, inputs]`.
    pub fn stacked_linear(&mut self, published: &[String], ours: impl Into<String>) {
        let (published, ours) = (published.to_vec(), ours.into());
        self.rules.push(Rule::Stacked { published, ours, transposed: true });
    }

    /// A linear map without bias: `published.weight` is `ours.weight` turned round.
    pub fn linear(&mut self, published: &str, ours: &str) {
        self.transposed(format!("{published}.weight"), format!("{ours}.weight"));
    }

    /// A linear map with a bias.
    pub fn linear_with_bias(&mut self, published: &str, ours: &str) {
        self.linear(published, ours);
        self.same(format!("{published}.bias"), format!("{ours}.bias"));
    }

    /// A linear map whose bias stands in the checkpoint where `bias` says so.
    pub fn linear_maybe_bias(&mut self, published: &str, ours: &str, bias: bool) {
        if bias { self.linear_with_bias(published, ours) } else { self.linear(published, ours) }
    }

    /// A linear map published as a convolution of width 1, `[outputs, inputs, 1]`.
    pub fn pointwise(&mut self, published: impl Into<String>, ours: impl Into<String>) {
        self.rules.push(Rule::Pointwise { published: published.into(), ours: ours.into() });
    }

    /// A linear map of flattened patches, `ours` `[height × width × channels, outputs]`, published as the weight of a
    /// convolution with a kernel of these sides, `[outputs, channels, height, width]`.
    pub fn patches(&mut self, published: impl Into<String>, ours: impl Into<String>, sides: [usize; 2]) {
        self.rules.push(Rule::Patches { published: published.into(), ours: ours.into(), sides });
    }

    /// The same with a bias.
    pub fn patches_with_bias(&mut self, published: &str, ours: &str, sides: [usize; 2]) {
        self.patches(format!("{published}.weight"), format!("{ours}.weight"), sides);
        self.same(format!("{published}.bias"), format!("{ours}.bias"));
    }

    /// The batch norm of a [`ConvNorm`] with its running statistics, and the count of batches, which is no parameter of
    /// ours.
    ///
    /// [`ConvNorm`]: ansatz_ops::ConvNorm
    pub fn convolution_norm(&mut self, published: &str, ours: &str) {
        for (theirs, own) in [
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "running_mean"),
            ("running_var", "running_var"),
        ] {
            self.same(format!("{published}.{theirs}"), format!("{ours}.{own}"));
        }
        self.ignored(format!("{published}.num_batches_tracked"));
    }

    /// A norm that has a scale alone.
    pub fn scale(&mut self, published: &str, ours: &str) {
        self.same(format!("{published}.weight"), format!("{ours}.scale"));
    }

    /// A norm that has a scale and a shift.
    pub fn scale_and_shift(&mut self, published: &str, ours: &str) {
        self.scale(published, ours);
        self.same(format!("{published}.bias"), format!("{ours}.shift"));
    }

    /// The batch norm of tokens, likewise.
    pub fn batch_norm(&mut self, published: &str, ours: &str) {
        self.scale_and_shift(published, ours);
        self.same(format!("{published}.running_mean"), format!("{ours}.running.mean"));
        self.same(format!("{published}.running_var"), format!("{ours}.running.variance"));
        self.ignored(format!("{published}.num_batches_tracked"));
    }

    /// A published tensor that is no parameter: a buffer that follows from the config, or a copy of another.
    pub fn ignored(&mut self, published: impl Into<String>) {
        self.ignored.insert(published.into());
    }

    /// Our tensors, which have these `shapes`, from the published ones.
    ///
    /// # Errors
    /// When a tensor is missing, is named by no rule, or has a shape that its rule does not allow.
    pub(crate) fn read(&self, file: &TensorFile, shapes: &Shapes) -> Result<BTreeMap<String, Values>> {
        let mut unread: BTreeSet<&str> = file.names().collect();
        for name in &self.ignored {
            unread.remove(name.as_str());
        }
        let mut take = |name: &String| {
            unread.remove(name.as_str());
            file.values(name).ok_or_else(|| {
                let what = format!("the file lacks `{name}`");
                checkpoint(file, what, "all tensors that the config asks for")
            })
        };
        let mut ours = BTreeMap::new();
        for rule in &self.rules {
            rule.read(&mut take, shapes, &mut |name, values| {
                ours.insert(name.to_owned(), values);
            })
            .map_err(|problem| match problem {
                Problem::Missing(error) => error,
                Problem::Shape(name) => misshapen(file, &name),
            })?;
            for name in rule.ours() {
                match shapes.get(name) {
                    Some(shape) if ours.get(name).is_some_and(|values| values.shape == *shape) => {}
                    Some(_) => return Err(misshapen(file, rule.published())),
                    None => {
                        return Err(Error::Failed(format!(
                            "the key table names `{name}`, which the network lacks"
                        )));
                    }
                }
            }
        }
        match unread.first() {
            Some(name) => Err(checkpoint(
                file,
                format!("`{name}` belongs to nothing that the config describes"),
                "only tensors that the config asks for",
            )),
            None => Ok(ours),
        }
    }

    /// The published tensors from ours; those that follow from absent ones of ours are left out.
    ///
    /// # Errors
    /// When a shape is not what its rule allows.
    pub fn write(&self, ours: &BTreeMap<String, Values>) -> Result<BTreeMap<String, Values>> {
        let mut published = BTreeMap::new();
        for rule in &self.rules {
            if rule.ours().iter().any(|name| !ours.contains_key(*name)) {
                continue;
            }
            let written = rule.write(ours).ok_or_else(|| {
                Error::Failed(format!(
                    "{rule:?} does not fit the shapes of the network: the key table is wrong"
                ))
            })?;
            published.extend(written);
        }
        Ok(published)
    }
}

fn misshapen(file: &TensorFile, name: &str) -> Error {
    checkpoint(file, format!("`{name}` has another shape than the config says"), "the shape of the config")
}

fn checkpoint(file: &TensorFile, problem: String, expected: &str) -> Error {
    Error::input(
        file.path().display(),
        problem,
        expected,
        "use the weights and the config.json of one and the same checkpoint",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shape: &[usize]) -> Values {
        let values = (0..shape.iter().product::<usize>()).map(|value| value as f32).collect();
        Values { shape: shape.to_vec(), values }
    }

    fn table() -> Names {
        let mut names = Names::new();
        names.linear_with_bias("out", "output");
        names.unsqueezed("conv.weight", "convolution", 1);
        names.pointwise("gate.weight", "gate");
        names.joined_linear("qkv", &["query".to_owned(), "key".to_owned()]);
        names.stacked_linear(&["experts.0".to_owned(), "experts.1".to_owned()], "experts");
        names.interleaved_linear("heads", &["a".to_owned(), "b".to_owned()], 2);
        names.joined_convolution("taps", &["first".to_owned(), "second".to_owned()]);
        names.reshaped("rate", &[1, 1, 4, 1], "logarithm");
        names.permuted("turned", &[2, 6], &[2, 3, 2], &[2, 1, 0], "straight");
        names.patches("kernel", "projection", [2, 3]);
        names.ignored("buffer");
        names
    }

    fn ours() -> BTreeMap<String, Values> {
        [
            ("output.weight", &[3usize, 2][..]),
            ("output.bias", &[2]),
            ("convolution", &[4, 3]),
            ("query", &[3, 4]),
            ("key", &[3, 2]),
            ("experts", &[2, 3, 5]),
            ("gate", &[3, 2]),
            ("a", &[3, 2]),
            ("b", &[3, 4]),
            ("first", &[2, 3]),
            ("second", &[4, 3]),
            ("logarithm", &[4]),
            ("straight", &[6, 2]),
            ("projection", &[24, 5]),
        ]
        .map(|(name, shape)| (name.to_owned(), counted(shape)))
        .into()
    }

    fn file(folder: &std::path::Path, tensors: &BTreeMap<String, Values>) -> TensorFile {
        let path = folder.join("model.safetensors");
        crate::tensors::write_tensors(&path, tensors).unwrap();
        TensorFile::read(&path).unwrap()
    }

    #[test]
    fn reading_undoes_writing() {
        let folder = tempfile::tempdir().unwrap();
        let mut published = table().write(&ours()).unwrap();
        assert_eq!(published["qkv"].shape, [6, 3]);
        assert_eq!(published["conv.weight"].shape, [4, 1, 3]);
        assert_eq!(published["experts.1"].shape, [5, 3]);
        assert_eq!(published["heads"].shape, [6, 3]);
        // The first output of a, the first two of b, and then the second shares: read along the first input.
        let first: Vec<f32> = published["heads"].values.iter().step_by(3).copied().collect();
        assert_eq!(first, [0.0, 0.0, 1.0, 1.0, 2.0, 3.0]);
        assert_eq!(published["taps"].shape, [6, 1, 3]);
        assert_eq!(published["rate"].shape, [1, 1, 4, 1]);
        assert_eq!(published["turned"].shape, [2, 6]);
        // Ours is [2, 3, 2] from the last dimension of the published one to its first.
        assert_eq!(published["turned"].values[..7], [0.0, 6.0, 2.0, 8.0, 4.0, 10.0, 1.0]);
        assert_eq!(published["kernel"].shape, [5, 4, 2, 3]);
        // Output 1, channel 2, row 0, column 1 stands in row (0 · 3 + 1) · 4 + 2 of ours.
        assert_eq!(published["kernel"].values[24 + 2 * 6 + 1], 6.0 * 5.0 + 1.0);
        published.insert("buffer".to_owned(), counted(&[1]));
        let shapes = ours().into_iter().map(|(name, values)| (name, values.shape)).collect();
        assert_eq!(table().read(&file(folder.path(), &published), &shapes).unwrap(), ours());
    }

    #[test]
    fn tensors_that_are_missing_unknown_or_misshapen_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let published = table().write(&ours()).unwrap();
        let shapes: Shapes = ours().into_iter().map(|(name, values)| (name, values.shape)).collect();
        let problem = |tensors: &BTreeMap<String, Values>| {
            table().read(&file(folder.path(), tensors), &shapes).unwrap_err().to_string()
        };
        let mut missing = published.clone();
        missing.remove("experts.1");
        assert!(problem(&missing).contains("lacks `experts.1`"));
        let mut more = published.clone();
        more.insert("other".to_owned(), counted(&[1]));
        assert!(problem(&more).contains("`other` belongs to nothing"));
        for (name, shape) in [
            ("qkv", &[7, 3][..]),
            ("out.weight", &[2, 4]),
            ("conv.weight", &[4, 2, 3]),
            ("heads", &[8, 3]),
            ("taps", &[6, 2, 3]),
            ("rate", &[4]),
            ("turned", &[12]),
            ("kernel", &[5, 4, 3, 2]),
        ] {
            let mut misshapen = published.clone();
            misshapen.insert(name.to_owned(), counted(shape));
            let problem = problem(&misshapen);
            assert!(problem.contains(&format!("`{name}` has another shape")), "{problem}");
        }
    }
}
