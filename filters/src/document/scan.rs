use super::{
    Document, Instance, InstanceId, LeafValue, NONE, WHOLE, index,
    text::{decode, space_end, text_end, value_end},
};
use crate::{
    Number,
    paths::{DATA, PathId, Paths},
};

/// Containers inside each other that are read; serde_json takes no more.
const MAX_DEPTH: usize = 128;

/// What the scan of one payload needs besides the leaves that it finds.
#[derive(Debug, Default)]
pub(super) struct Memory {
    frames: Vec<Frame>,
    /// By path: the object in which its key was last seen, and what that field gave.
    seen: Vec<Seen>,
    /// Objects of all events; never repeats.
    objects: u64,
    key: Vec<u8>,
}

/// A container that is open.
#[derive(Clone, Copy, Debug)]
struct Frame {
    path: PathId,
    instance: InstanceId,
    /// The number of an object; none for an array.
    object: Option<u64>,
    /// Whether it is the value of a field, not an element.
    is_field: bool,
    is_fresh: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    object: u64,
    leaves: (u32, u32),
    instances: (u32, u32),
}

/// Reads a payload once, from its first byte to its last, and puts the leaves that rules read into `document`. What none
/// reads is only lexed. `None` where it cannot be JSON.
pub(super) fn scan(bytes: &[u8], paths: &Paths, document: &mut Document) -> Option<()> {
    if bytes.len() >= NONE as usize {
        return None;
    }
    let memory = &mut document.scan;
    memory.frames.clear();
    if memory.seen.len() < paths.len() {
        memory.seen.resize(paths.len(), Seen::default());
    }
    let mut scan = Scan {
        bytes,
        at: 0,
        paths,
        document,
    };
    scan.space();
    scan.value(DATA, WHOLE, false)?;
    while let Some(frame) = scan.document.scan.frames.last().copied() {
        match frame.object {
            Some(object) => scan.fields(frame, object)?,
            None => scan.elements(frame)?,
        }
    }
    scan.space();
    (scan.at == bytes.len()).then_some(())
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    paths: &'a Paths,
    document: &'a mut Document,
}

impl Scan<'_> {
    /// Reads fields until the object ends or one of them opens a container to read.
    fn fields(&mut self, frame: Frame, object: u64) -> Option<()> {
        if !self.resume(frame, b'}')? {
            return Some(());
        }
        let bytes = self.bytes;
        let mut at = self.at;
        loop {
            if *bytes.get(at)? != b'"' {
                return None;
            }
            let (end, escaped) = text_end(bytes, at + 1)?;
            let key = bytes.get(at + 1..end)?;
            at = space_end(bytes, end + 1);
            if *bytes.get(at)? != b':' {
                return None;
            }
            at = space_end(bytes, at + 1);
            let path = match escaped {
                false => self.paths.child(frame.path, key),
                true => self.escaped_child(frame.path, key)?,
            };
            match path {
                None => at = value_end(bytes, at)?,
                Some(path) => {
                    self.at = at;
                    self.see(path, object);
                    if self.value(path, frame.instance, true)? {
                        return Some(());
                    }
                    self.saw(path);
                    at = self.at;
                }
            }
            at = space_end(bytes, at);
            match *bytes.get(at)? {
                b',' => at = space_end(bytes, at + 1),
                b'}' => {
                    self.at = at;
                    self.close();
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn escaped_child(&mut self, parent: PathId, key: &[u8]) -> Option<Option<PathId>> {
        let decoded = &mut self.document.scan.key;
        decoded.clear();
        decode(key, decoded)?;
        Some(self.paths.child(parent, decoded))
    }

    /// Reads elements until the array ends or one of them opens a container to read.
    fn elements(&mut self, frame: Frame) -> Option<()> {
        if !self.resume(frame, b']')? {
            return Some(());
        }
        loop {
            if self.value(frame.path, frame.instance, false)? {
                return Some(());
            }
            if !self.goes_on(b']')? {
                return Some(());
            }
        }
    }

    /// Goes to the next field or element of the innermost container: its first one, or the one behind what was read last.
    /// False where there is none.
    fn resume(&mut self, frame: Frame, end: u8) -> Option<bool> {
        if !frame.is_fresh {
            return self.goes_on(end);
        }
        self.document.scan.frames.last_mut()?.is_fresh = false;
        self.space();
        if self.peek()? == end {
            self.close();
            return Some(false);
        }
        Some(true)
    }

    /// Past the comma, or past the end of the container, which closes it.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        self.space();
        match self.peek()? {
            b',' => {
                self.at += 1;
                self.space();
                Some(true)
            }
            byte if byte == end => {
                self.close();
                Some(false)
            }
            _ => None,
        }
    }

    fn close(&mut self) {
        self.at += 1;
        if let Some(closed) = self.document.scan.frames.pop()
            && closed.is_field
        {
            self.saw(closed.path);
        }
    }

    /// Takes the value at `path`: true if it is a container that was opened.
    fn value(&mut self, path: PathId, instance: InstanceId, is_field: bool) -> Option<bool> {
        match self.peek()? {
            b'{' if self.paths.has_children(path) => {
                let instance = if is_field || self.document.scan.frames.is_empty() {
                    instance
                } else {
                    self.instance(instance, path)
                };
                self.document.scan.objects += 1;
                let object = self.document.scan.objects;
                self.open(path, instance, Some(object), is_field)
            }
            b'[' => self.open(path, instance, None, is_field),
            _ if !self.paths.is_read(path) => self.skip().map(|()| false),
            b'{' => self.skip().map(|()| false),
            byte => {
                let value = self.scalar(byte)?;
                self.document.push(path, instance, value);
                Some(false)
            }
        }
    }

    fn open(
        &mut self,
        path: PathId,
        instance: InstanceId,
        object: Option<u64>,
        is_field: bool,
    ) -> Option<bool> {
        self.at += 1;
        let frames = &mut self.document.scan.frames;
        if frames.len() >= MAX_DEPTH {
            return None;
        }
        frames.push(Frame {
            path,
            instance,
            object,
            is_field,
            is_fresh: true,
        });
        Some(true)
    }

    fn instance(&mut self, parent: InstanceId, path: PathId) -> InstanceId {
        let instances = &mut self.document.instances;
        instances.push(Instance {
            parent,
            path,
            is_dead: false,
        });
        index(instances.len() - 1)
    }

    fn scalar(&mut self, first: u8) -> Option<LeafValue> {
        let start = self.at;
        match first {
            b'"' => {
                let (end, escaped) = text_end(self.bytes, start + 1)?;
                self.at = end + 1;
                if !escaped {
                    return Some(LeafValue::Payload(index(start + 1), index(end)));
                }
                let decoded = &mut self.document.decoded;
                let begin = index(decoded.len());
                decode(self.bytes.get(start + 1..end)?, decoded)?;
                Some(LeafValue::Decoded(begin, index(decoded.len())))
            }
            _ => {
                self.word();
                match self.bytes.get(start..self.at)? {
                    b"true" => Some(LeafValue::Boolean(true)),
                    b"false" => Some(LeafValue::Boolean(false)),
                    b"null" => Some(LeafValue::Null),
                    digits => Some(self.document.number(Number::parse_bytes(digits)?)),
                }
            }
        }
    }

    /// Past a value that nobody reads.
    fn skip(&mut self) -> Option<()> {
        self.at = value_end(self.bytes, self.at)?;
        Some(())
    }

    /// Past a number, `true`, `false` or `null`.
    fn word(&mut self) {
        while let Some(b'0'..=b'9' | b'.' | b'-' | b'+' | b'a'..=b'z' | b'A'..=b'Z') =
            self.bytes.get(self.at)
        {
            self.at += 1;
        }
    }

    /// The field of `path` begins in `object`: what an earlier one with this key gave there does not count.
    fn see(&mut self, path: PathId, object: u64) {
        let now = self.now();
        let Document {
            scan,
            leaves,
            instances,
            ..
        } = &mut *self.document;
        let Some(seen) = scan.seen.get_mut(path as usize) else {
            return;
        };
        if seen.object == object {
            for leaf in range_mut(leaves, seen.leaves) {
                leaf.value = LeafValue::Dead;
            }
            for instance in range_mut(instances, seen.instances) {
                instance.is_dead = true;
            }
        }
        *seen = Seen {
            object,
            leaves: (now.0, now.0),
            instances: (now.1, now.1),
        };
    }

    /// The field of `path` ends.
    fn saw(&mut self, path: PathId) {
        let now = self.now();
        if let Some(seen) = self.document.scan.seen.get_mut(path as usize) {
            seen.leaves.1 = now.0;
            seen.instances.1 = now.1;
        }
    }

    /// How many leaves and instances there are.
    fn now(&self) -> (u32, u32) {
        (
            index(self.document.leaves.len()),
            index(self.document.instances.len()),
        )
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        self.at = space_end(self.bytes, self.at);
    }
}

fn range_mut<T>(list: &mut [T], (start, end): (u32, u32)) -> &mut [T] {
    list.get_mut(start as usize..end as usize)
        .unwrap_or_default()
}
