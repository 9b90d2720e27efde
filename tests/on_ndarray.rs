//! The same code on burn's older backend for the processor.

use crate::twenty_steps::agree;

#[test]
fn both_backends_of_the_processor_agree_after_twenty_steps() {
    agree("ndarray");
}
