//! `layers.json`: the table of layers.

use maud::{Markup, html};
use serde::Deserialize;

use crate::format;

/// One layer.
#[derive(Debug, Deserialize)]
pub(crate) struct Layer {
    name: String,
    output: String,
    parameters: u64,
    flops: u64,
    activations: u64,
}

/// The section of layers; empty where the table was not written.
pub(crate) fn section(layers: &[Layer]) -> Markup {
    if layers.is_empty() {
        return html! {};
    }
    let total = |value: fn(&Layer) -> u64| format::count(layers.iter().map(value).sum());
    html! {
        section #layers {
            h2 { "Layers" }
            div.scroll {
                table.list {
                    thead {
                        tr {
                            th { "Layer" }
                            th { "Output" }
                            th.number { "Parameters" }
                            th.number { "FLOP" }
                            th.number { "Activations" }
                        }
                    }
                    tbody {
                        @for layer in layers {
                            tr {
                                td { code { (layer.name) } }
                                td { (layer.output) }
                                td.number { (format::count(layer.parameters)) }
                                td.number { (format::count(layer.flops)) }
                                td.number { (format::count(layer.activations)) }
                            }
                        }
                    }
                    tfoot {
                        tr {
                            th { "Total" }
                            td {}
                            td.number { (total(|layer| layer.parameters)) }
                            td.number { (total(|layer| layer.flops)) }
                            td.number { (total(|layer| layer.activations)) }
                        }
                    }
                }
            }
            p.note { "FLOP: floating-point operations of one example, forward, a multiply–add counted as two. Activations: values that leave the layer for one example." }
        }
    }
}
