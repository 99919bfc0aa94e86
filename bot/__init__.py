"""Wirepost takes a newsroom's articles to its social accounts: on time, in each network's own form, exactly once."""

__version__ = "0.1.0"
