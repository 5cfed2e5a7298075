//! The C interface of libchdb.
//!
//! What comes out is safe to use: a [`Library`] that stays loaded for the life of the process, a [`Connection`]
//! that closes itself and runs one statement at a time (`&mut self`), and an [`InsertStream`] that owns its
//! connection, so that no statement can be run on it while the insert is open. Nothing here blocks an async worker
//! by itself, but every call blocks its thread: callers run on blocking threads.
#![expect(unsafe_code, reason = "libchdb is a C library: this module is where its calls are made safe")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::{self, NonNull};
use std::slice;

use super::{Class, Outcome, Parameter, Statistics};
use crate::exception::Exception;

type RawResult = *mut c_void;
type RawConnection = *mut c_void;
type RawInsert = *mut c_void;

/// The analysis that `chdb_classify_query_n` fills in; the caller states its size.
#[repr(C)]
struct RawAnalysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    class: u32,
}

/// Why the library could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not there, is no library for this machine, or lacks a function.
    #[error("cannot load the ClickHouse library {path}")]
    Library {
        /// Where it was looked for.
        path: String,
        /// What the loader said.
        source: libloading::Error,
    },
    /// A connection argument holds a NUL byte.
    #[error("connection argument {0:?} holds a NUL byte")]
    Argument(String),
    /// The engine did not open; it says why only in its own log.
    #[error("the engine refused to open {0}")]
    Refused(String),
}

macro_rules! symbols {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions, looked up once. They are valid as long as the library is loaded, which is for ever.
        struct Symbols { $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }

        impl Symbols {
            fn load(library: &libloading::Library) -> Result<Self, libloading::Error> {
                Ok(Self {
                    $(
                        // SAFETY: the type is that of the declaration in chdb.h 26.7.3, restated in `symbols!`.
                        $name: unsafe { *library.get(concat!(stringify!($name), "\0"))? },
                    )*
                })
            }
        }
    };
}

symbols! {
    chdb_version: fn() -> *const c_char;
    chdb_set_signal_handlers_enabled: fn(c_int);
    chdb_shutdown: fn() -> c_int;
    chdb_connect: fn(c_int, *mut *mut c_char) -> *mut RawConnection;
    chdb_close_conn: fn(*mut RawConnection);
    chdb_classify_query_n: fn(RawConnection, *const c_char, usize, *const c_char, usize, *mut RawAnalysis) -> c_int;
    chdb_query_with_params_n: fn(RawConnection, *const c_char, usize, *const c_char, usize, *const *const c_char, *const usize, *const *const c_char, *const usize, usize) -> RawResult;
    chdb_stream_insert_with_params_n: fn(RawConnection, *const c_char, usize, *const c_char, usize, *const *const c_char, *const usize, *const *const c_char, *const usize, usize) -> RawInsert;
    chdb_stream_append: fn(RawInsert, *const c_void, usize) -> c_int;
    chdb_stream_done: fn(RawInsert) -> RawResult;
    chdb_stream_cancel_insert: fn(RawInsert);
    chdb_stream_insert_error: fn(RawInsert) -> *const c_char;
    chdb_destroy_insert_stream: fn(RawInsert);
    chdb_destroy_query_result: fn(RawResult);
    chdb_result_buffer: fn(RawResult) -> *const c_char;
    chdb_result_length: fn(RawResult) -> usize;
    chdb_result_error: fn(RawResult) -> *const c_char;
    chdb_result_rows_read: fn(RawResult) -> u64;
    chdb_result_storage_rows_read: fn(RawResult) -> u64;
    chdb_result_storage_bytes_read: fn(RawResult) -> u64;
    chdb_result_rows_written: fn(RawResult) -> u64;
    chdb_result_bytes_written: fn(RawResult) -> u64;
}

/// The loaded library. It is never unloaded: the engine leaves threads running.
pub struct Library {
    symbols: Symbols,
}

impl Library {
    /// Loads the library for the rest of the process and turns its signal handlers off.
    pub fn load(path: &Path) -> Result<&'static Self, LoadError> {
        let failed = |source| LoadError::Library { path: path.display().to_string(), source };
        // SAFETY: loading runs the library's initialisers; libchdb is built to be loaded this way, and the file is
        // the one the operator named.
        let library = Box::leak(Box::new(unsafe { libloading::Library::new(path) }.map_err(failed)?));
        let symbols = Symbols::load(library).map_err(failed)?;
        // SAFETY: takes a flag, touches process-wide state that only the library reads; no connection is open yet.
        unsafe { (symbols.chdb_set_signal_handlers_enabled)(0) };
        Ok(Box::leak(Box::new(Self { symbols })))
    }

    /// The library's own version, such as `26.7.3`.
    #[must_use]
    pub fn version(&self) -> String {
        // SAFETY: returns a NUL-terminated static string.
        unsafe { text((self.symbols.chdb_version)()) }.unwrap_or_default()
    }

    /// Opens a connection. `arguments` are those of the command line of `clickhouse-local` (`--path=DIR`, settings).
    pub fn connect(&'static self, arguments: &[String]) -> Result<Connection, LoadError> {
        let owned: Vec<CString> = std::iter::once("clickhouse")
            .chain(arguments.iter().map(String::as_str))
            .map(|argument| CString::new(argument).map_err(|_| LoadError::Argument(argument.to_owned())))
            .collect::<Result<_, _>>()?;
        let mut raw: Vec<*mut c_char> = owned.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(raw.len()).map_err(|_| LoadError::Argument("too many".to_owned()))?;
        // SAFETY: `raw` holds `count` NUL-terminated strings that outlive the call; the library copies them.
        let handle = unsafe { (self.symbols.chdb_connect)(count, raw.as_mut_ptr()) };
        match NonNull::new(handle) {
            // SAFETY: a non-null return points at the connection handle.
            Some(handle) if unsafe { !(*handle.as_ptr()).is_null() } => {
                Ok(Connection { library: self, handle })
            }
            Some(_) | None => Err(LoadError::Refused(arguments.join(" "))),
        }
    }

    /// Stops the engine's threads, once every connection is closed. False if something is still running.
    #[must_use]
    pub fn shut_down(&self) -> bool {
        // SAFETY: takes nothing, and refuses by itself while a connection is open.
        unsafe { (self.symbols.chdb_shutdown)() == 0 }
    }

    /// Takes what a finished call returned, and frees it.
    fn take(&self, raw: RawResult) -> Result<Outcome, Exception> {
        if raw.is_null() {
            return Err(Exception::from_engine("the engine gave no result"));
        }
        let s = &self.symbols;
        // SAFETY: `raw` is a live result of this library, owned by us and freed at the end of this block; the
        // error and the buffer are copied before that. The buffer holds `length` bytes when length is not 0.
        unsafe {
            let outcome = if let Some(error) = text((s.chdb_result_error)(raw)) {
                Err(Exception::from_engine(&error))
            } else {
                let length = (s.chdb_result_length)(raw);
                let buffer = (s.chdb_result_buffer)(raw).cast::<u8>();
                let empty = length == 0 || buffer.is_null();
                Ok(Outcome {
                    data: if empty { Vec::new() } else { slice::from_raw_parts(buffer, length).to_vec() },
                    statistics: Statistics {
                        result_rows: (s.chdb_result_rows_read)(raw),
                        read_rows: (s.chdb_result_storage_rows_read)(raw),
                        read_bytes: (s.chdb_result_storage_bytes_read)(raw),
                        written_rows: (s.chdb_result_rows_written)(raw),
                        written_bytes: (s.chdb_result_bytes_written)(raw),
                    },
                })
            };
            (s.chdb_destroy_query_result)(raw);
            outcome
        }
    }
}

/// One connection to the engine: its own settings, current database and temporary tables.
pub struct Connection {
    library: &'static Library,
    handle: NonNull<RawConnection>,
}

// SAFETY: the library binds a connection to no thread (it attaches the calling thread for each call and takes a
// lock inside); `&mut self` keeps calls one at a time, so moving it between threads is sound.
unsafe impl Send for Connection {}

impl Connection {
    /// Runs one statement and gives its whole result.
    pub fn query(
        &mut self,
        sql: &[u8],
        format: &str,
        parameters: &[Parameter],
    ) -> Result<Outcome, Exception> {
        let bound = Bound::new(parameters);
        // SAFETY: every pointer comes with its length and outlives the call; the handle is open.
        let raw = unsafe {
            (self.library.symbols.chdb_query_with_params_n)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                bound.names.as_ptr(),
                bound.name_lengths.as_ptr(),
                bound.values.as_ptr(),
                bound.value_lengths.as_ptr(),
                bound.names.len(),
            )
        };
        self.library.take(raw)
    }

    /// What the engine's own parser makes of a text: how many statements, and of which class. Runs nothing.
    #[must_use]
    pub fn classify(&mut self, sql: &[u8]) -> (u32, Class) {
        let size = u32::try_from(size_of::<RawAnalysis>()).unwrap_or(16);
        let mut analysis = RawAnalysis { struct_size: size, statement_count: 0, flags: 0, class: 4 };
        // SAFETY: the text comes with its length; a null database means "no database to compare with"; the struct
        // states its own size, and the library fills no more than that.
        let state = unsafe {
            (self.library.symbols.chdb_classify_query_n)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                ptr::null(),
                0,
                &raw mut analysis,
            )
        };
        if state != 0 {
            return (0, Class::Unknown);
        }
        (analysis.statement_count, Class::from_raw(analysis.class))
    }

    /// Opens a streaming insert. The statement names no format and holds no data.
    pub fn begin_insert(
        self,
        sql: &[u8],
        format: &str,
        parameters: &[Parameter],
    ) -> Result<InsertStream, (Self, Exception)> {
        let bound = Bound::new(parameters);
        // SAFETY: as in `query`; the handle that comes back is never null and is freed by `InsertStream`.
        let raw = unsafe {
            (self.library.symbols.chdb_stream_insert_with_params_n)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                bound.names.as_ptr(),
                bound.name_lengths.as_ptr(),
                bound.values.as_ptr(),
                bound.value_lengths.as_ptr(),
                bound.names.len(),
            )
        };
        let stream = InsertStream { connection: Some(self), raw, finished: false };
        match stream.error() {
            None => Ok(stream),
            Some(error) => Err((stream.abandon(), error)),
        }
    }

    fn raw(&self) -> RawConnection {
        // SAFETY: the handle was checked when it was opened and is closed only by `Drop`.
        unsafe { *self.handle.as_ptr() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: opened by `connect`, closed once, and nothing uses it afterwards.
        unsafe { (self.library.symbols.chdb_close_conn)(self.handle.as_ptr()) };
    }
}

/// An open streaming insert. It holds its connection: there is no way to run a statement on it meanwhile.
pub struct InsertStream {
    connection: Option<Connection>,
    raw: RawInsert,
    finished: bool,
}

// SAFETY: as for `Connection`, which it owns; its calls take `&mut self` or `self`.
unsafe impl Send for InsertStream {}

impl InsertStream {
    /// Hands over the next bytes of data; blocks while the engine is behind. False means that the insert has
    /// failed and takes no more: `finish` says why.
    #[must_use]
    pub fn append(&mut self, data: &[u8]) -> bool {
        let Some(library) = self.library() else {
            return false;
        };
        // SAFETY: the stream is open; the library copies the bytes before it returns.
        unsafe { (library.symbols.chdb_stream_append)(self.raw, data.as_ptr().cast(), data.len()) == 0 }
    }

    /// Says that the data is complete, commits, and gives the connection back.
    pub fn finish(mut self) -> (Option<Connection>, Result<Outcome, Exception>) {
        let outcome = match self.library() {
            None => Err(Exception::from_engine("the insert is closed")),
            Some(library) => {
                // SAFETY: the stream is open; the result that comes back is ours to free, which `take` does.
                library.take(unsafe { (library.symbols.chdb_stream_done)(self.raw) })
            }
        };
        self.finished = true;
        (self.release(), outcome)
    }

    /// Gives up: what the engine has not flushed yet is not stored.
    #[must_use]
    pub fn cancel(mut self) -> Option<Connection> {
        self.release()
    }

    /// Gives up an insert that never opened.
    fn abandon(mut self) -> Connection {
        self.release().expect("an insert that was never finished holds its connection")
    }

    fn library(&self) -> Option<&'static Library> {
        self.connection.as_ref().map(|connection| connection.library)
    }

    fn error(&self) -> Option<Exception> {
        let library = self.library()?;
        // SAFETY: the stream is open, and the text it returns lives as long as the stream; it is copied here.
        unsafe { text((library.symbols.chdb_stream_insert_error)(self.raw)) }
            .map(|error| Exception::from_engine(&error))
    }

    fn release(&mut self) -> Option<Connection> {
        let connection = self.connection.take()?;
        let s = &connection.library.symbols;
        // SAFETY: the stream was opened on this connection, which is still open; it is destroyed once, because the
        // connection can be taken only once.
        unsafe {
            if !self.finished {
                (s.chdb_stream_cancel_insert)(self.raw);
            }
            (s.chdb_destroy_insert_stream)(self.raw);
        }
        Some(connection)
    }
}

impl Drop for InsertStream {
    fn drop(&mut self) {
        drop(self.release());
    }
}

/// Parameters as the parallel arrays that the library takes. It borrows what it points at.
struct Bound<'a> {
    names: Vec<*const c_char>,
    name_lengths: Vec<usize>,
    values: Vec<*const c_char>,
    value_lengths: Vec<usize>,
    _parameters: std::marker::PhantomData<&'a [Parameter]>,
}

impl<'a> Bound<'a> {
    fn new(parameters: &'a [Parameter]) -> Self {
        Self {
            names: parameters.iter().map(|parameter| parameter.name.as_ptr().cast()).collect(),
            name_lengths: parameters.iter().map(|parameter| parameter.name.len()).collect(),
            values: parameters.iter().map(|parameter| parameter.value.as_ptr().cast()).collect(),
            value_lengths: parameters.iter().map(|parameter| parameter.value.len()).collect(),
            _parameters: std::marker::PhantomData,
        }
    }
}

/// Copies a C string; `None` for null.
///
/// # Safety
/// `raw` is null or points at a NUL-terminated string that stays valid during the call.
unsafe fn text(raw: *const c_char) -> Option<String> {
    if raw.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    Some(unsafe { CStr::from_ptr(raw) }.to_string_lossy().into_owned())
}
