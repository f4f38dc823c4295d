//! Merkle roots as charon hashes its files: SSZ, with the turns of the library that it uses
//! (fastssz v1.0.0). The two that surprise: [`Container::bytes`] of nothing adds no field at all,
//! so that those after it move up; and what is fixed in size is padded on the left.

use sha2::{Digest, Sha256};

/// A node of the tree.
pub type Root = [u8; 32];

/// The fields of a container, one chunk each.
#[derive(Clone, Debug, Default)]
pub struct Container(Vec<Root>);

impl Container {
    /// A field that has been hashed: a list, or a container within.
    pub fn root(&mut self, root: Root) {
        self.0.push(root);
    }

    /// A number.
    pub fn u64(&mut self, number: u64) {
        self.0.push(chunk(&number.to_le_bytes()));
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.0.push(chunk(&[u8::from(value)]));
    }

    /// Bytes of whatever length, which is not hashed. Of none, no field at all.
    pub fn bytes(&mut self, bytes: &[u8]) {
        match bytes.len() {
            0 => (),
            1..=32 => self.0.push(chunk(bytes)),
            _ => self.0.push(merkleize(chunks(bytes), bytes.len().div_ceil(32))),
        }
    }

    /// `N` bytes, zeros on the left of what is less.
    ///
    /// # Panics
    /// If there are more.
    pub fn fixed<const N: usize>(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= N, "{} bytes in a field of {N}", bytes.len());
        let mut padded = [0; N];
        padded[N - bytes.len()..].copy_from_slice(bytes);
        self.bytes(&padded);
    }

    /// A list of at most `limit` bytes.
    ///
    /// # Panics
    /// If there are more.
    pub fn byte_list(&mut self, bytes: &[u8], limit: usize) {
        assert!(bytes.len() <= limit, "{} bytes in a list of at most {limit}", bytes.len());
        let root = merkleize(chunks(bytes), limit.div_ceil(32));
        self.0.push(mix_in(root, bytes.len()));
    }

    /// The root of the container.
    #[must_use]
    pub fn finish(self) -> Root {
        let fields = self.0.len();
        merkleize(self.0, fields)
    }

    /// The root of the fields as a list of `count`, its limit too: as charon hashed lists up to
    /// v1.2.0. There may be fewer fields than `count`, see [`bytes`](Self::bytes).
    #[must_use]
    pub fn finish_list(self, count: usize) -> Root {
        mix_in(merkleize(self.0, count), count)
    }
}

/// A list of at most `limit` elements, given by their roots.
///
/// # Panics
/// If there are more.
#[must_use]
pub fn list(elements: Vec<Root>, limit: usize) -> Root {
    let count = elements.len();
    mix_in(merkleize(elements, limit), count)
}

/// A list of at most `limit` numbers.
///
/// # Panics
/// If there are more.
#[must_use]
pub fn u64_list(numbers: &[u64], limit: usize) -> Root {
    let bytes: Vec<_> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    mix_in(merkleize(chunks(&bytes), (8 * limit).div_ceil(32)), numbers.len())
}

/// The root of a tree over these chunks that has room for `limit`.
///
/// # Panics
/// If there are more than `limit`.
#[must_use]
pub fn merkleize(mut layer: Vec<Root>, limit: usize) -> Root {
    assert!(layer.len() <= limit, "{} chunks in a tree of {limit}", layer.len());
    let mut zero = [0; 32];
    for _ in 0..limit.max(1).next_power_of_two().ilog2() {
        if !layer.len().is_multiple_of(2) {
            layer.push(zero);
        }
        // In place: a parent stands before its children.
        for at in 0..layer.len() / 2 {
            layer[at] = parent(&layer[2 * at], &layer[2 * at + 1]);
        }
        layer.truncate(layer.len() / 2);
        zero = parent(&zero, &zero);
    }
    assert!(layer.len() <= 1, "a tree has one root");
    layer.first().copied().unwrap_or(zero)
}

fn mix_in(root: Root, length: usize) -> Root {
    parent(&root, &chunk(&(length as u64).to_le_bytes()))
}

fn parent(left: &Root, right: &Root) -> Root {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}

fn chunks(bytes: &[u8]) -> Vec<Root> {
    bytes.chunks(32).map(chunk).collect()
}

fn chunk(bytes: &[u8]) -> Root {
    let mut chunk = [0; 32];
    chunk[..bytes.len()].copy_from_slice(bytes);
    chunk
}

#[cfg(test)]
mod tests {
    use super::super::json::Hex;
    use super::*;

    fn byte_list(bytes: &[u8], limit: usize) -> Root {
        let mut container = Container::default();
        container.byte_list(bytes, limit);
        container.finish()
    }

    fn fixed(bytes: &[u8]) -> Root {
        let mut container = Container::default();
        container.fixed::<65>(bytes);
        container.finish()
    }

    #[test]
    fn the_roots_of_an_independent_implementation() {
        let signature = fixed(&[0x11; 65]);
        for (root, expected) in [
            (
                byte_list(b"", 256),
                "0xe8e527e84f666163a90ef900e013f56b0a4d020148b2224057b719f351b003a6",
            ),
            (
                byte_list(b"abc", 256),
                "0x81e735b9b9d9eea3edcf2b072b109b5b7701942a5f197ed7f8fd62a65872dd72",
            ),
            (
                byte_list(b"v1.10.0", 16),
                "0x80bca7c59a5de3a681d9c69cbd164d634061540db61592aab852d5fa0c59b562",
            ),
            (
                byte_list(b"", 32),
                "0xf5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b",
            ),
            (fixed(&[]), "0xdb56114e00fdd4c1f85c892bf35ac9a89289aaecb1ebd0a96cde606a748b5d71"),
            (signature, "0x2722c763965af3cd270adfba8f8a101c86d6a80b9199939f67380aadce5bf1b3"),
            (
                u64_list(&[], 256),
                "0xc9eece3e14d3c3db45c38bbf69a4cb7464981e2506d8424a0ba450dad9b9af30",
            ),
            (
                u64_list(&[32_000_000_000], 256),
                "0xe8bb1992b3f38a3d9ccc553ba9570183cc8e9f26428a153c5429930234b1d960",
            ),
            (
                list(vec![], 32),
                "0x52e2647abc3d0c9d3be0387f3f0d925422c7a4e98cf4489066f0f43281a899f3",
            ),
            (
                list(vec![signature], 32),
                "0x046e6cfbcd93b9e246a1a16f905ec13a322e2b8000678461a4ebc6d545ab17b4",
            ),
            (
                list(vec![signature; 2], 32),
                "0x16e75bc3d14d44f9a4d88838bbbf4208308fe1d89f40ba7adb47f1f884648a2e",
            ),
        ] {
            assert_eq!(Hex(&root).to_string(), expected);
        }
    }

    #[test]
    fn bytes_of_nothing_move_the_next_field_up() {
        let [mut with, mut without] = [Container::default(), Container::default()];
        with.bytes(b"");
        for container in [&mut with, &mut without] {
            container.u64(1);
            container.bytes(&[7; 33]);
        }
        assert_eq!(with.finish(), without.finish());
    }
}
