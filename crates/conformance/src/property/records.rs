//! Parameters are saved and loaded to the bit.

use burn::store::ModuleRecord;

use crate::case::Case;
use crate::compare::host;
use crate::network::Network;
use crate::parameters::values;
use crate::run::Subject;

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    let describe = |error: burn::store::RecordError| format!("the record: {error}");
    let bytes = subject.plain.clone().into_record().into_bytes().map_err(describe)?;
    let fresh = (subject.build)(&case.input, &subject.device).map_err(|error| error.to_string())?;
    let record = ModuleRecord::from_bytes(bytes).map_err(describe)?;
    let loaded = fresh.try_load_record(record).map_err(describe)?.valid();
    let (saved, loaded_values) = (values(&subject.plain)?, values(&loaded)?);
    if saved.len() != loaded_values.len() {
        return Err(format!("{} parameters are loaded as {}", saved.len(), loaded_values.len()));
    }
    for ((path, saved), (_, loaded)) in saved.iter().zip(&loaded_values) {
        if saved.iter().map(|value| value.to_bits()).ne(loaded.iter().map(|value| value.to_bits())) {
            return Err(format!("`{path}` is loaded with other values"));
        }
    }
    let run = |network: &N| host(network.forward(case.features(case.tokens(1, &subject.device))).tokens);
    let (before, after) = (run(&subject.plain)?, run(&loaded)?);
    if before != after {
        return Err(
            "all parameters are loaded, but the outputs differ: something is not a parameter".to_owned()
        );
    }
    Ok(Some(0.0))
}
