use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

/// What went wrong, in terms of what the caller should do. One to one with a gRPC code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Correct the request.
    InvalidArgument,
    /// There is no such thing.
    NotFound,
    /// It is there already.
    AlreadyExists,
    /// The state of the system forbids it; change that state first.
    FailedPrecondition,
    /// Somebody else changed it meanwhile; read again and retry.
    Aborted,
    /// Over a limit; wait.
    ResourceExhausted,
    /// Retry the same request.
    Unavailable,
    /// Present a valid credential.
    Unauthenticated,
    /// The credential does not allow it.
    PermissionDenied,
    /// Our fault; report the id in the message.
    Internal,
}

/// One field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field in the request, such as `events[3].user_id`.
    pub field: String,
    /// The rule, such as `must be 1 to 64 characters`. Never the value: it may be personal data.
    pub description: String,
}

/// A failed operation of a service, on its way to the caller.
///
/// Everything but `source` is public: it goes over the wire. The message of an internal error never does; see [`Error::internal`].
#[derive(Debug)]
pub struct Error {
    /// What the caller should do.
    pub kind: Kind,
    /// Stable machine-readable cause, in `UPPER_SNAKE_CASE`.
    pub reason: Cow<'static, str>,
    /// For humans: lower case, no full stop, no personal data.
    pub message: String,
    /// All fields that break a rule, when `kind` is [`Kind::InvalidArgument`].
    pub violations: Vec<FieldViolation>,
    /// How long to wait before a retry, when a wait helps.
    pub retry_after: Option<Duration>,
    /// The cause, for the log only.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Returns an error of `kind` with a stable `reason` and a public `message`.
    pub fn new(kind: Kind, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    /// The request breaks a rule that is not about one field.
    pub fn invalid(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, reason, message)
    }

    /// The request breaks these rules: pairs of field path and description.
    pub fn violations<F: Into<String>, D: Into<String>>(violations: impl IntoIterator<Item = (F, D)>) -> Self {
        let violations = violations
            .into_iter()
            .map(|(field, description)| FieldViolation { field: field.into(), description: description.into() })
            .collect();
        Self::from_violations(violations)
    }

    /// There is no such thing; the message names it and its id.
    pub fn not_found(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, reason, message)
    }

    /// It is there already.
    pub fn already_exists(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::AlreadyExists, reason, message)
    }

    /// The state of the system forbids it.
    pub fn failed_precondition(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::FailedPrecondition, reason, message)
    }

    /// Somebody else changed it meanwhile.
    pub fn aborted(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::Aborted, reason, message)
    }

    /// Over a limit. Add [`retry_after`](Self::retry_after).
    pub fn resource_exhausted(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::ResourceExhausted, reason, message)
    }

    /// Cannot be done right now; the same request may pass later.
    pub fn unavailable(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, reason, message)
    }

    /// There is no valid credential.
    pub fn unauthenticated(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, reason, message)
    }

    /// The credential does not allow it.
    pub fn permission_denied(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::PermissionDenied, reason, message)
    }

    /// Our fault. The cause goes to the log under an id when the error becomes a status; the caller only sees that id.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(Kind::Internal, "INTERNAL", "internal error") }
    }

    /// Adds how long the caller should wait before a retry.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds the cause, for the log only.
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Tells whether the same request may pass later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, Kind::Unavailable | Kind::Aborted | Kind::ResourceExhausted)
    }

    fn from_violations(violations: Vec<FieldViolation>) -> Self {
        let listed: Vec<String> =
            violations.iter().map(|violation| format!("{} {}", violation.field, violation.description)).collect();
        let message = format!("invalid request: {}", listed.join("; "));
        Self { violations, ..Self::new(Kind::InvalidArgument, "INVALID_FIELDS", message) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Collects every field violation of a request, so that the caller sees them all at once.
///
/// ```
/// # use comptoir_kit::Violations;
/// let mut violations = Violations::default();
/// violations.check(false, "page_size", "must be 0 to 1000");
/// violations.add("request_id", "must be a UUID");
/// assert_eq!(violations.finish().unwrap_err().violations.len(), 2);
/// ```
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    /// Returns an empty collector.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that `field` breaks the rule `description`.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(FieldViolation { field: field.into(), description: description.into() });
    }

    /// Records a violation unless `holds`. Returns `holds`.
    pub fn check(&mut self, holds: bool, field: impl Into<String>, description: impl Into<String>) -> bool {
        if !holds {
            self.add(field, description);
        }
        holds
    }

    /// Returns the value, or records the error's message against `field`.
    pub fn take<T, E: fmt::Display>(&mut self, result: Result<T, E>, field: impl Into<String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// Tells whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails with all that was recorded, if anything was.
    pub fn finish(self) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Error::from_violations(self.0))
    }
}
