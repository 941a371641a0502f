//! The behaviour of the library and of the program, seen from outside.

mod layers;
mod tar_reader;
