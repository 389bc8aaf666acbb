//! Tenants, secret keys, and who may do what.

mod authenticator;
mod grpc;
mod key;
mod store;

pub(crate) use authenticator::Authenticator;
pub(crate) use grpc::AccessHandler;
pub(crate) use store::AccessStore;
