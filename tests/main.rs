//! What crosses crates, in one binary so that it links once.

mod bad_input;
mod bench;
mod command_line;
mod components;
mod compress;
mod configs;
mod distill;
mod forecast;
mod fused;
mod init;
mod masked_patches;
mod pairs;
mod program;
mod published;
mod records;
mod resume;
mod road;
mod series_classes;
mod start;
mod structured;
mod vision;

#[cfg(feature = "ndarray")]
mod on_ndarray;
#[cfg(feature = "wgpu")]
mod on_the_gpu;
#[cfg(any(feature = "ndarray", feature = "wgpu"))]
mod twenty_steps;
