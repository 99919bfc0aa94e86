"""Looking an unclear post up for a person: on the network first, and only then by the person's own word."""

from __future__ import annotations

from bot.desk import Case, Desk, TooLate, Unclear, account_stands, became, not_there
from bot.errors import UsageError
from bot.flow import reconcile
from bot.flow.newsroom import Newsroom
from bot.model import Receipt, State
from bot.store import accounts
from bot.store import deliveries as stored_deliveries


def look_up(room: Newsroom, case: Case) -> str:
    """Ask the network. Found, it is sent; what is not found stays as it is. Raises Unclear if nobody could be asked."""
    one = case.delivery
    if not case.in_doubt:
        raise TooLate(f"There is nothing unclear: {became(case)}")
    account_stands(case, f"say what you saw there yourself: wirepost lookup {case.shown} --there URL")
    found = reconcile.look_up(room, one)
    if not isinstance(found, Receipt):
        words = "doesn't show it" if found is None else f"could not be asked: {found}"
        mine = f"wirepost lookup {case.shown} --there URL, or --not-there"
        raise Unclear(f"{one.account} {words}. {case.shown} stays unclear. If you saw it yourself: {mine}")
    at = f" posted {case.clock(found.at, '%H:%M:%S')}" if found.at is not None else ""
    with room.store.read() as tx:
        now = stored_deliveries.by_id(tx, one.id)
    state = "is now sent" if now is not None and now.state is State.SENT else f"stays {now.state if now else 'gone'}"
    return f"Found on {one.account}: {found.url or found.remote_id}{at}. {case.shown} {state}."


def send_again(room: Newsroom, desk: Desk, delivery: str) -> str:
    """A person says that it isn't there. The network is asked once more: found after all, it is not doubled."""
    case = desk.case(delivery)
    not_there(case)  # may it be said at all?
    if not desk.dry and case.delivery.account in room.accounts:
        found = reconcile.look_up(room, case.delivery)
        if isinstance(found, Receipt):
            return f"It is there after all: {found.url or found.remote_id}. {case.shown} is now sent."
    return desk.do(delivery, not_there)


def receipt_at(room: Newsroom, case: Case, url: str) -> Receipt:
    """The receipt of a post at an address: the network's own if it lists it; else what the address tells, perhaps no
    remote id at all. Raises UsageError."""
    if "://" not in url or any(sign.isspace() for sign in url):
        raise UsageError(f"{url}: the post's address is expected, such as https://social.example.com/@desk/1")
    one, told = case.delivery, ""
    with room.store.read() as tx:
        row = accounts.by_name(tx, one.account)
    if row is not None and one.account in room.accounts and case.attempt is not None:
        adapter = room.reader(row)
        try:
            listed = adapter.recent(case.attempt.started_at) if adapter.abilities().find else ()
        except Exception:  # noqa: BLE001 -- whatever an adapter raises: the person's word stands alone then
            listed = ()
        told = adapter.id_at(url) or ""
        for seen in listed:
            if seen.receipt.url == url or seen.receipt.remote_id == told:
                return seen.receipt
    return Receipt(remote_id=told, url=url, at=case.now)
