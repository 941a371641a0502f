//! A table that grows by pieces, for what there are millions of.
//!
//! A `Vec` that grows holds twice what it needs while it moves, and gives its last and largest piece back in one:
//! an allocator that learns from such a piece keeps as much for later. Pieces of one moderate size are used again.

use std::iter::Flatten;
use std::ops::{Index, IndexMut};
use std::{slice, vec};

/// Rows of a piece: of 100 bytes each, it stays below the 128 KiB from which allocators treat it on its own.
const ROWS: usize = 1024;

/// Rows by their number, from 0.
#[derive(Debug, Clone)]
pub struct Table<T> {
    /// All full but the last.
    pieces: Vec<Vec<T>>,
}

impl<T> Table<T> {
    /// A table without rows.
    pub const fn new() -> Self {
        Self { pieces: Vec::new() }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        let full = self.pieces.len().saturating_sub(1);
        self.pieces.last().map_or(0, |last| full * ROWS + last.len())
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds a row behind the others.
    pub fn push(&mut self, row: T) {
        match self.pieces.last_mut() {
            Some(last) if last.len() < ROWS => last.push(row),
            _ => {
                // The only piece of a small table is as small as it can be.
                let rows = if self.pieces.is_empty() { 1 } else { ROWS };
                let mut piece = Vec::with_capacity(rows);
                piece.push(row);
                self.pieces.push(piece);
            }
        }
    }

    /// The row `number`, if there is one.
    pub fn get(&self, number: usize) -> Option<&T> {
        self.pieces.get(number / ROWS)?.get(number % ROWS)
    }

    /// The rows in their order.
    pub fn iter(&self) -> Flatten<slice::Iter<'_, Vec<T>>> {
        self.pieces.iter().flatten()
    }

    /// The rows in their order, to be changed.
    pub fn iter_mut(&mut self) -> Flatten<slice::IterMut<'_, Vec<T>>> {
        self.pieces.iter_mut().flatten()
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Index<usize> for Table<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        &self.pieces[number / ROWS][number % ROWS]
    }
}

impl<T> IndexMut<usize> for Table<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        &mut self.pieces[number / ROWS][number % ROWS]
    }
}

impl<T> IntoIterator for Table<T> {
    type Item = T;
    type IntoIter = Flatten<vec::IntoIter<Vec<T>>>;

    /// The rows in their order. A piece is given back as soon as its rows are taken.
    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter().flatten()
    }
}

impl<'a, T> IntoIterator for &'a Table<T> {
    type Item = &'a T;
    type IntoIter = Flatten<slice::Iter<'a, Vec<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Table<T> {
    type Item = &'a mut T;
    type IntoIter = Flatten<slice::IterMut<'a, Vec<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T> Extend<T> for Table<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, rows: I) {
        rows.into_iter().for_each(|row| self.push(row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_numbers_over_the_ends_of_pieces() {
        for count in [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS] {
            let mut table = Table::new();
            table.extend(0..count);
            assert_eq!((table.len(), table.is_empty()), (count, count == 0));
            assert!(table.iter().copied().eq(0..count));
            assert!((0..count).all(|number| table[number] == number));
            assert_eq!(table.get(count), None);
            table.iter_mut().for_each(|row| *row += 1);
            assert!(table.into_iter().eq(1..=count));
        }
    }
}
