//! What a weight is of, as far as its name tells.

/// What each part of a name says, the more telling first.
const PARTS: [(&[&str], &str); 11] = [
    (&["decay", "forgetting", "forget_gate", "recurrence_gate"], "decay"),
    (&["selection"], "selection of the state"),
    (&["step"], "time step of the state"),
    (&["strength", "rate"], "strength of the state's correction"),
    (&["gate", "input_gate", "output_gate"], "gate"),
    (&["convolution"], "convolution"),
    (&["query", "receptance"], "query"),
    (&["key"], "key"),
    (&["value"], "value"),
    (&["input", "hidden"], "into the mixer"),
    (&["output"], "out of the mixer"),
];

/// What the weight of this dotted name is of: in a mixer its decay, a gate, a convolution, queries, keys or values; else the
/// part of the network. `None` where the name does not tell.
pub(crate) fn part(name: &str) -> Option<&'static str> {
    let path: Vec<&str> = name.split('.').collect();
    match path[..] {
        ["stem", ..] => return Some("stem"),
        ["head", ..] => return Some("head"),
        _ => {}
    }
    // A channel mixer has inputs, outputs and gates of its own.
    if path.contains(&"channel") {
        return Some("channel mixer");
    }
    let is_named = |names: &[&str]| path.iter().any(|part| names.contains(part));
    PARTS.iter().find(|(names, _)| is_named(names)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_recurrent_mixers_are_named() {
        for (name, what) in [
            ("stem.projection.weight", Some("stem")),
            ("head.linear.weight", Some("head")),
            ("backbone.blocks.0.mixer.decay.up.weight", Some("decay")),
            ("backbone.blocks.0.mixer.forgetting.map.down.weight", Some("decay")),
            ("backbone.blocks.0.mixer.forget_gate.weight", Some("decay")),
            ("backbone.blocks.0.mixer.gate.up.weight", Some("gate")),
            ("backbone.blocks.0.mixer.strength.weight", Some("strength of the state's correction")),
            ("backbone.blocks.0.mixer.step.weight", Some("time step of the state")),
            ("backbone.blocks.0.mixer.query.linear.weight", Some("query")),
            ("backbone.blocks.0.mixer.receptance.weight", Some("query")),
            ("backbone.blocks.0.mixer.output.weight", Some("out of the mixer")),
            ("backbone.blocks.0.channel.gate.weight", Some("channel mixer")),
            ("backbone.stages.0.1.convolution.weight", Some("convolution")),
            ("backbone.stages.0.1.weight", None),
        ] {
            assert_eq!(part(name), what, "{name}");
        }
    }
}
