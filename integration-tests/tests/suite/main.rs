//! The end-to-end tests, as one program so that it is linked once.

mod api;
mod bad_input;
mod crash;
mod crash_audit;
mod one_process;
mod online_retail;
mod segment;
mod separate_processes;
mod tenants;
mod trace;
mod unmigrated;
