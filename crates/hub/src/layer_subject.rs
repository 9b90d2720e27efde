//! Published layers that stand alone: numbers in, numbers out.

use std::collections::BTreeMap;

use ansatz_core::{Error, Result};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{Folder, Names, Subject, TensorFile, Values, fill};

/// What a layer makes of its input, by published name.
type Run<M> = Box<dyn Fn(&M, Tensor<3>) -> BTreeMap<String, Tensor<3>>>;

/// A published layer, filled with its weights, whose input is the tensor `input.x` of rank 3.
pub struct LayerSubject<M> {
    module: M,
    device: Device,
    run: Run<M>,
}

impl<M: Module> LayerSubject<M> {
    /// Fills `module` with the weights of `folder`; `run` says what it makes of the input, by published name without
    /// `output.`.
    ///
    /// # Errors
    /// When the weights do not fit the module.
    pub fn open(
        module: M,
        names: &Names,
        folder: &Folder,
        device: &Device,
        run: impl Fn(&M, Tensor<3>) -> BTreeMap<String, Tensor<3>> + 'static,
    ) -> Result<Self> {
        let module = fill(module, names, &folder.weights()?)?;
        Ok(Self { module, device: device.clone(), run: Box::new(run) })
    }
}

impl<M: Module> Subject for LayerSubject<M> {
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>> {
        let Some(x) = stored.get("input.x").filter(|x| x.rank() == 3) else {
            let expected = "a tensor of rank 3, what the layer is given";
            let problem = "there is no `input.x` of rank 3";
            return Err(Error::input(stored.path().display(), problem, expected, "restore the file"));
        };
        let outputs = (self.run)(&self.module, Tensor::from_data(x.clone(), &self.device));
        Ok(outputs.into_iter().map(|(name, values)| (name, Values::from_data(values.into_data()))).collect())
    }
}
