//! How much memory a hash table takes: it has a power of two of places with a byte beside each, and fills 7/8 of them.

use rustc_hash::FxHashMap;

/// How many entries a table may have that is to stay within so many bytes, whatever it grows by.
pub(super) const fn most_within<K, V>(bytes: usize) -> usize {
    let places = (bytes / place_bytes::<K, V>() + 1).next_power_of_two() / 2;
    places * 7 / 8
}

/// Bytes that a table takes, its empty places too.
pub(super) fn memory<K, V>(table: &FxHashMap<K, V>) -> usize {
    table.capacity() * place_bytes::<K, V>() * 8 / 7
}

const fn place_bytes<K, V>() -> usize {
    size_of::<(K, V)>() + 1
}
