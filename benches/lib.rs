//! What the benches share: the keys, in the order in which clients come.

/// The scope of every request, 20 bytes.
pub const SCOPE: &str = "POST /v1/payments/eu";

/// Keys of 36 bytes, shaped like UUIDs, and all distinct.
pub fn keys(count: usize) -> Vec<[u8; 36]> {
    (0..count as u64).map(key).collect()
}

fn key(n: u64) -> [u8; 36] {
    let (high, low) = (mix(n), mix(n ^ 0x5555_5555_5555_5555));
    let text = format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFF,
        low >> 52,
        low & 0xFFFF_FFFF_FFFF
    );
    let mut key = [0; 36];
    key.copy_from_slice(text.as_bytes());
    key
}

/// The same keys in another order, which no cache line or allocator foresees.
pub fn shuffled(keys: &[[u8; 36]]) -> Vec<[u8; 36]> {
    let mut keys = keys.to_vec();
    for i in (1..keys.len()).rev() {
        keys.swap(i, (mix(i as u64) % (i as u64 + 1)) as usize);
    }
    keys
}

/// A step of splitmix64.
pub fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
