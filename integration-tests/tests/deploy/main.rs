//! The files in `deploy/` agree with each other and with the services that they deploy: no manifest names a setting that its
//! service does not have, a port on which nobody listens, or a Secret that is not described.
//!
//! To add a service: its files in `deploy/kubernetes`, a place in `compose.yaml` and in the Dockerfile, and a line in
//! [`settings::SERVICES`].

mod compose;
mod dashboards;
mod files;
mod kubernetes;
mod kustomize;
mod settings;
