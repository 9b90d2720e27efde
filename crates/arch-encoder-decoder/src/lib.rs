//! Encoder–decoders: the original Transformer, T5, BART, with cross-attention.
