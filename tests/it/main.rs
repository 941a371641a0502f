//! The behaviour of the library and of the program, seen from outside.

#![expect(clippy::disallowed_methods, reason = "tests make and break files of their own")]


