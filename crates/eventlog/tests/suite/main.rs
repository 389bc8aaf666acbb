//! The log on both engines: what it promises to publishers and followers.

extern crate comptoir_eventlog as eventlog;

mod append;
mod dead_letters;
mod follow;
mod follower;
mod group_commit;
mod harness;
mod replicas;
mod retention;
mod schema;
