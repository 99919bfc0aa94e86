"""What is known of each account: its identity on the network, its login, its limits, its breaker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, bindparam, func, literal, or_, select, true

from bot.model import Identity, Reason, State
from bot.store.audit import note
from bot.store.engine import Tx
from bot.store.prepared import Prepared
from bot.store.schema import COUNTING, SENT, accounts, attempts, decisions, deliveries, meta


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account's row. `credentials` is the encrypted text of what the bot itself renews; never shown."""

    name: str
    network: str
    identity: str | None
    title: str | None
    scopes: tuple[str, ...]
    expires_at: datetime | None
    facts: Mapping[str, Any]
    credentials: str | None
    refreshed_at: datetime | None
    token_over_at: datetime | None
    checked_at: datetime | None
    joined_at: datetime
    live_since: datetime | None
    blocked_until: datetime | None
    breaker: Reason | None
    breaker_at: datetime | None
    breaker_words: str | None
    probe_at: datetime | None
    dirty: bool
    removed: bool
    version: int

    def __repr__(self) -> str:
        return f"AccountRow(name={self.name!r}, network={self.network!r}, identity={self.identity!r})"


def _account(row: Row[Any]) -> AccountRow:
    return AccountRow(
        name=row.name,
        network=row.network,
        identity=row.identity,
        title=row.title,
        scopes=tuple(row.scopes or ()),
        expires_at=row.expires_at,
        facts=row.facts,
        credentials=row.credentials,
        refreshed_at=row.refreshed_at,
        token_over_at=row.token_over_at,
        checked_at=row.checked_at,
        joined_at=row.joined_at,
        live_since=row.live_since,
        blocked_until=row.blocked_until,
        breaker=Reason(row.breaker) if row.breaker else None,
        breaker_at=row.breaker_at,
        breaker_words=row.breaker_words,
        probe_at=row.probe_at,
        dirty=row.dirty,
        removed=row.removed,
        version=row.version,
    )


#: How often an account without credit may try one post to see whether it has some again (pain P87).
TRIAL = timedelta(hours=1)


def may_try(row: AccountRow, now: datetime) -> bool:
    """May one post go behind the breaker? A good check proves the token alone, a post the money. Pure."""
    return row.breaker is Reason.BILLING and (row.probe_at is None or row.probe_at <= now)


@dataclass(frozen=True, slots=True)
class Join:
    """Intent: the accounts as the settings have them now: (name, network, live). Others are marked removed.

    `marks` tell by which connection each of them is there: by another one it may be somebody else, and posts nothing
    until the network said who it is.
    """

    wanted: tuple[tuple[str, str, bool], ...]
    marks: Mapping[str, str] = field(default_factory=dict)
    lock: str = ""

    def apply(self, tx: Tx) -> None:
        lock_accounts(tx)
        for name, network, live in sorted(self.wanted):
            made = tx.insert_unless_there(
                accounts,
                {
                    "name": name,
                    "network": network,
                    "facts": {},
                    "joined_at": tx.now,
                    "live_since": tx.now if live else None,
                    "dirty": True,
                    "removed": False,
                    "version": 1,
                },
            )
            if made:
                note(tx, "account_joined", name, {"network": network, "live": live})
            else:
                self._update(tx, name, network, live)
        for name, mark in sorted(self.marks.items()):
            if (known := _mark_of(tx, name)) != mark:
                unsure = and_(accounts.c.name == name, literal(known is not None))
                tx.execute(accounts.update().where(unsure).values(checked_at=None))
                asked = accounts.c.breaker.is_distinct_from(Reason.BILLING)
                tx.execute(accounts.update().where(unsure, asked).values(probe_at=None))
                tx.insert_or_update(meta, {"key": _CONNECTION + name, "value": mark})
        names = [name for name, _, _ in self.wanted]
        tx.execute(accounts.update().where(accounts.c.name.not_in(names)).values(removed=True))

    def _update(self, tx: Tx, name: str, network: str, live: bool) -> None:
        here = accounts.c.name == name
        tx.execute(accounts.update().where(here).values(removed=False, dirty=True, version=accounts.c.version + 1))
        # The settings may hold a new token now: a dead login is asked again at once, not when its hour is over.
        tx.execute(accounts.update().where(here, accounts.c.breaker == Reason.LOGIN).values(probe_at=None))
        moved = tx.changed(
            accounts.update()
            .where(here, accounts.c.network != network)
            .values(network=network, identity=None, facts={}, credentials=None, joined_at=tx.now, checked_at=None)
        )
        if moved:
            note(tx, "account_moved_network", name, {"network": network})
        if live:
            went = tx.changed(accounts.update().where(here, accounts.c.live_since.is_(None)).values(live_since=tx.now))
        else:
            went = tx.changed(accounts.update().where(here, accounts.c.live_since.is_not(None)).values(live_since=None))
        if went:
            note(tx, "account_live" if live else "account_rehearses", name)


def _mark_of(tx: Tx, name: str) -> str | None:
    """The mark of the connection by which the account is there."""
    row = tx.row(select(meta.c.value).where(meta.c.key == _CONNECTION + name))
    return None if row is None else str(row.value)


#: The mark of an account's connection in `meta`, before the account's name.
_CONNECTION = "connection_"


@dataclass(frozen=True, slots=True)
class Checked:
    """Intent: a good check. The account adopts the history of the same identity under an older name.

    It ends a login's breaker; one of money only if a person asked (`by_hand`). False: another account of the settings
    has this identity already (two names, one identity: an error). `mark`: by which connection was asked; by one that is
    not the account's any more, it stays unchecked.
    """

    name: str
    network: str
    identity: Identity
    by_hand: bool = False
    mark: str = ""

    @property
    def lock(self) -> str:
        return self.name

    def apply(self, tx: Tx) -> bool:
        same = and_(accounts.c.network == self.network, accounts.c.identity == self.identity.remote_id)
        other = tx.row(select(accounts).where(same, accounts.c.name != self.name).order_by(accounts.c.removed))
        if other is not None and not other.removed:
            return False
        if other is not None:
            self._adopt(tx, other)
        known = tx.row(select(accounts.c.identity).where(accounts.c.name == self.name))
        if known is not None and known.identity not in (None, self.identity.remote_id):
            # Another person logged in under this name: the old one's history is not ours.
            note(tx, "account_changed_identity", self.name, {"was": known.identity, "is": self.identity.remote_id})
            tx.execute(accounts.update().where(accounts.c.name == self.name).values(joined_at=tx.now))
        self._write(tx)
        return True

    def _write(self, tx: Tx) -> None:
        here = accounts.c.name == self.name
        by_another = self.mark and _mark_of(tx, self.name) not in (None, self.mark)
        tx.execute(
            accounts.update()
            .where(here)
            .values(
                identity=self.identity.remote_id,
                title=self.identity.name,
                scopes=list(self.identity.scopes),
                expires_at=self.identity.expires_at,
                facts=dict(self.identity.facts),
                checked_at=None if by_another else tx.now,
                dirty=True,
                version=accounts.c.version + 1,
            )
        )
        ended = true() if self.by_hand else accounts.c.breaker.is_distinct_from(Reason.BILLING)
        tx.execute(accounts.update().where(here, ended).values(**_FREE))

    def _adopt(self, tx: Tx, old: Row[Any]) -> None:
        """History hangs on the identity; the name in the settings is a label. Where this name has the same post, tried
        or out as somebody else, that one goes under the older name: nothing that may be out is lost."""
        mine, theirs = deliveries.alias(), deliveries.alias()
        same = and_(theirs.c.article == mine.c.article, theirs.c.occasion == mine.c.occasion)
        doubled = select(mine.c.id).join(theirs, same).where(mine.c.account == self.name, theirs.c.account == old.name)
        untried = doubled.where(mine.c.attempt.is_(None), mine.c.state != State.SENT)  # sent: found after a restore
        tx.execute(deliveries.delete().where(deliveries.c.id.in_(untried)))
        tx.execute(deliveries.update().where(deliveries.c.id.in_(doubled)).values(account=_ON_ITS_WAY))
        leaving = select(deliveries.c.id).where(deliveries.c.account == _ON_ITS_WAY)
        tx.execute(attempts.update().where(attempts.c.delivery.in_(leaving)).values(account=_ON_ITS_WAY))
        for was, now in ((old.name, self.name), (_ON_ITS_WAY, old.name)):
            for table in (deliveries, attempts):
                tx.execute(table.update().where(table.c.account == was).values(account=now))
        here, newer = accounts.c.name == self.name, decisions.alias()
        decided = select(newer.c.article).where(newer.c.account == self.name)
        tx.execute(decisions.delete().where(decisions.c.account == old.name, decisions.c.article.in_(decided)))
        tx.execute(decisions.update().where(decisions.c.account == old.name).values(account=self.name))
        tx.execute(accounts.update().where(accounts.c.name == old.name).values(identity=None, credentials=None))
        tx.execute(accounts.update().where(here).values(joined_at=old.joined_at, blocked_until=old.blocked_until))
        if old.live_since is not None:  # else what waits would count as older than the account, and be skipped
            live = accounts.c.live_since.is_not(None)
            tx.execute(accounts.update().where(here, live).values(live_since=old.live_since))
        note(tx, "account_renamed", self.name, {"was": old.name, "identity": self.identity.remote_id})


#: An account behind no breaker.
_FREE: Mapping[str, Any] = {"breaker": None, "breaker_at": None, "breaker_words": None, "probe_at": None}
#: What rows are called while two names change places: no account of the settings has no name.
_ON_ITS_WAY = ""


@dataclass(frozen=True, slots=True)
class Inherit:
    """Intent: what a removed name left goes to its new name, which has none. `credentials`: sealed for the new one."""

    old: str
    name: str
    credentials: str

    @property
    def lock(self) -> str:
        return self.name

    def apply(self, tx: Tx) -> bool:
        left = and_(accounts.c.name == self.old, accounts.c.removed, accounts.c.credentials.is_not(None))
        row = tx.row(select(accounts.c.refreshed_at, accounts.c.token_over_at).where(left))
        mine = and_(accounts.c.name == self.name, accounts.c.credentials.is_(None))
        if row is None:
            return False
        values = {"refreshed_at": row.refreshed_at, "token_over_at": row.token_over_at}
        if not tx.changed(accounts.update().where(mine).values(credentials=self.credentials, **values)):
            return False
        tx.execute(accounts.update().where(left).values(credentials=None))
        note(tx, "credentials_inherited", self.name, {"was": self.old})
        return True

    def __repr__(self) -> str:
        return f"Inherit(old={self.old!r}, name={self.name!r})"


@dataclass(frozen=True, slots=True)
class CheckFailed:
    """Intent: a check that did not succeed: park the account (a dead login, billing), or only ask again later."""

    name: str
    breaker: Reason | None
    words: str
    probe_in: timedelta

    @property
    def lock(self) -> str:
        return self.name

    def apply(self, tx: Tx) -> None:
        tx.execute(accounts.update().where(accounts.c.name == self.name).values(probe_at=tx.now + self.probe_in))
        if self.breaker is not None:
            _park(tx, self.name, self.breaker, self.words)


def _park(tx: Tx, name: str, breaker: Reason, words: str) -> None:
    """Open the breaker, unless one is open; a dead login is said also of an account that has no money."""
    graver = and_(accounts.c.breaker == Reason.BILLING, literal(breaker is Reason.LOGIN))
    opened = tx.changed(
        accounts.update()
        .where(accounts.c.name == name, or_(accounts.c.breaker.is_(None), graver))
        .values(breaker=breaker, breaker_at=tx.now, breaker_words=words, dirty=True, version=accounts.c.version + 1)
    )
    if opened:
        note(tx, "account_parked", name, {"reason": breaker, "words": words})


@dataclass(frozen=True, slots=True)
class Paid:
    """Intent: a post went out since the account was parked for want of money: it has some again."""

    name: str
    since: datetime

    @property
    def lock(self) -> str:
        return self.name

    def apply(self, tx: Tx) -> bool:
        parked = and_(accounts.c.breaker == Reason.BILLING, accounts.c.breaker_at == self.since)
        back = {**_FREE, "dirty": True, "version": accounts.c.version + 1}
        return tx.changed(accounts.update().where(accounts.c.name == self.name, parked).values(**back)) == 1


@dataclass(frozen=True, slots=True)
class BeginRefresh:
    """Intent: this worker alone renews the credentials now. False: another one does, or it was just done."""

    name: str
    worker: str
    lease: timedelta
    seen: datetime | None

    @property
    def lock(self) -> str:
        return self.name

    def apply(self, tx: Tx) -> bool:
        same = accounts.c.refreshed_at.is_(None) if self.seen is None else accounts.c.refreshed_at == self.seen
        free = or_(accounts.c.refreshing_until.is_(None), accounts.c.refreshing_until < tx.now)
        return (
            tx.changed(
                accounts.update()
                .where(accounts.c.name == self.name, same, free)
                .values(refreshing_until=tx.now + self.lease, refreshing_by=self.worker)
            )
            == 1
        )


@dataclass(frozen=True, slots=True)
class EndRefresh:
    """Intent: the new credentials (encrypted), stored before they are used; or None: the refresh brought none."""

    name: str
    worker: str
    credentials: str | None

    @property
    def lock(self) -> str:
        return self.name

    def apply(self, tx: Tx) -> bool:
        values: dict[str, Any] = {"refreshing_until": None, "refreshing_by": None}
        if self.credentials is not None:
            values |= {"credentials": self.credentials, "refreshed_at": tx.now, "token_over_at": None}
        mine = and_(accounts.c.name == self.name, accounts.c.refreshing_by == self.worker)
        return tx.changed(accounts.update().where(mine).values(**values)) == 1

    def __repr__(self) -> str:
        return f"EndRefresh(name={self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an outcome does to the account: blocked until, token over, behind a breaker, in the network's words.

    `alarming`: the network wants a longer rest than is believable; a person is told. `probe_in`: how long an account
    behind a breaker is left alone before anybody asks it again.
    """

    blocked_until: datetime | None = None
    token_over: bool = False
    alarming: bool = False
    breaker: Reason | None = None
    words: str = ""
    probe_in: timedelta | None = None


def affect(tx: Tx, account: str, effect: Effect) -> None:
    """Remember what the network said of the account as a whole."""
    if effect.blocked_until is not None:
        tx.execute(
            accounts.update()
            .where(accounts.c.name == account)
            .values(blocked_until=effect.blocked_until, dirty=True, version=accounts.c.version + 1)
        )
    if effect.alarming:
        note(tx, "long_limit", account, {"words": effect.words})
    if effect.token_over:
        tx.execute(accounts.update().where(accounts.c.name == account).values(token_over_at=tx.now))
    if effect.breaker is not None:
        _park(tx, account, effect.breaker, effect.words)
        if effect.probe_in is not None:
            tx.execute(accounts.update().where(accounts.c.name == account).values(probe_at=tx.now + effect.probe_in))


def put_off_trial(tx: Tx, account: str) -> None:
    """The account tries a post now: the next one an hour later."""
    tx.execute(accounts.update().where(accounts.c.name == account).values(probe_at=tx.now + TRIAL))


@dataclass(frozen=True, slots=True)
class Affect:
    """Intent: what the network said of the account outside of an attempt."""

    account: str
    effect: Effect

    @property
    def lock(self) -> str:
        return self.account

    def apply(self, tx: Tx) -> None:
        affect(tx, self.account, self.effect)


_LOCK_ALL = select(accounts.c.name).order_by(accounts.c.name).with_for_update()
_LOCK = Prepared(select(accounts.c.name).where(accounts.c.name == bindparam("is_name")).with_for_update())


def lock_accounts(tx: Tx, names: Iterable[str] | None = None) -> None:
    """Take the rows of these accounts (None: of all) for this transaction, by name. SQLite needs none of it."""
    if tx.is_postgresql:
        if names is None:
            tx.rows(_LOCK_ALL)
        for name in sorted(names or ()):
            _LOCK.row(tx, {"is_name": name})


def all_accounts(tx: Tx) -> dict[str, AccountRow]:
    """Every account of the settings, by name."""
    return {row.name: _account(row) for row in tx.rows(_ALL)}


_ALL = select(accounts).where(~accounts.c.removed).order_by(accounts.c.name)
_DIRTY = select(accounts).where(accounts.c.dirty, ~accounts.c.removed).order_by(accounts.c.name)
_BY_NAME = select(accounts).where(accounts.c.name == bindparam("is_name"))


def by_name(tx: Tx, name: str) -> AccountRow | None:
    """One account, or None."""
    row = tx.row(_BY_NAME, {"is_name": name})
    return _account(row) if row else None


def left_behind(tx: Tx, network: str) -> list[AccountRow]:
    """Accounts that are in the settings no more, and left credentials."""
    left = and_(accounts.c.removed, accounts.c.network == network, accounts.c.credentials.is_not(None))
    return [_account(row) for row in tx.rows(select(accounts).where(left).order_by(accounts.c.name))]


def dirty(tx: Tx) -> list[AccountRow]:
    """Accounts whose times must be reckoned again."""
    return [_account(row) for row in tx.rows(_DIRTY)]


def posted_since(tx: Tx, identity: str | None, since: datetime) -> int:
    """How many posts of an identity went out, or may have, since then."""
    mine = and_(attempts.c.identity == (identity or ""), COUNTING, attempts.c.started_at >= since)
    return int(tx.execute(select(func.count()).select_from(attempts).where(mine)).scalar_one())


def last_sent(tx: Tx) -> dict[str, datetime]:
    """When each account's newest post went out."""
    found: dict[str, datetime] = {}
    for name in all_accounts(tx):
        newest = (
            select(deliveries.c.sent_at)
            .where(deliveries.c.account == name, SENT)
            .order_by(deliveries.c.sent_at.desc())
            .limit(1)
        )
        at = tx.execute(newest).scalar()
        if at is not None:
            found[name] = at
    return found
