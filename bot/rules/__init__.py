"""The rules: pure functions and data, no I/O, no clock. What goes where, in which words, and when."""
