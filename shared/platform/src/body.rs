//! A body as it comes, through one buffer that is used again for each piece, and for the bodies after
//! it. Left to itself the platform cuts a body into pieces of 4 KB, each a promise and an object that
//! somebody has to collect.

use js_sys::{Function, Reflect, Uint8Array};
use std::cell::Cell;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    ReadableStream, ReadableStreamByobReader, ReadableStreamGetReaderOptions,
    ReadableStreamReaderMode,
};
use worker::{Response, ResponseBody};

/// The buffer.
const PIECE: u32 = 512 * 1024;

/// That of a body of which only the first line is wanted so far: several may be waiting.
const FIRST_PIECE: u32 = 4 * 1024;

/// What is made room for at once, however much a body promises.
const ROOM: u32 = 8 * 1024 * 1024;

thread_local! {
    /// The buffer of a body that has ended, for the next one.
    static SPARE: Cell<Option<Uint8Array>> = const { Cell::new(None) };
}

/// What has come of a body, and where the rest comes from.
pub(crate) struct Body {
    bytes: Vec<u8>,
    /// What it promises to come to.
    length: u32,
    source: Option<Source>,
}

struct Source {
    reader: ReadableStreamByobReader,
    buffer: Uint8Array,
}

impl Body {
    pub(crate) fn of(response: &Response) -> Result<Self, JsValue> {
        let stream = match response.body() {
            ResponseBody::Stream(stream) => stream,
            ResponseBody::Body(bytes) => return Ok(Self::whole(bytes.clone())),
            ResponseBody::Empty => return Ok(Self::whole(Vec::new())),
        };
        let length = response.headers().get("content-length").ok().flatten();
        let length: Option<u32> = length.and_then(|length| length.parse().ok());
        Ok(Self {
            bytes: Vec::new(),
            length: length.unwrap_or(0),
            source: Some(Source::new(stream)),
        })
    }

    const fn whole(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            length: 0,
            source: None,
        }
    }

    /// The first line without its end; what has come after it stays. The whole body where it has no
    /// second one.
    pub(crate) async fn first_line(&mut self) -> Result<Vec<u8>, JsValue> {
        let end = loop {
            let end = self.bytes.iter().position(|byte| *byte == b'\n');
            if end.is_some() || !self.read_on(1).await? {
                break end;
            }
        };
        let line = self
            .bytes
            .drain(..end.unwrap_or(self.bytes.len()))
            .collect();
        self.bytes.drain(..end.map_or(0, |_| 1));
        Ok(line)
    }

    /// All the rest.
    pub(crate) async fn rest(mut self) -> Result<Vec<u8>, JsValue> {
        if let Some(source) = &mut self.source {
            source.widen();
            let room = self.length.min(ROOM) as usize;
            self.bytes
                .reserve_exact(room.saturating_sub(self.bytes.len()));
        }
        while self.read_on(PIECE).await? {}
        Ok(self.bytes)
    }

    /// Reads a piece of at least so many bytes if there are as many, and they fit into the buffer. Gives
    /// whether there may be more.
    async fn read_on(&mut self, at_least: u32) -> Result<bool, JsValue> {
        let Some(source) = &mut self.source else {
            return Ok(false);
        };
        let more = source.read_into(&mut self.bytes, at_least).await?;
        if !more && let Some(ended) = self.source.take() {
            ended.give_back();
        }
        Ok(more)
    }
}

impl Source {
    fn new(stream: &ReadableStream) -> Self {
        let options = ReadableStreamGetReaderOptions::new();
        options.set_mode(ReadableStreamReaderMode::Byob);
        Self {
            reader: stream.get_reader_with_options(&options).unchecked_into(),
            buffer: Uint8Array::new_with_length(FIRST_PIECE),
        }
    }

    fn widen(&mut self) {
        self.buffer = SPARE
            .take()
            .unwrap_or_else(|| Uint8Array::new_with_length(PIECE));
    }

    /// The stream may have kept the buffer with its last answer: then it has no length any more.
    fn give_back(self) {
        if self.buffer.length() == PIECE {
            SPARE.set(Some(self.buffer));
        }
    }

    /// A read takes the buffer away and gives it back with what has come.
    async fn read_into(&mut self, bytes: &mut Vec<u8>, at_least: u32) -> Result<bool, JsValue> {
        let at_least = at_least.min(self.buffer.length());
        let read: Function = Reflect::get(&self.reader, &"readAtLeast".into())?.unchecked_into();
        let reading = read.call2(&self.reader, &at_least.into(), &self.buffer)?;
        let result = JsFuture::from(js_sys::Promise::from(reading)).await?;
        let piece = Reflect::get(&result, &"value".into())?;
        if let Some(piece) = piece.dyn_ref::<Uint8Array>() {
            append(bytes, piece);
            self.buffer = Uint8Array::new(&piece.buffer());
        }
        Ok(Reflect::get(&result, &"done".into())?.is_falsy())
    }
}

fn append(bytes: &mut Vec<u8>, piece: &Uint8Array) {
    let start = bytes.len();
    bytes.resize(start + piece.length() as usize, 0);
    if let Some(place) = bytes.get_mut(start..) {
        piece.copy_to(place);
    }
}
