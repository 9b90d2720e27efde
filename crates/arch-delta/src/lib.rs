//! The delta rule: a matrix of state per head that is corrected rather than added to.
