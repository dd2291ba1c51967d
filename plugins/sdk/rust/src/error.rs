use std::fmt;

/// How a record failed. Any `std::error::Error` turns into a permanent one with `?`.
#[derive(Debug)]
pub struct Error {
    message: String,
    port: u16,
}

impl Error {
    pub(crate) const PERMANENT: u16 = 0;
    pub(crate) const RETRY: u16 = 1;
    pub(crate) const SKIP: u16 = 2;

    /// The same input would fail again.
    pub fn permanent(message: impl fmt::Display) -> Self {
        Self::with(Self::PERMANENT, message)
    }

    /// Another attempt may help.
    pub fn retry(message: impl fmt::Display) -> Self {
        Self::with(Self::RETRY, message)
    }

    /// Not a failure: the record ends here, as skipped, for this reason.
    pub fn skip(reason: impl fmt::Display) -> Self {
        Self::with(Self::SKIP, reason)
    }

    fn with(port: u16, message: impl fmt::Display) -> Self {
        Error { message: message.to_string(), port }
    }

    /// What the record's failure will say.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

// Like anyhow's, Error is no std::error::Error itself: it would collide with the
// conversion of itself.
impl<E: std::error::Error> From<E> for Error {
    fn from(err: E) -> Self {
        Self::permanent(err)
    }
}

/// Why the host did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostError {
    /// The pipeline does not grant it; see `grant` of the stage.
    NotGranted,
    /// There is no such thing.
    NotFound,
    /// It goes beyond a limit of the grant.
    Limit,
    /// It was tried and failed, for this reason.
    Failed(String),
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostError::NotGranted => f.write_str("not granted by the pipeline"),
            HostError::NotFound => f.write_str("not found"),
            HostError::Limit => f.write_str("over a limit of the grant"),
            HostError::Failed(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for HostError {}
