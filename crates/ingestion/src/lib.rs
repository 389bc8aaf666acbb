//! comptoir-ingestion
mod domain;
