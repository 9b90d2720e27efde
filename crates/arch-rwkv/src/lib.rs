//! RWKV: time mixing and channel mixing of the fourth, sixth and seventh generation.
