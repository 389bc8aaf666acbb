//! comptoir-identity
#![allow(dead_code)]
mod domain;
