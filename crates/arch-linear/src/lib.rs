//! Linear attention with decay: one matrix of state per head, faded and added to.
