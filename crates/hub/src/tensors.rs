//! Files of tensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ansatz_core::{Error, Result};
use ansatz_run::write_atomically;
use burn::tensor::{DType, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::Values;

/// The tensors of a safetensors file.
#[derive(Debug, Clone)]
pub struct TensorFile {
    path: PathBuf,
    tensors: BTreeMap<String, TensorData>,
}

impl TensorFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or holds numbers of a type that no network has.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::file(path, "read"))?;
        let damaged = |problem: String| {
            Error::input(
                path.display(),
                format!("the file is damaged or no safetensors file: {problem}"),
                "a whole safetensors file",
                "fetch or restore the file",
            )
        };
        let views = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
        let tensors = views.iter().map(|(name, view)| {
            let dtype = dtype(view.dtype())
                .ok_or_else(|| damaged(format!("`{name}` holds {:?}, which is not read", view.dtype())))?;
            let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
            Ok((name.to_owned(), data))
        });
        Ok(Self { path: path.to_owned(), tensors: tensors.collect::<Result<_>>()? })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The tensor `name` as it is stored.
    pub fn get(&self, name: &str) -> Option<&TensorData> {
        self.tensors.get(name)
    }

    /// The tensor `name` as float32.
    pub fn values(&self, name: &str) -> Option<Values> {
        self.get(name).map(|data| Values::from_data(data.clone()))
    }
}

/// Writes float32 tensors as a safetensors file, atomically.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_tensors(path: &Path, tensors: &BTreeMap<String, Values>) -> Result<()> {
    let failed = |error: safetensors::SafeTensorError| {
        Error::Failed(format!("{}: cannot write the tensors: {error}", path.display()))
    };
    let bytes: Vec<Vec<u8>> = tensors
        .values()
        .map(|values| values.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, values), bytes)| Ok((name, TensorView::new(Dtype::F32, values.shape.clone(), bytes)?)));
    let views = views.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_atomically(path, &safetensors::serialize(views, Some(metadata)).map_err(failed)?)
}

/// The numbers of a file as burn calls them.
fn dtype(stored: Dtype) -> Option<DType> {
    Some(match stored {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U8 => DType::U8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_damaged_or_hostile_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let header = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
        let hostile = [
            b"short".to_vec(),
            u64::MAX.to_le_bytes().to_vec(),
            header("{\"a\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [0, 16]}}"),
            header(
                "{\"a\": {\"dtype\": \"F32\", \"shape\": [18446744073709551615, 2], \"data_offsets\": [0, 0]}}",
            ),
        ];
        for bytes in hostile {
            std::fs::write(&path, bytes).unwrap();
            let message = TensorFile::read(&path).unwrap_err().to_string();
            assert!(message.contains("damaged") && message.contains("model.safetensors"), "{message}");
        }
        assert!(TensorFile::read(&folder.path().join("none")).is_err());
    }
}
