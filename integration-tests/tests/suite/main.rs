//! The end-to-end tests, as one program so that it is linked once.

mod api;
mod bad_input;
mod crash;
mod crash_audit;
mod extremes;
mod one_process;
mod online_retail;
mod overload;
mod segment;
mod separate_processes;
mod store_trouble;
mod tenants;
mod trace;
mod unmigrated;
