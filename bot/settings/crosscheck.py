"""The second pass: settings that hold, and yet can't be meant. Each check is a function from them to its warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import time, timedelta

from bot import networks
from bot.errors import Problem
from bot.model import Priority
from bot.rules.durations import spell_duration
from bot.rules.editorial import Editorial, Route, Schedule, Span
from bot.rules.shadows import never_matches
from bot.rules.slots import longest_gap
from bot.settings.complaints import Ledger, nearest, secret_keys
from bot.settings.layers import secret_places
from bot.settings.tables import AccountSettings

_HOUR = timedelta(hours=1)


def crosscheck(editorial: Editorial, accounts: Mapping[str, AccountSettings], ledger: Ledger) -> list[Problem]:
    """All warnings of the second pass. Pure but for the networks' classes, which say what their secrets are."""
    checks = (
        *_nothing_to_do(editorial, ledger),
        *_unreached(editorial, ledger),
        *_lost_names(editorial, ledger),
        *_shadowed(editorial, ledger),
        *_slots_in_quiet(editorial, ledger),
        *_too_many_slots(editorial, ledger),
        *_stale_before_slot(editorial, ledger),
        *_twins(accounts, ledger),
        *_no_login(accounts, ledger),
    )
    return list({(problem.key, problem.message): problem for problem in checks}.values())


def _warn(ledger: Ledger, path: tuple[str | int, ...], message: str, fix: str = "") -> Problem:
    return ledger.problem(path, message, fix=fix, level="warning")


# -- what is missing ----------------------------------------------------------------------------------------------


def _nothing_to_do(editorial: Editorial, ledger: Ledger) -> Iterator[Problem]:
    """Settings that hold nothing, as an empty file does."""
    if not editorial.sources and not editorial.accounts:
        message = "there is no source and no account: nothing is posted"
        yield replace(_warn(ledger, (), message, "wirepost init -h shows how to begin"), key="")


def _unreached(editorial: Editorial, ledger: Ledger) -> Iterator[Problem]:
    """Accounts that nobody gave a route."""
    for account in editorial.accounts:
        if not any(route.takes(account) for route in editorial.routes):
            message = "no route goes to it: nothing is posted there but by hand"
            yield _warn(ledger, ("accounts", account), message, f'name it in a route: to = ["{account}"]')


# -- names --------------------------------------------------------------------------------------------------------


def _lost_names(editorial: Editorial, ledger: Ledger) -> Iterator[Problem]:
    """Patterns that name no account, sources and tag tables that name nothing."""
    accounts = list(editorial.accounts)
    for index, route in enumerate(editorial.routes):
        held = route.hold if isinstance(route.hold, tuple) else ()
        for key, patterns in (("to", route.to), ("hold", held)):
            for place, pattern in enumerate(patterns):
                if not any(route.names(account, (pattern,)) for account in accounts):
                    yield _lost(ledger, ("routes", index, key, place), pattern, "account", accounts)
        for place, source in enumerate(route.when.sources):
            if source not in editorial.sources:
                path = ("routes", index, "when", "sources", place)
                yield _lost(ledger, path, source, "source", list(editorial.sources))
    known = {"default", *accounts, *(rules.network for rules in editorial.accounts.values())}
    for key, names in (("max", editorial.tags.max), ("always", editorial.tags.always)):
        for name in names:
            if name not in known and name not in networks.names():
                yield _lost(ledger, ("tags", key, name), name, "account or network", sorted(known))


def _lost(ledger: Ledger, path: tuple[str | int, ...], name: str, noun: str, known: list[str]) -> Problem:
    near = nearest(name, known)
    proposal = f'did you mean "{near}"? ' if near else ""
    return _warn(ledger, path, f'"{name}" names no {noun}', f"{proposal}Known: {' '.join(known)}".strip())


def _shadowed(editorial: Editorial, ledger: Ledger) -> Iterator[Problem]:
    for index, why in never_matches(editorial):
        name = editorial.routes[index].name
        yield replace(_warn(ledger, ("routes", index), f'route "{name}" never matches: {why}'), key="")


# -- times --------------------------------------------------------------------------------------------------------


def _timed(editorial: Editorial) -> Iterator[tuple[int, Route, str, Schedule, str]]:
    """Each route with a schedule of slots, and each account that it reaches."""
    for index, route in enumerate(editorial.routes):
        schedule = editorial.schedules.get(route.schedule or "")
        if schedule is None or schedule.asap:
            continue
        for account in editorial.accounts:
            if route.takes(account):
                yield index, route, str(route.schedule), schedule, account


def _slots_in_quiet(editorial: Editorial, ledger: Ledger) -> Iterator[Problem]:
    for _, route, name, schedule, account in _timed(editorial):
        if (schedule.timezone or editorial.zone_of(account)) != editorial.zone_of(account):
            continue  # the two clocks differ: what overlaps depends on the date
        quiet = editorial.quiet_of(account) if route.quiet is None else route.quiet
        for days, times in schedule.slots.items():
            for place, at in enumerate(times):
                span = _span_of(at, quiet)
                if span is not None:
                    message = f"the slot {at:%H:%M} lies in the quiet hours {span} of {account}: nothing goes out then"
                    path = ("schedules", name, days, place)
                    yield _warn(ledger, path, message, "move it, or give the route quiet = []")


def _span_of(at: time, quiet: tuple[Span, ...]) -> Span | None:
    return next((span for span in quiet if span.holds(at)), None)


def _too_many_slots(editorial: Editorial, ledger: Ledger) -> Iterator[Problem]:
    for index, route, name, schedule, account in _timed(editorial):
        cap, most = editorial.caps_of(account).day, max(len(schedule.times(day)) for day in range(7))
        if cap is not None and most > cap and not route.over_cap:
            message = f'"{name}" has {most} slots a day, the cap of {account} is {cap}'
            yield _warn(ledger, ("routes", index, "schedule"), message, f"the last {most - cap} stay empty")


def _stale_before_slot(editorial: Editorial, ledger: Ledger) -> Iterator[Problem]:
    """Freshness shorter than the longest time between two slots: what comes in between is missed."""
    for index, route, name, schedule, _ in _timed(editorial):
        gap = longest_gap(schedule)
        max_age = _max_age(editorial, route)
        if max_age < gap < timedelta.max:
            hours = -(-gap // _HOUR)
            message = (
                f'articles for "{name}" can be missed: up to {spell_duration(gap)} lie between two slots,'
                f" and they are too old after {spell_duration(max_age)}"
            )
            yield _warn(ledger, ("routes", index, "schedule"), message, f"raise max_age to {hours}h or add a slot")


def _max_age(editorial: Editorial, route: Route) -> timedelta:
    if route.max_age is not None:
        return route.max_age
    breaking = Priority.BREAKING in (route.priority, route.when.priority)
    return editorial.defaults.max_age_breaking if breaking else editorial.defaults.max_age


# -- accounts -----------------------------------------------------------------------------------------------------


def _twins(accounts: Mapping[str, AccountSettings], ledger: Ledger) -> Iterator[Problem]:
    """Two names for what looks like one identity: each article would go out twice there."""
    seen: list[AccountSettings] = []
    for account in accounts.values():
        twin = next((e for e in seen if e.network == account.network and e.options == account.options), None)
        if twin is not None:
            message = f"{account.name} and {twin.name} say the same of {account.network}: one identity, two names?"
            yield _warn(ledger, ("accounts", account.name), message, "keep one of them")
        seen.append(account)


def _no_login(accounts: Mapping[str, AccountSettings], ledger: Ledger) -> Iterator[Problem]:
    """Accounts that could log in in several ways, and were given none."""
    for account in accounts.values():
        model = networks.network(account.network).Options
        keys = secret_keys(model)
        if not keys or any(model.model_fields[key].is_required() for key in keys if key in model.model_fields):
            continue  # without secrets, or told already while the table was read
        if not any(getattr(account.options, key) for key in keys):
            path = ("accounts", account.name)
            fix = f"put those that you have where they belong, such as {secret_places((*path, keys[0]))}"
            yield _warn(ledger, path, f"no login is given: none of {', '.join(keys)}", fix)
