//! Reading lists of steps from bytes, so that seeds can be written by hand: a letter says what
//! happens, the digits behind it with what. Any other byte stands for something too.

use serde_json::value::RawValue;

/// What is left of the bytes. Beyond their end there are zeros.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// Which of these letters comes; any other byte is one of them as well.
    pub fn letter(&mut self, letters: &[u8]) -> u8 {
        let byte = self.byte();
        if letters.contains(&byte) { byte } else { letters[usize::from(byte) % letters.len()] }
    }

    /// A number below `end`, at most 16: the digits stand for themselves.
    pub fn below(&mut self, end: u8) -> u8 {
        (self.byte() & 0x0F) % end
    }

    /// Two bytes, from 0 to 65 535.
    pub fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }
}

/// The bytes as lines of text, if they are text.
pub fn lines(bytes: &[u8]) -> Option<std::str::Split<'_, char>> {
    Some(std::str::from_utf8(bytes).ok()?.split('\n'))
}

/// Whether a text is JSON, whatever its strings and numbers stand for.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}
