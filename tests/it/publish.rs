//! `publish microsandbox`: what is put into that cache, who is respected there, and what is taken out again.
//! That microsandbox itself reads it is shown by `tests/interop`.

mod cache;

mod layout;

mod locks;

mod faults;

mod withdrawal;
