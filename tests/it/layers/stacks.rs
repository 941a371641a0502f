//! The rules for layers and stacks, one by one.
