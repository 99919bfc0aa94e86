"""How the listings say things: a state's word, a delivery's why, a route's place, money. Pure; no store, no settings
beyond what is handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from bot.cli.render import distance, moment
from bot.errors import UsageError
from bot.model import STATE_WORDS, Delivery, Reason, State, Unit, Why
from bot.reasons import sentence

if TYPE_CHECKING:
    from bot.settings import Settings

#: What a command lists as open: everything that may still become a post.
OPEN = (State.WAITING, State.SENDING, State.UNKNOWN, State.HELD)
#: Words that name a part of a state: the state, and what else must hold.
_PARTS: Mapping[str, tuple[State, Callable[[Delivery], bool]]] = {
    "trying again": (State.WAITING, lambda one: one.tries > 0),
    "login needed": (State.WAITING, lambda one: one.reason.reason is Reason.LOGIN),
    "needs login": (State.WAITING, lambda one: one.reason.reason is Reason.LOGIN),
    "missed": (State.SKIPPED, lambda one: one.reason.reason is Reason.STALE),
}
_OTHER_NAMES = {"failed": State.REJECTED, "unclear": State.UNKNOWN, "on hold": State.HELD, "retry": State.WAITING}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `--state` asks for."""

    states: tuple[State, ...]
    holds: Callable[[Delivery], bool]


def states_of(said: Sequence[str]) -> Wanted:
    """The states that were named, in the code's words or the screen's. None named: the open ones.

    Raises UsageError with the nearest word and all that are known.
    """
    if not said:
        return Wanted(OPEN, lambda one: True)
    states: list[State] = []
    checks: list[tuple[State, Callable[[Delivery], bool]]] = []
    for name in said:
        state, holds = _state(name)
        states.append(state)
        checks.append((state, holds))
    return Wanted(
        tuple(dict.fromkeys(states)),
        lambda one: any(one.state is state and holds(one) for state, holds in checks),
    )


def _state(name: str) -> tuple[State, Callable[[Delivery], bool]]:
    word = " ".join(name.lower().replace("-", " ").replace("_", " ").split())
    if word in _PARTS:
        return _PARTS[word]
    known = {str(state): state for state in State} | {text: state for state, text in STATE_WORDS.items()} | _OTHER_NAMES
    if word in known:
        return known[word], lambda one: True
    from difflib import get_close_matches

    near = get_close_matches(word, [*known, *_PARTS], 1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    raise UsageError(f'"{name}" is no state.{hint} Known: {", ".join(sorted({*known, *_PARTS}))}.')


def state_word(delivery: Delivery, breaker: Reason | None = None) -> str:
    """The screen's word for where a delivery stands (ux: 1.2). `breaker`: what its account is parked for."""
    if delivery.state is State.WAITING:
        if breaker is Reason.LOGIN:
            return "login needed"
        return "trying again" if delivery.tries else STATE_WORDS[State.WAITING]
    if delivery.state is State.SKIPPED and delivery.reason.reason is Reason.STALE:
        return "missed"
    return STATE_WORDS[delivery.state]


def why_of(delivery: Delivery) -> tuple[Why, ...]:
    """The reasons of where a delivery stands now; for one that waits, the rule and what moved its time."""
    if (
        delivery.state is State.WAITING
        and delivery.reason.reason in (Reason.ROUTE, Reason.BY_HAND)
        and delivery.due_why
    ):
        return (delivery.reason, *delivery.due_why)
    return (delivery.reason,)


def why_words(delivery: Delivery, zone: str, now: datetime, breaker: Why | None = None) -> str:
    """One sentence for a table's cell: the last reason, which is the one that holds it there."""
    why = breaker if breaker is not None and delivery.state is State.WAITING else why_of(delivery)[-1]
    return say(why, delivery, zone, now)


def say(why: Why, delivery: Delivery | None, zone: str, now: datetime) -> str:
    """A reason as its sentence, with the account and the time of this delivery."""
    if delivery is not None and delivery.state is State.SENT and why.reason is Reason.RESTORED:
        why = Why(Reason.SENT, "found after a restore")  # as a reason of its own it is one to hold
    at = None
    if delivery is not None:
        at = delivery.sent_at if delivery.state is State.SENT else delivery.due_at
    shown = moment(at, zone, now) if at is not None else None
    account = delivery.account if delivery is not None else None
    return sentence(why, account=account, at=shown, until=shown)


def left(account: str) -> str:
    """Why what waits on an account that is not in the settings doesn't go, and what to do; the sentence goes on."""
    return f"Doesn't go: {account} has left the settings. Put the account back"


def would_not(why: Why, account: str, delivery: Delivery | None, zone: str, now: datetime) -> str:
    """A reason in the future tense: "would not go: section is politics", "would be held: the article has no link"."""
    said = say(why, delivery, zone, now)
    for past, future in ((f"Didn't go to {account}: ", "would not go: "), ("Didn't go: ", "would not go: ")):
        if said.startswith(past):
            return future + said.removeprefix(past)
    if said.startswith("On hold: "):
        return "would be held: " + said.removeprefix("On hold: ")
    return f"would not go: {said[:1].lower()}{said[1:]}"


def route_place(settings: Settings, name: str) -> str:
    """Where a route is said: "config/wirepost.toml:50", or the variable that said it; "" for no route of that name."""
    names = [route.name for route in settings.editorial.routes]
    if name not in names:
        return ""
    path = ("routes", names.index(name))
    origin, place = settings.origin(path), settings.ledger.places.key(path)
    if origin is not None and origin.kind != "file":
        return origin.where
    return f"{settings.ledger.file}:{place.line}" if place is not None else settings.ledger.file


def when_words(at: datetime | None, zone: str, now: datetime) -> str:
    """ "14:10 in 3m"; "-" for no time."""
    return "-" if at is None else f"{moment(at, zone, now)} {distance(at, now)}"


def units(unit: Unit, size: int) -> str:
    """The unit of a count: "graphemes"; X's weighted length is called characters, as X does."""
    word = {Unit.UTF16: "UTF-16 units", Unit.WEIGHTED: "characters"}.get(unit, str(unit))
    return word if size != 1 else word.removesuffix("s")


def counted(numbers: Mapping[str, int]) -> str:
    """ "2 planned, 1 on hold": what there is of each, in the order given; "nothing" for none."""
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number) or "nothing"


def plural(number: int, noun: str) -> str:
    """ "1 post", "2 posts"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def money(amount: Decimal) -> str:
    """An amount with at least two digits: "4.10", "0.015"."""
    text = f"{amount.normalize():f}"
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents:0<2}"


def reasons_json(whys: Iterable[Why], delivery: Delivery | None, zone: str, now: datetime) -> list[dict[str, str]]:
    """Reasons for programs: the stable code, its free words, and the sentence that people read."""
    return [
        {"reason": str(why.reason), "detail": why.detail, "sentence": say(why, delivery, zone, now)} for why in whys
    ]
