//! Errors as PostgreSQL reports them. It must not know which query they are for.

use bytes::{BufMut, Bytes, BytesMut};

/// An error that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SqlError {
    code: String,
    message: String,
    is_fatal: bool,
}

/// Neither a name nor a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownSqlState;

/// Name, SQLSTATE, and what a server says.
const KNOWN: [(&str, &str, &str); 15] = [
    ("too_many_connections", "53300", "sorry, too many clients already"),
    ("cannot_connect_now", "57P03", "the database system is starting up"),
    ("admin_shutdown", "57P01", "terminating connection due to administrator command"),
    ("crash_shutdown", "57P02", "terminating connection because of crash of another server process"),
    ("serialization_failure", "40001", "could not serialize access due to concurrent update"),
    ("deadlock_detected", "40P01", "deadlock detected"),
    ("query_canceled", "57014", "canceling statement due to statement timeout"),
    ("lock_not_available", "55P03", "canceling statement due to lock timeout"),
    ("disk_full", "53100", "could not extend file: No space left on device"),
    ("out_of_memory", "53200", "out of memory"),
    ("read_only_sql_transaction", "25006", "cannot execute this statement in a read-only transaction"),
    ("insufficient_privilege", "42501", "permission denied"),
    ("unique_violation", "23505", "duplicate key value violates unique constraint"),
    ("io_error", "58030", "could not read block: Input/output error"),
    ("internal_error", "XX000", "internal error"),
];

/// Those that end a session wherever they come.
const FATAL: [&str; 6] = ["57P01", "57P02", "57P03", "57P05", "25P03", "53300"];

impl SqlError {
    pub(super) fn try_new(error: &str, message: Option<&str>) -> Result<SqlError, UnknownSqlState> {
        let known = KNOWN.iter().find(|(name, code, _)| *name == error || *code == error);
        let code = known.map_or(error, |(_, code, _)| code);
        let is_code = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        // Class 00 is success, 01 are warnings and 02 is no data: a client may not take them for errors.
        if !is_code || ["00", "01", "02"].iter().any(|class| code.starts_with(class)) {
            return Err(UnknownSqlState);
        }
        let usual = known.map_or("an error was put in place of this query", |(_, _, message)| message);
        Ok(SqlError { code: code.to_owned(), message: message.unwrap_or(usual).to_owned(), is_fatal: FATAL.contains(&code) })
    }

    /// The same where a session does not begin.
    pub(super) fn fatal(self) -> SqlError {
        SqlError { is_fatal: true, ..self }
    }

    /// Whether the session ends with it.
    pub(super) fn is_fatal(&self) -> bool {
        self.is_fatal
    }

    /// For a message to people.
    pub(super) fn names() -> String {
        KNOWN.map(|(name, _, _)| name).join(", ")
    }

    /// The whole message to the client. Who reads its context learns where it comes from.
    pub(super) fn bytes(&self) -> Bytes {
        let severity = if self.is_fatal { "FATAL" } else { "ERROR" };
        let fields = [('S', severity), ('V', severity), ('C', &self.code), ('M', &self.message), ('W', "injected on the way by shakedown")];
        let mut body = BytesMut::new();
        for (field, text) in fields {
            body.put_u8(field as u8);
            body.put_slice(text.as_bytes());
            body.put_u8(0);
        }
        body.put_u8(0);
        super::frame::message(b'E', &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_the_same_errors() {
        for (name, code, message) in KNOWN {
            let error = SqlError::try_new(name, None).expect("it is known");
            assert_eq!(Ok(&error), SqlError::try_new(code, None).as_ref());
            assert_eq!((error.code.as_str(), error.message.as_str()), (code, message));
        }
    }

    #[test]
    fn any_other_code_is_an_error_and_nothing_else_is() {
        assert_eq!(SqlError::try_new("P0001", Some("no")).map(|error| error.message), Ok("no".into()));
        for text in ["", "4000", "400011", "4000é", "40p01", "00000", "01000", "02000", "Serialization_Failure"] {
            assert_eq!(SqlError::try_new(text, None), Err(UnknownSqlState), "{text}");
        }
    }

    #[test]
    fn what_ends_a_session_says_so() {
        let fatal = |error: &str| SqlError::try_new(error, None).map(|error| error.is_fatal());
        assert_eq!((fatal("admin_shutdown"), fatal("53300"), fatal("40001")), (Ok(true), Ok(true), Ok(false)));
        let bytes = SqlError::try_new("40001", Some("x")).expect("it is known").fatal().bytes();
        assert_eq!(&bytes[..], b"E\0\0\0\x3fSFATAL\0VFATAL\0C40001\0Mx\0Winjected on the way by shakedown\0\0");
    }
}
