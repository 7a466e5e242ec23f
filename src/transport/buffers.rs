//! ureq's buffers of one connection. ureq has some of its own, but clears them with a loop over bytes
//! where it is built for size, which took longer than the rest of a request.

use std::fmt;
use std::io;
use ureq::unversioned::transport::Buffers;

/// A request and an answer's head fit, and a stream's events come in small pieces.
pub(super) const SIZE: usize = 16 * 1024;

/// What is said of an answer that has one line, or one chunk's head, of more than [`SIZE`].
pub(super) fn too_long() -> io::Error {
    let text = format!("a part of the answer is longer than {SIZE} bytes");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

pub(super) struct ConnectionBuffers {
    /// What has come and was not taken stands in `taken..filled`.
    input: Vec<u8>,
    taken: usize,
    filled: usize,
    output: Vec<u8>,
    /// The last look at the input took something: it may hold more that can be used.
    progress: bool,
}

impl ConnectionBuffers {
    pub(super) fn new() -> ConnectionBuffers {
        ConnectionBuffers {
            input: vec![0; SIZE],
            taken: 0,
            filled: 0,
            output: vec![0; SIZE],
            progress: false,
        }
    }

    /// Moves what was not taken to the front.
    fn make_room(&mut self) {
        self.input.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
    }
}

impl Buffers for ConnectionBuffers {
    fn output(&mut self) -> &mut [u8] {
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.taken..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.make_room();
        &mut self.input[self.filled..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.taken += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.make_room();
        (&mut self.input[self.filled..], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.progress && self.taken < self.filled
    }
}

impl fmt::Debug for ConnectionBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionBuffers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn come(buffers: &mut ConnectionBuffers, bytes: &[u8]) {
        buffers.input_append_buf()[..bytes.len()].copy_from_slice(bytes);
        buffers.input_appended(bytes.len());
    }

    #[test]
    fn what_was_not_taken_stays_in_front_of_what_comes() {
        let mut buffers = ConnectionBuffers::new();
        come(&mut buffers, b"head body");
        buffers.input_consume(5);
        assert_eq!(buffers.input(), b"body");
        come(&mut buffers, b" and more");
        assert_eq!(buffers.input(), b"body and more");
    }

    #[test]
    fn what_was_taken_makes_room() {
        let mut buffers = ConnectionBuffers::new();
        for _ in 0..3 {
            come(&mut buffers, &[b'x'; SIZE]);
            assert_eq!(buffers.input_append_buf(), b"");
            buffers.input_consume(SIZE);
            assert_eq!(buffers.tmp_and_output().0.len(), SIZE);
        }
    }

    #[test]
    fn input_can_be_used_again_only_if_the_last_look_took_something() {
        let mut buffers = ConnectionBuffers::new();
        come(&mut buffers, b"half a line");
        assert!(!buffers.can_use_input(), "nobody has looked yet");
        buffers.input_consume(5);
        assert!(buffers.can_use_input());
        buffers.input_consume(0);
        assert!(!buffers.can_use_input(), "it takes more to go on");
        buffers.input_consume(6);
        assert!(!buffers.can_use_input(), "nothing is left");
    }
}
