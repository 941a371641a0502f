//! What a store survives: other processes, signals, kills, full disks, limits, and what is planted in it.
//!
//! Each test ends in the same way: the next `sync` needs no flags, and the store is what it would have been.

mod scene;

mod vandal;

mod processes;

mod signals;

mod kills;

mod power;

mod space;

mod surroundings;

mod planted;

mod damage;

mod races;
