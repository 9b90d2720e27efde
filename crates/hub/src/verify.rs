//! Running what the reference ran, and comparing every number.

use ansatz_core::{Registry, Result};
use burn::tensor::Device;

use crate::{Comparison, Family, Folder, Subject, TensorFile, Values, Verdict, family_of};

/// Verifies the checkpoint at `folder` against what its reference computed, on `device`: every `output.*` of
/// `io.safetensors`, the greedy tokens and their logits where they are stored, decoded step by step through the
/// state, and the gradients where they are stored. Tolerances are those of `meta.json`.
///
/// What is wrong with the checkpoint stands in the verdict; a family that is not known is a failure.
///
/// # Errors
/// When `folder` is no checkpoint with a reference.
pub fn verify(folder: &Folder, registry: &Registry, device: &Device) -> Result<Verdict> {
    let name = folder.name();
    let stored = TensorFile::read(&folder.file("io.safetensors"))?;
    let family = match family_of(folder) {
        Ok(family) => family,
        Err(error) => {
            let comparisons = vec![Comparison::failed(&name, "family", error.to_string())];
            return Ok(Verdict { name, family: None, comparisons });
        }
    };
    let mut comparisons = Vec::new();
    match (family.open)(folder, registry, device) {
        Ok(subject) => {
            comparisons.extend(outputs(folder, &*subject, &stored));
            comparisons.extend(generated(folder, &*subject, &stored));
        }
        Err(error) => comparisons.push(Comparison::failed(&name, "weights", error.to_string())),
    }
    comparisons.extend(gradients(folder, family, registry, &stored, device));
    Ok(Verdict { name, family: Some(family.name.to_owned()), comparisons })
}

/// The tolerance of `group.quantity` in `meta.json`; 0 where there is none.
fn tolerance(folder: &Folder, group: &str, quantity: &str) -> f64 {
    let entry = folder.meta.get(group).and_then(|group| group.get(quantity));
    entry.and_then(|entry| entry.get("tolerance")).and_then(serde_json::Value::as_f64).unwrap_or(0.0)
}

fn outputs(folder: &Folder, subject: &dyn Subject, stored: &TensorFile) -> Vec<Comparison> {
    let name = folder.name();
    let found = match subject.outputs(stored) {
        Ok(found) => found,
        Err(error) => return vec![Comparison::failed(&name, "output", error.to_string())],
    };
    let wanted = stored.names().filter_map(|quantity| Some((quantity, quantity.strip_prefix("output.")?)));
    wanted
        .filter_map(|(quantity, bare)| {
            let expected = stored.values(quantity)?;
            Some(match found.get(bare) {
                Some(found) => {
                    let tolerance = tolerance(folder, "outputs", bare);
                    Comparison::tensors(&name, quantity, found, &expected, tolerance)
                }
                None => Comparison::failed(&name, quantity, "the network has no such output"),
            })
        })
        .collect()
}

fn generated(folder: &Folder, subject: &dyn Subject, stored: &TensorFile) -> Vec<Comparison> {
    let name = folder.name();
    let (Some(tokens), Some(logits)) = (stored.get("generated.tokens"), stored.values("generated.logits"))
    else {
        return Vec::new();
    };
    let expected: Vec<i64> = tokens.clone().convert::<i64>().try_to_vec().expect("whole numbers");
    let count = tokens.shape().to_vec()[1];
    let found = match subject.generate(stored, count) {
        Ok(Some(found)) => found,
        Ok(None) => return vec![Comparison::failed(&name, "generated", "the network has no recurrent form")],
        Err(error) => return vec![Comparison::failed(&name, "generated", error.to_string())],
    };
    let pairs = found.tokens.iter().flatten().zip(&expected);
    let wrong = pairs.filter(|(found, expected)| i64::from(**found) != **expected).count();
    let allowed = tolerance(folder, "outputs", "logits");
    vec![
        Comparison::of(&name, "generated.tokens", wrong as f64, 0.0),
        Comparison::tensors(&name, "generated.logits", &found.logits, &logits, allowed),
    ]
}

fn gradients(
    folder: &Folder,
    family: &Family,
    registry: &Registry,
    stored: &TensorFile,
    device: &Device,
) -> Vec<Comparison> {
    let (name, path) = (folder.name(), folder.file("grads.safetensors"));
    if !path.is_file() {
        return Vec::new();
    }
    let computed = (|| {
        let expected = TensorFile::read(&path)?;
        let subject = (family.open)(folder, registry, &device.clone().autodiff())?;
        Ok::<_, ansatz_core::Error>((expected, subject.gradients(stored)?))
    })();
    let (expected, found) = match computed {
        Ok((expected, Some(found))) => (expected, found),
        Ok((_, None)) => return vec![Comparison::failed(&name, "gradient", "the network has no loss")],
        Err(error) => return vec![Comparison::failed(&name, "gradient", error.to_string())],
    };
    let compare = |quantity: &str| -> Option<Comparison> {
        let expected: Values = expected.values(quantity)?;
        let label = format!("gradient.{quantity}");
        Some(match found.get(quantity) {
            Some(found) => {
                let tolerance = tolerance(folder, "grads", quantity);
                Comparison::tensors(&name, &label, found, &expected, tolerance)
            }
            None => Comparison::failed(&name, &label, "the network has no such parameter"),
        })
    };
    expected.names().filter_map(compare).collect()
}
