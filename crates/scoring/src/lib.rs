//! comptoir-scoring
mod domain;
