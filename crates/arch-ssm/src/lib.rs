//! State-space models: S4D, Mamba, Mamba-2.
