//! One table put over another.

/// Puts `over` over `base`: tables inside are merged, except that one with another `kind` takes the place of the former.
pub(crate) fn merge(base: &mut toml::Table, over: &toml::Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) if same_kind(below, above) => {
                merge(below, above);
            }
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Whether settings of one are settings of the other.
fn same_kind(below: &toml::Table, above: &toml::Table) -> bool {
    above.get("kind").is_none_or(|kind| below.get("kind") == Some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_merged_and_another_kind_takes_their_place() {
        let base = "epochs = 12\noptimizer = { kind = \"sgd\", learning_rate = 0.1, momentum = 0.9 }\n\
                    schedule = { kind = \"cosine\", warmup = 0.1 }";
        let over = "epochs = 2\noptimizer = { learning_rate = 0.02 }\nschedule = { kind = \"constant\" }";
        let expected = "epochs = 2\noptimizer = { kind = \"sgd\", learning_rate = 0.02, momentum = 0.9 }\n\
                        schedule = { kind = \"constant\" }";
        let mut merged: toml::Table = base.parse().unwrap();
        merge(&mut merged, &over.parse().unwrap());
        assert_eq!(merged, expected.parse().unwrap());
    }
}
