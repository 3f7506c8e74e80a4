//! The few pieces of the protobuf wire format that the trace needs.

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A whole number, wire type 0.
    pub(super) fn number(&mut self, field: u32, value: u64) -> &mut Self {
        self.tag(field, 0);
        self.varint(value);
        self
    }

    /// A text, wire type 2.
    pub(super) fn text(&mut self, field: u32, value: &str) -> &mut Self {
        self.lengthy(field, value.as_bytes());
        self
    }

    /// An inner message, wire type 2.
    pub(super) fn message(&mut self, field: u32, value: &Message) -> &mut Self {
        self.lengthy(field, &value.bytes);
        self
    }

    /// The fields of another message, after those that are here.
    pub(super) fn append(&mut self, fields: &Message) -> &mut Self {
        self.bytes.extend_from_slice(&fields.bytes);
        self
    }

    /// The encoded bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets everything, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    fn lengthy(&mut self, field: u32, value: &[u8]) {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    fn tag(&mut self, field: u32, wire_type: u64) {
        self.varint(u64::from(field) << 3 | wire_type);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    /// The examples of the format's own documentation: 150 in field 1, "testing" in field 2.
    #[test]
    fn the_documented_examples() {
        let mut one = Message::default();
        one.number(1, 150);
        assert_eq!(one.bytes(), [0x08, 0x96, 0x01]);
        let mut two = Message::default();
        two.text(2, "testing");
        assert_eq!(two.bytes(), b"\x12\x07testing");
        let mut outer = Message::default();
        outer.message(3, &one);
        assert_eq!(outer.bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        outer.clear();
        outer.number(1, u64::MAX);
        assert_eq!(outer.bytes().len(), 11);
    }
}
