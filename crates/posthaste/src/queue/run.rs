//! Items as they were put into a stripe, and how those of several stripes come into one order.

use std::collections::VecDeque;

/// Items in the order in which they were added, in blocks whose numbers grow.
#[derive(Debug)]
pub(super) struct Run<T> {
    items: Vec<T>,
    /// Each block's number, and where it begins.
    begins: Vec<(u64, usize)>,
}

/// How much memory is taken at the start, and how much is kept once it is needed no longer, in items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) at_start: usize,
    pub(super) kept: usize,
}

impl<T> Run<T> {
    pub(super) fn new(memory: Memory) -> Self {
        Self { items: Vec::with_capacity(memory.at_start), begins: Vec::with_capacity(memory.at_start) }
    }

    /// What is pushed from here on belongs to this block.
    pub(super) fn begin(&mut self, block: u64) {
        self.begins.push((block, self.items.len()));
    }

    pub(super) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// It is empty, and its last block goes on.
    pub(super) fn continue_from(&mut self, other: &Self) {
        self.begins.extend(other.begins.last().map(|(number, _)| (*number, 0)));
    }

    fn clear(&mut self, memory: Memory) {
        debug_assert!(self.items.is_empty(), "everything has been taken out");
        self.begins.clear();
        self.items.shrink_to(memory.kept);
        self.begins.shrink_to(memory.kept);
    }
}

/// Moves everything to `line`, in the order of the blocks.
pub(super) fn merge<T>(runs: &mut [Run<T>], line: &mut VecDeque<Option<T>>, memory: Memory) {
    if let [run] = runs {
        line.extend(run.items.drain(..).map(Some));
        return run.clear(memory);
    }
    let mut pieces = pieces(runs);
    pieces.sort_unstable();
    let mut items: Vec<_> = runs.iter_mut().map(|run| run.items.drain(..)).collect();
    for (_, run, count) in pieces {
        if let Some(items) = items.get_mut(run) {
            line.extend(items.take(count).map(Some));
        }
    }
    drop(items);
    for run in runs {
        run.clear(memory);
    }
}

/// Each block's number, the run it is in, and how many items it has there.
fn pieces<T>(runs: &[Run<T>]) -> Vec<(u64, usize, usize)> {
    let of_run = |(at, run): (usize, &Run<T>)| {
        let ends = run.begins.iter().skip(1).map(|(_, begin)| *begin).chain([run.items.len()]);
        let piece = move |((number, begin), end): (&(u64, usize), usize)| (*number, at, end - begin);
        run.begins.iter().zip(ends).map(piece).collect::<Vec<_>>()
    };
    runs.iter().enumerate().flat_map(of_run).filter(|(_, _, count)| *count > 0).collect()
}
