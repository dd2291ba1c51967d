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

/// Why the host did not do what it was asked for: the kind, and the host's own words,
/// which name what is missing (`HostError::NotGranted(why)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostError {
    /// The pipeline does not grant it; see `grant` of the stage.
    NotGranted(String),
    /// There is no such thing.
    NotFound(String),
    /// It goes beyond a limit of the grant.
    Limit(String),
    /// It was tried and failed.
    Failed(String),
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, why) = match self {
            HostError::NotGranted(why) => ("not granted by the pipeline", why),
            HostError::NotFound(why) => ("not found", why),
            HostError::Limit(why) => ("over a limit of the grant", why),
            HostError::Failed(why) => return f.write_str(why),
        };
        f.write_str(kind)?;
        if why.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", why)
    }
}

impl std::error::Error for HostError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_hosts_words() {
        for (error, text) in [
            (HostError::NotGranted("host a is not granted".into()), "not granted by the pipeline: host a is not granted"),
            (HostError::NotFound("no blob b".into()), "not found: no blob b"),
            (HostError::Limit(String::new()), "over a limit of the grant"),
            (HostError::Failed("refused".into()), "refused"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
