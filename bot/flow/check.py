"""check: who are we on each network, may we still, and until when?

The first publish of an account waits for one good check; its answer names the identity that history hangs on. Later
checks notice a dead login before a post does, and end its breaker; want of money ends when a post goes out. Tokens are
renewed here, once, under a lock in the store, and stored before they are used. The first round after a start also hears
from the networks what time it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.errors import AuthFailed, Expired, Misconfigured, SendError, StoreError
from bot.flow.newsroom import Newsroom
from bot.log import events
from bot.model import Identity, Reason
from bot.networks.base import only_send_errors
from bot.store import accounts as stored_accounts
from bot.store.accounts import AccountRow, BeginRefresh, Checked, CheckFailed, EndRefresh, Inherit, Paid
from bot.store.attempts import proved_out_since
from bot.store.audit import Note

log = events("check")

# A dead login is noticed at the latest so long after it died (ux: "at the hourly check").
EVERY = timedelta(hours=1)
# An account that could not be asked, or is parked, is asked again no more often than this: one probe an hour where
# money or a login is missing (pain P87), minutes where only the way was broken.
PROBE = {None: timedelta(minutes=2), Reason.LOGIN: timedelta(hours=1), Reason.BILLING: timedelta(hours=1)}
# A refresh may take so long before another worker may try.
REFRESH_LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Parked:
    """What a failed check means: the breaker to open (None: only trouble on the way) and the network's words."""

    breaker: Reason | None
    words: str


def due(row: AccountRow, now: datetime, *, asks_time: bool) -> bool:
    """Is it time to ask who we are? Rehearsing accounts are asked only by hand. Pure.

    `asks_time`: our clock and the networks' disagree so far that nothing is published, or none of them was heard since
    the start; each answer tells the time anew.
    """
    if row.live_since is None:
        return False
    if row.probe_at is not None and row.probe_at > now:
        return False
    stale = row.checked_at is None or now - row.checked_at >= EVERY
    dead = row.breaker is not None and row.breaker is not Reason.BILLING  # of money a check says nothing
    return stale or asks_time or row.identity is None or dead or row.token_over_at is not None


def parked(error: SendError) -> Parked:
    """A dead login and missing money park the account; anything else says nothing about it. Pure."""
    if isinstance(error, AuthFailed):
        return Parked(Reason.LOGIN, error.words)
    if isinstance(error, Misconfigured):
        return Parked(Reason.BILLING, error.words)
    return Parked(None, error.words)


# -- the thin part ------------------------------------------------------------------------------------------------


def run(newsroom: Newsroom) -> bool:
    """Check every account that is due, one after the other (the worker has a thread for each). True if one came back
    or was lost."""
    paid = end_of_want(newsroom)
    return sum([one(newsroom, name) for name in begin(newsroom)]) > 0 or paid


def end_of_want(newsroom: Newsroom) -> bool:
    """An account without credit tries one post an hour; one that went out proves that it has some. True if one did."""
    with newsroom.store.read() as tx:
        parked = [row for row in stored_accounts.all_accounts(tx).values() if row.breaker is Reason.BILLING]
        paid = [row for row in parked if row.breaker_at and proved_out_since(tx, row.identity or "", row.breaker_at)]
    back = [row.name for row in paid if row.breaker_at and newsroom.store.commit(Paid(row.name, row.breaker_at))]
    for name in back:
        log.info("paid", account=name)
    if back:
        newsroom.wake("schedule")
        newsroom.wake("deliver")
    return bool(back)


def begin(newsroom: Newsroom) -> list[str]:
    """The accounts that are due for a check. In the first round after a start those are too that can tell the time."""
    with newsroom.store.read() as tx:
        rows = {name: row for name, row in stored_accounts.all_accounts(tx).items() if name in newsroom.accounts}
        now = tx.now
    if newsroom.unasked is None:
        networks = {name: newsroom.accounts[name].network for name in rows}
        telling = {name: row for name, row in rows.items() if not networks[name].local}
        newsroom.unasked = {
            name for name, row in telling.items() if due(row, now, asks_time=networks[name].reads_are_free)
        }
        newsroom.wake("schedule")
    names = [name for name, row in rows.items() if due(row, now, asks_time=_asks_time(newsroom, name))]
    newsroom.unasked.intersection_update(names)  # who is parked or taken out meanwhile has nothing to tell
    return names


def _asks_time(newsroom: Newsroom, name: str) -> bool:
    return newsroom.parked_by_clock or (newsroom.time_unheard and name in (newsroom.unasked or ()))


def one(newsroom: Newsroom, name: str) -> bool:
    """Check one account, unless others did meanwhile what it was for. True if it came back or was lost."""
    was_unheard = newsroom.time_unheard
    with newsroom.store.read() as tx:
        row = stored_accounts.by_name(tx, name)
        still_due = row is not None and due(row, tx.now, asks_time=_asks_time(newsroom, name))
    try:
        changed = row is not None and still_due and _asked_anew(newsroom, row)
    finally:
        if newsroom.unasked is not None:
            newsroom.unasked.discard(name)  # answered or not: an outage of a network holds up the others only once
    if changed or was_unheard != newsroom.time_unheard:
        newsroom.wake("schedule")
        newsroom.wake("deliver")
    return changed


def _asked_anew(newsroom: Newsroom, row: AccountRow) -> bool:
    was_good = row.identity is not None and row.breaker is None and row.token_over_at is None
    if row.credentials is None:
        _inherit(newsroom, row)
    good = (row.token_over_at is None or renew(newsroom, row.name)) and confirm_identity(newsroom, row.name)
    return good != was_good


def _inherit(newsroom: Newsroom, row: AccountRow) -> None:
    """What was renewed under the name that the account had in the settings before is sealed under its new one."""
    with newsroom.store.read() as tx:
        left = stored_accounts.left_behind(tx, row.network)
    for old in left:
        try:
            sealed = newsroom.sealed(row.name, newsroom.credentials(old))
        except StoreError:
            continue  # sealed under a key that is gone: of no use to anybody
        if newsroom.reader(replace(row, credentials=sealed)).own_credentials():
            newsroom.store.commit(Inherit(old.name, row.name, sealed))


def confirm_identity(newsroom: Newsroom, account: str, *, by_hand: bool = False) -> bool:
    """Ask the network who we are, and write it down. True if we are somebody there. `by_hand`: a person says that what
    was wrong is mended, money included."""
    configured = newsroom.accounts[account]
    result = ask(newsroom, account)
    if isinstance(result, Identity):
        network = configured.network.name
        if newsroom.store.commit(Checked(account, network, result, by_hand, configured.mark)):
            log.info("checked", account=account, network=network, identity=result.name)
            return True
        words = f"Another account of the settings is {result.name} already: one identity, one name."
        newsroom.store.commit(CheckFailed(account, Reason.LOGIN, words, PROBE[Reason.LOGIN]))
        return False
    what = parked(result)
    log.warning("check_failed", account=account, parked=what.breaker, words=what.words)
    newsroom.store.commit(CheckFailed(account, what.breaker, what.words, PROBE[what.breaker]))
    return False


def ask(newsroom: Newsroom, account: str) -> Identity | SendError:
    """The network's answer to "who am I", with one renewal if the token was over. Writes nothing else."""
    result = _asked_once(newsroom, account)
    if isinstance(result, Expired):
        if not renew(newsroom, account):
            # Refused: the login is dead. Else another renews it just now, or died over it, or the way was broken.
            return AuthFailed(result.words, status=result.status) if _is_parked(newsroom, account) else result
        result = _asked_once(newsroom, account)
    if isinstance(result, Expired):
        return AuthFailed(result.words, status=result.status)
    return result


def _is_parked(newsroom: Newsroom, account: str) -> bool:
    with newsroom.store.read() as tx:
        row = stored_accounts.by_name(tx, account)
    return row is not None and row.breaker is Reason.LOGIN


def _asked_once(newsroom: Newsroom, account: str) -> Identity | SendError:
    with newsroom.store.read() as tx:
        row = stored_accounts.by_name(tx, account)
    assert row is not None
    try:
        return newsroom.safely(newsroom.reader(row).check)
    except Exception as error:  # noqa: BLE001 -- the seam's rule: anything unexpected is Unknown
        return only_send_errors(error)


def renew(newsroom: Newsroom, account: str) -> bool:
    """Renew the account's credentials, once among all workers, and store them before anybody uses them.

    True if there are newer ones than the caller had. Only the network's own refusal is a dead login; trouble on the way
    leaves the old ones, and the account is asked again later (pain P79).
    """
    with newsroom.store.read() as tx:
        row = stored_accounts.by_name(tx, account)
    if row is None or not newsroom.store.commit(
        BeginRefresh(account, newsroom.worker, REFRESH_LEASE, row.refreshed_at)
    ):
        return False
    newsroom.crash("check before refresh")
    try:
        fresh = newsroom.publisher(row).refresh()
    except Exception as error:  # noqa: BLE001 -- the seam's rule: anything unexpected is Unknown
        newsroom.store.commit(EndRefresh(account, newsroom.worker, None))
        what = parked(only_send_errors(error))
        newsroom.store.commit(Note("refresh_failed", account, {"words": what.words}))
        newsroom.store.commit(CheckFailed(account, what.breaker, what.words, PROBE[what.breaker]))
        return False
    newsroom.crash("check before refresh is stored")
    return newsroom.store.commit(EndRefresh(account, newsroom.worker, newsroom.sealed(account, fresh)))
