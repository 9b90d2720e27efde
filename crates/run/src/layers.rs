//! `only` and `except`: which weights are meant.

use ansatz_core::{Error, Result, nearest};

use crate::Weight;

/// Which weights a step is about, by dotted names: of a weight (`head.linear.weight`), or of anything it lies in
/// (`head`, `backbone.blocks.0`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers {
    /// These alone; all, if there are none.
    pub only: Vec<String>,
    /// None of these.
    pub except: Vec<String>,
}

impl Layers {
    /// Those of `weights` that are meant, in their order.
    ///
    /// # Errors
    /// When a name is of none of them, or none is left.
    pub fn select(&self, weights: Vec<Weight>) -> Result<Vec<Weight>> {
        for (key, names) in [("only", &self.only), ("except", &self.except)] {
            if let Some(name) =
                names.iter().find(|name| !weights.iter().any(|weight| within(&weight.name, name)))
            {
                return Err(unknown(key, name, &weights));
            }
        }
        let meant = |weight: &Weight| {
            let named = |names: &[String]| names.iter().any(|name| within(&weight.name, name));
            (self.only.is_empty() || named(&self.only)) && !named(&self.except)
        };
        let selected: Vec<Weight> = weights.into_iter().filter(meant).collect();
        if selected.is_empty() {
            return Err(Error::input(
                "the layers to compress",
                "none is left",
                "at least one matrix of a linear layer or kernel of a convolution",
                "name more in `only`, or fewer in `except`",
            ));
        }
        Ok(selected)
    }

    /// Whether this weight was named itself, rather than meant with all others.
    pub fn names(&self, weight: &Weight) -> bool {
        self.only.iter().any(|name| within(&weight.name, name))
    }
}

/// Whether the weight `name` is `part`, or lies in it.
fn within(name: &str, part: &str) -> bool {
    name.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn unknown(key: &str, name: &str, weights: &[Weight]) -> Error {
    let names = weights.iter().map(|weight| weight.name.as_str());
    let parts =
        names.clone().flat_map(|name| name.match_indices('.').map(|(end, _)| &name[..end]).chain([name]));
    let remedy = match nearest(name, parts) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "choose from these".to_owned(),
    };
    let expected = format!("one of {}, or what they lie in", names.collect::<Vec<_>>().join(", "));
    Error::input(format!("{key}: `{name}`"), "the network has no such layer to compress", expected, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_ops::Kind;

    fn selected(only: &[&str], except: &[&str]) -> Result<Vec<String>> {
        let weight = |name: &str| Weight {
            name: name.to_owned(),
            kind: Kind::Matrix,
            shape: vec![1, 1],
            values: vec![0.0],
        };
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let layers = Layers { only: owned(only), except: owned(except) };
        let weights = ["body.1.weight", "body.10.weight", "head.weight"].map(weight).to_vec();
        Ok(layers.select(weights)?.into_iter().map(|weight| weight.name).collect())
    }

    #[test]
    fn names_are_of_weights_or_of_what_they_lie_in() {
        assert_eq!(selected(&[], &[]).unwrap().len(), 3);
        assert_eq!(selected(&["body.1"], &[]).unwrap(), ["body.1.weight"]);
        assert_eq!(selected(&["body"], &["body.10.weight"]).unwrap(), ["body.1.weight"]);
        assert_eq!(selected(&[], &["body"]).unwrap(), ["head.weight"]);
    }

    #[test]
    fn unknown_names_and_nothing_at_all_are_refused() {
        let message = selected(&["haed"], &[]).unwrap_err().to_string();
        assert!(message.contains("only: `haed`") && message.contains("did you mean `head`"), "{message}");
        assert!(selected(&[], &["bod"]).unwrap_err().to_string().contains("except: `bod`"));
        assert!(selected(&["head"], &["head"]).unwrap_err().to_string().contains("none is left"));
    }
}
