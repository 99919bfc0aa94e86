"""The store: one face (`Store`), one file per subject. Write by `Store.commit(intent)`, read in `Store.read()`."""

from bot.store.engine import Store, Tx

__all__ = ["Store", "Tx"]
