//! comptoir-eventlog
