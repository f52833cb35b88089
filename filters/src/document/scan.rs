use super::{
    Document, Instance, InstanceId, LeafValue, NONE, WHOLE, index,
    marks::{Cursor, Marks},
    text::{decode, space_end},
};
use crate::{
    Number,
    decode::Decoded,
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
    marks: Marks,
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

impl Memory {
    pub(super) fn trim(&mut self, kept: usize) {
        self.marks.trim(kept);
        self.key.clear();
        self.key.shrink_to(kept);
    }
}

/// Reads a payload from its first byte to its last, and puts the leaves that rules read into `document`. What none reads is
/// only lexed. `None` where it cannot be JSON.
pub(super) fn scan(
    bytes: &[u8],
    decoded: Option<&Decoded>,
    paths: &Paths,
    document: &mut Document,
) -> Option<()> {
    if bytes.len() >= NONE as usize {
        return None;
    }
    let mut memory = std::mem::take(&mut document.scan);
    let mut marks = std::mem::take(&mut memory.marks);
    memory.frames.clear();
    if memory.seen.len() < paths.len() {
        memory.seen.resize(paths.len(), Seen::default());
    }
    let scanned = marks.find(bytes).then(|| {
        let mut scan = Scan {
            bytes,
            decoded,
            has_backslash: marks.has_backslash(),
            cursor: marks.cursor(),
            at: space_end(bytes, 0),
            paths,
            document,
            memory: &mut memory,
        };
        scan.whole()
    });
    memory.marks = marks;
    document.scan = memory;
    scanned?
}

struct Scan<'a> {
    bytes: &'a [u8],
    /// The decoder's word on these bytes, if they are a decoder's.
    decoded: Option<&'a Decoded>,
    has_backslash: bool,
    /// Before the first mark that was not passed.
    cursor: Cursor<'a>,
    /// Where the value begins that comes next, or behind the value that was last.
    at: usize,
    paths: &'a Paths,
    document: &'a mut Document,
    memory: &'a mut Memory,
}

impl Scan<'_> {
    fn whole(&mut self) -> Option<()> {
        self.value(DATA, WHOLE, false)?;
        while let Some(frame) = self.memory.frames.last().copied() {
            match frame.object {
                Some(object) => self.fields(frame, object)?,
                None => self.elements(frame)?,
            }
        }
        let is_whole =
            self.cursor.peek().is_none() && space_end(self.bytes, self.at) == self.bytes.len();
        is_whole.then_some(())
    }

    /// Reads fields until the object ends or one of them opens a container to read.
    fn fields(&mut self, frame: Frame, object: u64) -> Option<()> {
        let keys = self.paths.children(frame.path);
        let mut is_first = self.is_first(frame);
        loop {
            let Some(start) = self.next_key(is_first)? else {
                self.close();
                return Some(());
            };
            is_first = false;
            let end = self.cursor.next()?;
            let key = self.bytes.get(start + 1..end)?;
            let colon = space_end(self.bytes, end + 1);
            if *self.bytes.get(colon)? != b':' {
                return None;
            }
            self.at = space_end(self.bytes, colon + 1);
            let path = match self.has_backslash && key.contains(&b'\\') {
                false => keys.find(key),
                true => self.escaped_child(frame.path, key)?,
            };
            let Some(path) = path else {
                self.skip()?;
                continue;
            };
            self.see(path, object);
            if self.value(path, frame.instance, true)? {
                return Some(());
            }
            self.saw(path);
        }
    }

    /// Where the next key begins; none at the end of the object.
    #[inline]
    fn next_key(&mut self, is_first: bool) -> Option<Option<usize>> {
        let mark = self.cursor.next()?;
        match *self.bytes.get(mark)? {
            b'"' if is_first => Some(Some(mark)),
            b',' if !is_first => {
                let key = self.cursor.next()?;
                (self.bytes.get(key) == Some(&b'"')).then_some(Some(key))
            }
            b'}' => {
                self.at = mark + 1;
                Some(None)
            }
            _ => None,
        }
    }

    fn escaped_child(&mut self, parent: PathId, key: &[u8]) -> Option<Option<PathId>> {
        let decoded = &mut self.memory.key;
        decoded.clear();
        decode(key, decoded)?;
        Some(self.paths.child(parent, decoded))
    }

    /// Reads elements until the array ends or one of them opens a container to read.
    fn elements(&mut self, frame: Frame) -> Option<()> {
        if self.is_first(frame) {
            self.at = space_end(self.bytes, self.at);
            if *self.bytes.get(self.at)? == b']' {
                self.at = self.cursor.next()? + 1;
                self.close();
                return Some(());
            }
        } else if !self.next_element()? {
            return Some(());
        }
        loop {
            if self.value(frame.path, frame.instance, false)? || !self.next_element()? {
                return Some(());
            }
        }
    }

    /// Goes to the next element; false where the array ends.
    fn next_element(&mut self) -> Option<bool> {
        let mark = self.cursor.next()?;
        self.at = mark + 1;
        match *self.bytes.get(mark)? {
            b',' => {
                self.at = space_end(self.bytes, self.at);
                Some(true)
            }
            b']' => {
                self.close();
                Some(false)
            }
            _ => None,
        }
    }

    /// Whether nothing of the innermost container was read before.
    fn is_first(&mut self, frame: Frame) -> bool {
        if frame.is_fresh
            && let Some(innermost) = self.memory.frames.last_mut()
        {
            innermost.is_fresh = false;
        }
        frame.is_fresh
    }

    fn close(&mut self) {
        if let Some(closed) = self.memory.frames.pop()
            && closed.is_field
        {
            self.saw(closed.path);
        }
    }

    /// Takes the value at `path`: true if it is a container that was opened.
    fn value(&mut self, path: PathId, instance: InstanceId, is_field: bool) -> Option<bool> {
        match *self.bytes.get(self.at)? {
            b'{' if self.paths.has_children(path) => {
                let instance = if is_field || self.memory.frames.is_empty() {
                    instance
                } else {
                    self.instance(instance, path)
                };
                self.memory.objects += 1;
                let object = self.memory.objects;
                self.open(path, instance, Some(object), is_field)
            }
            b'[' => self.open(path, instance, None, is_field),
            b'{' => self.skip().map(|()| false),
            _ if !self.paths.is_read(path) => self.skip().map(|()| false),
            first => {
                let value = self.scalar(first)?;
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
        self.at = self.cursor.next()? + 1;
        let frames = &mut self.memory.frames;
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
        if first == b'"' {
            self.cursor.next()?;
            let end = self.cursor.next()?;
            self.at = end + 1;
            let text = self.bytes.get(start + 1..end)?;
            if !self.has_backslash || !text.contains(&b'\\') {
                let text = (index(start + 1), index(end));
                let number = self.decoded.and_then(|it| it.number_at(start));
                return Some(match number {
                    Some(number) => self.document.named(text, number),
                    None => LeafValue::Payload(text.0, text.1),
                });
            }
            let decoded = &mut self.document.decoded;
            let begin = index(decoded.len());
            decode(text, decoded)?;
            return Some(LeafValue::Decoded(begin, index(decoded.len())));
        }
        self.at = self.cursor.peek().unwrap_or(self.bytes.len());
        match self.bytes.get(start..self.at)?.trim_ascii_end() {
            b"true" => Some(LeafValue::Boolean(true)),
            b"false" => Some(LeafValue::Boolean(false)),
            b"null" => Some(LeafValue::Null),
            digits => Some(self.document.number(Number::parse_bytes(digits)?)),
        }
    }

    /// Past a value that nobody reads: up to the mark behind it.
    #[inline]
    fn skip(&mut self) -> Option<()> {
        match *self.bytes.get(self.at)? {
            b'"' => {
                self.cursor.next()?;
                self.at = self.cursor.next()? + 1;
            }
            b'{' | b'[' => self.skip_container()?,
            b',' | b':' | b'}' | b']' => return None,
            _ => self.at = self.cursor.peek().unwrap_or(self.bytes.len()),
        }
        Some(())
    }

    fn skip_container(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            let at = self.cursor.next()?;
            match *self.bytes.get(at)? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ => continue,
            }
            if depth == 0 {
                self.at = at + 1;
                return Some(());
            }
        }
    }

    /// The field of `path` begins in `object`: what an earlier one with this key gave there does not count.
    fn see(&mut self, path: PathId, object: u64) {
        let now = self.now();
        let Document {
            leaves, instances, ..
        } = &mut *self.document;
        let Some(seen) = self.memory.seen.get_mut(path as usize) else {
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
        if let Some(seen) = self.memory.seen.get_mut(path as usize) {
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
}

fn range_mut<T>(list: &mut [T], (start, end): (u32, u32)) -> &mut [T] {
    list.get_mut(start as usize..end as usize)
        .unwrap_or_default()
}
