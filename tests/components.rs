//! Every component of the list keeps the promises of the seam.

#[test]
fn every_built_in_component_conforms() {
    let device = ansatz_device::open("cpu").expect("the processor is always there");
    ansatz_conformance::registry(&ansatz::builtin(), &device).expect("every property holds");
}
