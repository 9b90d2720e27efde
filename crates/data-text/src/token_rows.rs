//! The tokens of many texts, which need not fit into memory.

use ansatz_core::{Result, Spool, SpoolWriter};

/// Rows of tokens; an empty one where there is no text.
pub(crate) struct TokenRows(Spool);

/// Writes [`TokenRows`].
#[derive(Default)]
pub(crate) struct TokenRowsWriter(SpoolWriter);

impl TokenRowsWriter {
    /// Writes the tokens of the next text.
    pub(crate) fn push(&mut self, tokens: &[u32]) -> Result<()> {
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        self.0.push(&bytes)
    }

    pub(crate) fn finish(self) -> Result<TokenRows> {
        self.0.finish().map(TokenRows)
    }
}

impl TokenRows {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the row `index` has tokens.
    pub(crate) fn is_present(&self, index: usize) -> bool {
        self.0.length(index) > 0
    }

    /// How many tokens row `index` has.
    pub(crate) fn count(&self, index: usize) -> usize {
        self.0.length(index) as usize / size_of::<u32>()
    }

    /// The tokens of row `index`, if it has any.
    pub(crate) fn get(&self, index: usize) -> Result<Option<Vec<u32>>> {
        let bytes = self.0.row(index)?;
        let token = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
        let tokens: Vec<u32> = bytes.as_chunks().0.iter().map(token).collect();
        Ok(if tokens.is_empty() { None } else { Some(tokens) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_and_no_text_is_told_from_them() {
        let mut writer = TokenRowsWriter::default();
        for tokens in [&[3, u32::MAX, 0][..], &[], &[7]] {
            writer.push(tokens).unwrap();
        }
        let rows = writer.finish().unwrap();
        let found: Vec<_> = (0..rows.len()).map(|index| rows.get(index).unwrap()).collect();
        assert_eq!(found, [Some(vec![3, u32::MAX, 0]), None, Some(vec![7])]);
        assert!(rows.is_present(0) && !rows.is_present(1));
        assert_eq!([0, 1, 2].map(|index| rows.count(index)), [3, 0, 1]);
    }
}
