"""What the looking commands read, and how they find what a person named. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bot.cli.render import alarm, one_line
from bot.errors import NoMatch, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.cli import Invocation
    from bot.settings import Settings
    from bot.store import Store, Tx
    from bot.store.articles import Stored

#: Ids are shown this short where that is enough (ux: d7f3).
SHORTEST = 4


def there_is_a_store(settings: Settings) -> bool:
    """Is there anything at the store's address yet? A server's database counts as there."""
    path = sqlite_path(settings)
    return path is None or path.exists()


def sqlite_path(settings: Settings) -> Any:
    """The file of an SQLite store, None elsewhere."""
    from pathlib import Path

    mark = "sqlite:///"
    said = settings.store_url
    return Path(said.removeprefix(mark).partition("?")[0]) if said.startswith(mark) else None


def must_be_there(settings: Settings) -> None:
    """Raises StoreError where there is no store yet: SQLite would make an empty file to look into."""
    from bot.settings import display

    if not there_is_a_store(settings):
        raise StoreError(f"{display(sqlite_path(settings))}: there is no store yet. wirepost run makes one.")


@contextmanager
def opened(call: Invocation, *, any_schema: bool = False) -> Iterator[Store]:
    """The store, for reading. Opens no network and makes no file. Raises StoreError, also for another schema."""
    from bot.store import Store, migrate

    settings = call.settings()
    must_be_there(settings)
    store = Store(settings.store_url, call.clock)
    try:
        if not any_schema:
            migrate.require(store)
        yield store
    finally:
        store.close()


def warn(call: Invocation, store: Store) -> None:
    """What needs a human, in red above a listing (on stderr)."""
    from bot import alerts

    alarm((line.removeprefix("! ") for line in alerts.red_lines(store)), no_color=call.no_color)


def account_named(settings: Settings, name: str | None) -> str | None:
    """The account's name, checked. Raises NoMatch with the nearest one."""
    if name is None or name in settings.accounts:
        return name
    raise NoMatch(_unknown("account", name, settings.accounts))


def source_named(settings: Settings, name: str) -> str:
    """The source's name, checked. Raises NoMatch with the nearest one."""
    if name in settings.sources:
        return name
    raise NoMatch(_unknown("source", name, settings.sources))


def _unknown(noun: str, name: str, known: Iterable[str]) -> str:
    from bot.settings import nearest

    names = sorted(known)
    near = nearest(name, names)
    hint = f' Did you mean "{near}"?' if near else ""
    return f'There is no {noun} "{one_line(name)}".{hint} Known: {", ".join(names) or "none"}.'


def article_named(tx: Tx, words: str) -> Stored:
    """The one article that an id (or its beginning), a link, a delivery's id or words of a headline name.

    Raises NoMatch: there is none, or several, which it lists.
    """
    from bot.store import articles, deliveries

    if not words.strip():
        raise NoMatch("Which article? Give the beginning of its id, its link, or words of its headline.")
    found = articles.find(tx, words)
    exact = [one for one in found if one.id == words or one.article.headline.casefold() == words.casefold()]
    looks_like_id = len(words) >= SHORTEST and words.isalnum()
    begins = [one for one in found if looks_like_id and one.id.startswith(words)]
    for one in deliveries.by_prefix(tx, words) if looks_like_id else ():
        stored = articles.by_id(tx, one.article)
        if stored is not None and stored.id not in {other.id for other in begins}:
            begins.append(stored)
    chosen = exact or begins or found
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        raise NoMatch(
            f'No article fits "{one_line(words)}": give the beginning of its id, its link, or words of its headline.'
        )
    listed = "\n".join(f"  {one.id}  {one_line(one.article.headline)}" for one in chosen[:10])
    raise NoMatch(f'{len(chosen)} articles fit "{one_line(words)}". Name one by its id:\n{listed}')


def short_ids(tx: Tx, table: Any, ids: Iterable[str]) -> Mapping[str, str]:
    """For each id the shortest beginning that no other row of its table shares, at least four characters."""
    from sqlalchemy import func, select

    found = {}
    for one in sorted(set(ids)):
        below = tx.execute(select(func.max(table.c.id)).where(table.c.id < one)).scalar()
        above = tx.execute(select(func.min(table.c.id)).where(table.c.id > one)).scalar()
        shared = max((_shared(one, other) for other in (below, above) if other), default=0)
        found[one] = one[: max(SHORTEST, shared + 1)]
    return found


def _shared(one: str, other: str) -> int:
    """How many first characters the two have in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (mine, theirs) in pairs if mine != theirs), min(len(one), len(other)))


def headlines(tx: Tx, ids: Iterable[str]) -> Mapping[str, str]:
    """The headline of each of these articles."""
    from sqlalchemy import select

    from bot.store.schema import articles

    wanted, found = sorted(set(ids)), dict[str, str]()
    for start in range(0, len(wanted), 500):
        query = select(articles.c.id, articles.c.headline).where(articles.c.id.in_(wanted[start : start + 500]))
        found |= {row.id: row.headline for row in tx.rows(query.order_by(articles.c.id))}
    return found
