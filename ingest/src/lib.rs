//! Takes gateway logs in, prices them and stores them.
