//! The store, through its public face.

mod home;

mod commit;

mod guards;

mod damage;

mod collect;
