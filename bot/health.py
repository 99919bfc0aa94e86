"""Does it live, would a due post leave now, and the numbers: `/live`, `/ready`, `/metrics` on a small port.

Ready means useful: the store answers with our schema, this worker was seen just now, and nothing is overdue that should
have gone. A stopped newsroom is ready.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import case, func, select

from bot import __version__
from bot.errors import StoreError
from bot.flow.newsroom import Newsroom
from bot.model import Outcome, State, Status
from bot.rules.timing import limits_at, pacing_at, timing_for
from bot.store import Tx, attempts, deliveries, migrate, schema, stops
from bot.store import accounts as stored_accounts
from bot.store import sources as stored_sources
from bot.store.accounts import AccountRow
from bot.store.alerts import open_alerts
from bot.store.workers import WorkerRow, all_workers

# A loop that beat within this lives; a worker seen within it would send what is due (pain P24).
BEAT = 60.0
# A probe that sends nothing for so long is cut off: each holds a thread (seconds).
PATIENCE = 10.0


class Living(Protocol):
    """What health needs of a worker: its newsroom, its last beat (monotonic), what its store last refused."""

    @property
    def newsroom(self) -> Newsroom: ...
    @property
    def beat_at(self) -> float: ...
    @property
    def store_trouble(self) -> str | None: ...


Report = tuple[bool, dict[str, Any]]


def live(worker: Living) -> Report:
    """Did the worker's loop beat within a minute? Touches nothing else: a database that is down needs no restart."""
    age = worker.newsroom.clock.monotonic() - worker.beat_at
    return age <= BEAT, {"beat_age_seconds": round(age, 1)}


def ready(worker: Living) -> Report:
    """Would a due post leave now? With the reasons why not."""
    store = worker.newsroom.store
    reasons = [worker.store_trouble] if worker.store_trouble else []
    detail: dict[str, Any] = {"data_is_mount": data_is_mount(store.path)}
    try:
        migrate.require(store)
        with store.read() as tx:
            detail["stopped"] = [str(switch) for switch in stops.switches(tx)]
            reasons += _unseen(worker.newsroom.worker, all_workers(tx), tx.now)
            reasons += [alert.words for alert in open_alerts(tx) if alert.kind == "overdue"]
    except StoreError as error:
        reasons.append(str(error))
    return not reasons, {**detail, "reasons": reasons}


def _unseen(me: str, workers: Sequence[WorkerRow], now: datetime) -> list[str]:
    """Why this worker is taken for dead or stuck, if it is: another one that lives is ready for itself."""
    mine = next((row for row in workers if row.id == me), None)
    if mine is None:
        return ["no worker was seen of this process"]
    if now - mine.beat_at > timedelta(seconds=BEAT):
        return [f"no worker was seen within a minute: this one's last beat was at {mine.beat_at:%H:%M:%S}"]
    return []


def data_is_mount(path: Path | None, *, root: Path = Path("/")) -> bool | None:
    """Does the store's folder outlive a container? None: there is no folder, or this is no container (pain P106)."""
    if path is None or not in_container(root):
        return None
    return any(os.path.ismount(folder) for folder in path.resolve().parents if folder != Path("/"))


def in_container(root: Path = Path("/")) -> bool:
    """Docker and Podman leave a mark at the root; elsewhere (Kubernetes) the root is an overlay of image layers."""
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        return True
    try:
        mounts = [line.split() for line in (root / "proc/self/mounts").read_text("utf-8", "replace").splitlines()]
    except OSError:
        return False  # no Linux
    return any(fields[1:3] == ["/", "overlay"] for fields in mounts)


# -- numbers ------------------------------------------------------------------------------------------------------


class Tally:
    """Attempts by how they ended, since this process began to count, whoever made them.

    A scrape reads what is newer than the one before and what had not ended then: to count them all would cost a second
    for each million that the store ever had.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: int | None = None
        self._open: set[int] = set()
        self._ended: Counter[tuple[str, Outcome]] = Counter()

    def ended(self, tx: Tx) -> Mapping[tuple[str, Outcome], int]:
        """How many attempts of each account have ended in which outcome; none at the first call."""
        with self._lock:
            if self._last is None:
                self._last = attempts.last_number(tx)
            for number, account, outcome in attempts.outcomes(tx, after=self._last, also=self._open):
                self._last = max(self._last, number)
                self._open.discard(number)
                if outcome in _NOT_ENDED:
                    self._open.add(number)
                else:
                    self._ended[account, outcome] += 1
            return dict(self._ended)


_NOT_ENDED = (Outcome.OPEN, Outcome.PENDING, Outcome.UNKNOWN)


def metrics(worker: Living, tally: Tally) -> bytes:
    """All numbers as Prometheus text. Labels come from the settings and from enums only, never from ids or titles."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector(worker, tally))
    return generate_latest(registry)


class _Collector:
    """Reads the store once per scrape."""

    def __init__(self, worker: Living, tally: Tally) -> None:
        self._worker = worker
        self._tally = tally

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        build = GaugeMetricFamily("wirepost_build_info", "The version that runs.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        beat = self._worker.newsroom.clock.monotonic() - self._worker.beat_at
        yield GaugeMetricFamily("wirepost_worker_beat_age_seconds", "Seconds since the loop beat.", value=beat)
        try:
            with self._worker.newsroom.store.read() as tx:
                for family in (_queue, _accounts, _caps, _sources, _store):
                    yield from family(self._worker.newsroom, tx)
                yield _attempts(self._worker.newsroom, self._tally.ended(tx))
        except StoreError:
            yield GaugeMetricFamily("wirepost_store_up", "Does the store answer?", value=0)


def _queue(newsroom: Newsroom, tx: Tx) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily("wirepost_deliveries", "Deliveries in an open state.", labels=["account", "state"])
    counted = deliveries.counts(tx)
    for account in sorted(newsroom.accounts):
        for state in (State.WAITING, State.SENDING, State.UNKNOWN, State.HELD):
            family.add_metric([account, state], counted.get((account, state), 0))
    yield family
    oldest = GaugeMetricFamily("wirepost_oldest_due_seconds", "How long the oldest due post waits.", labels=["account"])
    late = {one.account: one.due_at for one in deliveries.overdue(tx, before=tx.now)}
    for account in sorted(newsroom.accounts):
        due = late.get(account)
        oldest.add_metric([account], (tx.now - due).total_seconds() if due else 0)
    yield oldest


def _attempts(newsroom: Newsroom, ended: Mapping[tuple[str, Outcome], int]) -> Any:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(
        "wirepost_attempts", "Attempts by how they ended, since this worker started.", labels=["account", "outcome"]
    )
    for account in sorted(newsroom.accounts):
        for outcome in Outcome:
            if outcome not in _NOT_ENDED:
                family.add_metric([account, outcome], ended.get((account, outcome), 0))
    return family


def _accounts(newsroom: Newsroom, tx: Tx) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    up = GaugeMetricFamily("wirepost_account_up", "May the account send (no breaker)?", labels=["account"])
    expiry = GaugeMetricFamily(
        "wirepost_account_login_expiry_timestamp_seconds", "When its login ends, if it does.", labels=["account"]
    )
    last = GaugeMetricFamily("wirepost_account_last_sent_timestamp_seconds", "Its newest post.", labels=["account"])
    info = GaugeMetricFamily("wirepost_account_info", "Which network it is on.", labels=["account", "network"])
    money = ["account", "currency"]
    cost = GaugeMetricFamily("wirepost_account_cost", "Spent in this calendar month (UTC).", labels=money)
    for name, row in _rows(newsroom, tx):
        network = newsroom.accounts[name].network
        info.add_metric([name, network.name], 1)
        up.add_metric([name], 0 if row.breaker else 1)
        if row.expires_at:
            expiry.add_metric([name], row.expires_at.timestamp())
        if row.identity:
            spent = attempts.spent_in(tx, row.identity, tx.now.strftime("%Y-%m"))
            cost.add_metric([name, network.cost.currency], float(spent))
    for name, at in stored_accounts.last_sent(tx).items():
        if name in newsroom.accounts:
            last.add_metric([name], at.timestamp())
    yield from (info, up, expiry, last, cost)


def _rows(newsroom: Newsroom, tx: Tx) -> list[tuple[str, AccountRow]]:
    known = stored_accounts.all_accounts(tx)
    return [(name, row) for name, row in known.items() if name in newsroom.accounts]


def _caps(newsroom: Newsroom, tx: Tx) -> Iterator[Any]:
    """What each cap still lets out: the same windows as at the start of an attempt."""
    from prometheus_client.core import GaugeMetricFamily

    left = GaugeMetricFamily("wirepost_cap_remaining", "Posts that a cap leaves.", labels=["account", "window"])
    for name, row in _rows(newsroom, tx):
        pace = newsroom.accounts[name].network.pace
        timing = timing_for(newsroom.editorial, name, pace, joined_at=row.joined_at)
        caps = limits_at(timing, tx.now)
        capped = [window for window, most in caps._asdict().items() if most is not None]
        windows = pacing_at(timing, tx.now, pinned=False, over_cap=False).windows
        for window, (since, most) in zip(capped, windows, strict=True):
            left.add_metric([name, window], max(0, most - stored_accounts.posted_since(tx, row.identity, since)))
    yield left


def _sources(newsroom: Newsroom, tx: Tx) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    good = GaugeMetricFamily("wirepost_source_last_success_timestamp_seconds", "The last good look.", labels=["source"])
    errors = GaugeMetricFamily("wirepost_source_errors", "Failed looks in a row.", labels=["source"])
    for row in stored_sources.all_sources(tx):
        if row.name in newsroom.sources:
            errors.add_metric([row.name], row.errors)
            if row.last_good_at:
                good.add_metric([row.name], row.last_good_at.timestamp())
    yield from (good, errors, _articles(newsroom, tx))


def _articles(newsroom: Newsroom, tx: Tx) -> Any:
    from prometheus_client.core import CounterMetricFamily

    table = schema.articles
    withdrawn = func.sum(case((table.c.status == Status.WITHDRAWN, 1), else_=0))
    query = (
        select(table.c.source, func.count(), func.sum(table.c.revision - 1), withdrawn)
        .group_by(table.c.source)
        .order_by(table.c.source)
    )
    family = CounterMetricFamily("wirepost_articles", "What its looks brought.", labels=["source", "result"])
    for row in tx.rows(query):
        if row.source in newsroom.sources:
            numbers: tuple[int, ...] = tuple(row)[1:]
            for result, number in zip(("new", "changed", "withdrawn"), numbers, strict=True):
                family.add_metric([row.source, result], int(number or 0))
    return family


def _store(newsroom: Newsroom, tx: Tx) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily("wirepost_store_up", "Does the store answer?", value=1)
    yield GaugeMetricFamily("wirepost_schema_version", "Its schema.", value=int(migrate.revision(newsroom.store) or 0))
    stopped = GaugeMetricFamily("wirepost_stopped", "Stop switches that are on.", labels=["scope"])
    on = stops.switches(tx)
    for scope in stops.Scope:
        stopped.add_metric([scope], sum(switch.scope is scope for switch in on))
    yield stopped
    yield GaugeMetricFamily("wirepost_clock_skew_seconds", "Ours ahead.", value=newsroom.skew.total_seconds())
    yield GaugeMetricFamily("wirepost_store_bytes", "Size of the store.", value=_size(newsroom.store.path, tx))
    beats = [row.beat_at.timestamp() for row in all_workers(tx)]
    if beats:
        name = "wirepost_worker_heartbeat_timestamp_seconds"
        yield GaugeMetricFamily(name, "The newest beat of any worker.", value=max(beats))


def _size(path: Path | None, tx: Tx) -> int:
    """Bytes of the SQLite file and its log, or of the database."""
    if path is None:
        return int(tx.execute(select(func.pg_database_size(func.current_database()))).scalar_one())
    return sum(file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists())


# -- the port -----------------------------------------------------------------------------------------------------


class HealthServer:
    """The three addresses, served by a thread until `close`."""

    def __init__(self, listen: str, worker: Living) -> None:
        """Raises OSError if the address can't be had."""
        tally = Tally()
        with suppress(StoreError), worker.newsroom.store.read() as tx:
            tally.ended(tx)  # from now on; else from the first scrape
        host, _, port = listen.rpartition(":")
        server = _Server6 if host.startswith("[") else ThreadingHTTPServer
        self._server = server((host.strip("[]") or "127.0.0.1", int(port)), _handler(worker, tally))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _handler(worker: Living, tally: Tally) -> type[BaseHTTPRequestHandler]:
    reports: dict[str, Callable[[Living], Report]] = {"/live": live, "/ready": ready}

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE
        server_version, sys_version = "wirepost", ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in reports:
                good, detail = reports[path](worker)
                self._answer(200 if good else 503, "application/json", json.dumps(detail).encode())
            elif path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", metrics(worker, tally))
            else:
                self._answer(404, "application/json", b'{"there is": ["/live", "/ready", "/metrics"]}')

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Probes come every few seconds: not worth a line."""

    return Handler
