"""The store: one face (`Store`), one file per subject. Write by `Store.commit(intent)`, read in `Store.read()`."""

from bot.store.engine import Both, Store, Tx

__all__ = ["Both", "Store", "Tx"]
