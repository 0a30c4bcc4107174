//! What charts are made of, looked at from outside.
