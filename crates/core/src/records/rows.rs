//! Records as rows of bytes, which need not fit into memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::{Cell, Place, Record};
use crate::spool::{Ahead, Spool, SpoolWriter};
use crate::{Error, Result};

/// Many records: in memory up to a size, beyond it in a temporary file (see [`Spool`]). What is chosen of them, and copies,
/// share the same bytes.
#[derive(Debug, Clone)]
pub struct Rows {
    stores: Vec<Arc<Store>>,
    /// The store and the row there of each record.
    places: Vec<(u32, u32)>,
}

/// What was read in one go, with the cells of it that are seen.
#[derive(Debug)]
struct Store {
    rows: Arc<Written>,
    /// Which cells, in which order; of a row that has fewer, the others are missing.
    cells: Vec<usize>,
}

#[derive(Debug)]
struct Written {
    spool: Spool,
    files: Vec<Arc<Path>>,
}

/// Writes [`Rows`], record by record.
#[derive(Default)]
pub struct RowsWriter {
    spool: SpoolWriter,
    files: Vec<Arc<Path>>,
    known: HashMap<Arc<Path>, u32>,
    row: Vec<u8>,
}

impl RowsWriter {
    /// How many records were written.
    pub fn len(&self) -> usize {
        self.spool.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spool.is_empty()
    }

    /// Writes the next record, which may have fewer cells than there will be columns.
    ///
    /// # Errors
    /// When a temporary file is needed and cannot be written, or a cell holds 4 GiB and more.
    pub fn push(&mut self, record: &Record) -> Result<()> {
        let Place { file, line } = &record.place;
        let file = match self.known.get(file) {
            Some(file) => *file,
            None => {
                let index = size(self.files.len())?;
                self.files.push(Arc::clone(file));
                self.known.insert(Arc::clone(file), index);
                index
            }
        };
        self.row.clear();
        self.row.extend(file.to_le_bytes());
        self.row.extend(line.to_le_bytes());
        for cell in &record.cells {
            let (kind, bytes) = match cell {
                Cell::Text(text) => (TEXT, text.as_bytes()),
                Cell::Bytes(bytes) => (BYTES, &bytes[..]),
            };
            self.row.push(kind);
            self.row.extend(size(bytes.len())?.to_le_bytes());
            self.row.extend(bytes);
        }
        self.spool.push(&self.row)
    }

    /// The records that were written, with `columns` cells each.
    ///
    /// # Errors
    /// As [`RowsWriter::push`].
    pub fn finish(self, columns: usize) -> Result<Rows> {
        let rows = size(self.spool.len())?;
        let written = Written { spool: self.spool.finish()?, files: self.files };
        let store = Store { rows: Arc::new(written), cells: (0..columns).collect() };
        Ok(Rows { stores: vec![Arc::new(store)], places: (0..rows).map(|row| (0, row)).collect() })
    }
}

const TEXT: u8 = 0;
const BYTES: u8 = 1;

/// Sizes are kept in four bytes.
fn size(size: usize) -> Result<u32> {
    u32::try_from(size).map_err(|_| {
        let expected = "cells of less than 4 GiB, and fewer than 4,294,967,296 records";
        Error::input("records", format!("a size of {size}"), expected, "divide the file")
    })
}

impl Rows {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The record `index`.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, index: usize) -> Result<Record> {
        let (store, row) = self.places[index];
        let Store { rows, cells } = &*self.stores[store as usize];
        record(&rows.spool.row(row as usize)?, &rows.files, cells)
    }

    /// All records in their order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Record>> + '_ {
        let mut ahead: Vec<Ahead> = self.stores.iter().map(|_| Ahead::default()).collect();
        self.places.iter().map(move |&(store, row)| {
            let Store { rows, cells } = &*self.stores[store as usize];
            let bytes = rows.spool.next(row as usize, &mut ahead[store as usize])?;
            record(bytes, &rows.files, cells)
        })
    }

    /// The records `indices` alone, in this order.
    ///
    /// # Panics
    /// If one of them does not exist.
    pub fn at(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        let places = indices.into_iter().map(|index| self.places[index]).collect();
        Self { stores: self.stores.clone(), places }
    }

    /// These records, and behind them `others`, which have as many cells.
    pub fn followed_by(mut self, others: &Self) -> Self {
        let first = self.stores.len() as u32;
        self.stores.extend(others.stores.iter().cloned());
        self.places.extend(others.places.iter().map(|&(store, row)| (first + store, row)));
        self
    }

    /// The same records with the cells `places` alone, in this order.
    pub(super) fn with_cells(&self, places: &[usize]) -> Self {
        let chosen = |store: &Arc<Store>| {
            let cells = places.iter().map(|&place| store.cells[place]).collect();
            Arc::new(Store { rows: Arc::clone(&store.rows), cells })
        };
        Self { stores: self.stores.iter().map(chosen).collect(), places: self.places.clone() }
    }
}

/// Reads what [`RowsWriter::push`] wrote: the file's number, the line, and kind, length and bytes of each cell.
fn record(bytes: &[u8], files: &[Arc<Path>], cells: &[usize]) -> Result<Record> {
    let damaged = || Error::Failed("a temporary file of records was changed by somebody else".to_owned());
    let mut rest = bytes;
    let file = u32::from_le_bytes(*taken(&mut rest).ok_or_else(damaged)?);
    let line = u64::from_le_bytes(*taken(&mut rest).ok_or_else(damaged)?);
    let mut held: Vec<(u8, &[u8])> = Vec::with_capacity(cells.len());
    while !rest.is_empty() {
        let [kind] = *taken(&mut rest).ok_or_else(damaged)?;
        let length = u32::from_le_bytes(*taken(&mut rest).ok_or_else(damaged)?) as usize;
        let (cell, behind) = rest.split_at_checked(length).ok_or_else(damaged)?;
        held.push((kind, cell));
        rest = behind;
    }
    let cell = |&place: &usize| match held.get(place) {
        None => Ok(Cell::Text(String::new())),
        Some(&(BYTES, bytes)) => Ok(Cell::Bytes(Arc::from(bytes))),
        Some(&(_, bytes)) => {
            std::str::from_utf8(bytes).map(|text| Cell::Text(text.to_owned())).map_err(|_| damaged())
        }
    };
    let file = files.get(file as usize).cloned().ok_or_else(damaged)?;
    Ok(Record { place: Place { file, line }, cells: cells.iter().map(cell).collect::<Result<_>>()? })
}

/// The next N bytes.
fn taken<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(records: &[Record], held: usize, columns: usize) -> Rows {
        let mut writer = RowsWriter { spool: SpoolWriter::holding(held), ..RowsWriter::default() };
        records.iter().for_each(|record| writer.push(record).unwrap());
        assert_eq!(writer.len(), records.len());
        writer.finish(columns).unwrap()
    }

    fn made_up(count: usize) -> Vec<Record> {
        let record = |index: usize| {
            let file = Path::new(["a.csv", "b.csv"][index % 2]).into();
            let text = Cell::Text("é".repeat(index % 50));
            let bytes = Cell::Bytes(Arc::from(vec![index as u8; index % 7]));
            let cells = vec![text, bytes, Cell::Text(index.to_string())];
            Record { place: Place { file, line: index as u64 }, cells }
        };
        (0..count).map(record).collect()
    }

    fn all(rows: &Rows) -> Vec<Record> {
        rows.iter().collect::<Result<_>>().unwrap()
    }

    #[test]
    fn records_come_back_as_they_were_from_memory_and_from_a_file() {
        let records = made_up(500);
        for held in [usize::MAX, 1000] {
            let rows = written(&records, held, 3);
            assert_eq!(all(&rows), records);
            let backwards: Vec<usize> = (0..500).rev().collect();
            let found: Vec<Record> = backwards.iter().map(|&index| rows.get(index).unwrap()).collect();
            let expected: Vec<Record> = records.iter().rev().cloned().collect();
            assert_eq!(found, expected);
            assert_eq!(all(&rows.at(backwards)), expected);
        }
    }

    #[test]
    fn what_is_chosen_and_joined_keeps_its_order() {
        let records = made_up(10);
        let rows = written(&records[..6], 0, 3).followed_by(&written(&records[6..], 0, 3));
        assert_eq!(all(&rows), records);
        let chosen = rows.at([7, 2, 2]).with_cells(&[2, 0]);
        assert_eq!(chosen.len(), 3);
        let numbers: Vec<Cell> = all(&chosen).into_iter().map(|record| record.cells[0].clone()).collect();
        assert_eq!(numbers, ["7", "2", "2"].map(|text| Cell::Text(text.to_owned())));
        let once_more = all(&chosen.with_cells(&[1]));
        assert_eq!(once_more[0].cells, [records[7].cells[0].clone()]);
    }

    #[test]
    fn cells_that_a_record_lacks_are_missing() {
        let mut records = made_up(3);
        records[1].cells.truncate(1);
        let rows = written(&records, 0, 4);
        assert!(rows.get(1).unwrap().cells[1..].iter().all(Cell::is_missing));
        assert_eq!(rows.get(0).unwrap().cells.len(), 4);
        assert!(written(&[], 0, 2).is_empty());
    }
}
