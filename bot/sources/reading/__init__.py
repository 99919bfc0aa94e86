"""Readers that several kinds of source share: bytes in, entries out. Nothing here uses a network or reads a clock."""
