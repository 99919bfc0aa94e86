"""Does it live, would a due post leave now, and the numbers: `/live`, `/ready`, `/metrics` on a small port.

Ready means useful: the store answers with our schema, and a worker was seen just now. A stopped newsroom is ready.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from bot import __version__
from bot.errors import StoreError
from bot.flow.newsroom import Newsroom
from bot.model import State
from bot.store import Tx, attempts, deliveries, migrate, stops
from bot.store import accounts as stored_accounts
from bot.store import sources as stored_sources
from bot.store.workers import all_workers

# A loop that beat within this lives; a worker seen within it would send what is due (pain P24).
BEAT = 60.0


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
            beats = [row.beat_at for row in all_workers(tx)]
            detail["stopped"] = [str(switch) for switch in stops.switches(tx)]
            if not beats or tx.now - max(beats) > timedelta(seconds=BEAT):
                reasons.append("no worker was seen within a minute")
    except StoreError as error:
        reasons.append(str(error))
    return not reasons, {**detail, "reasons": reasons}


def data_is_mount(path: Path | None) -> bool | None:
    """Does the store's folder outlive a container? None: there is no folder, or this is no container (pain P106)."""
    if path is None or not Path("/.dockerenv").exists():
        return None
    return any(os.path.ismount(folder) for folder in path.absolute().parents if folder != Path("/"))


# -- numbers ------------------------------------------------------------------------------------------------------


def metrics(worker: Living) -> bytes:
    """All numbers as Prometheus text. Labels come from the settings and from enums only, never from ids or titles."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector(worker))
    return generate_latest(registry)


class _Collector:
    """Reads the store once per scrape."""

    def __init__(self, worker: Living) -> None:
        self._worker = worker

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        build = GaugeMetricFamily("wirepost_build_info", "The version that runs.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        beat = self._worker.newsroom.clock.monotonic() - self._worker.beat_at
        yield GaugeMetricFamily("wirepost_worker_beat_age_seconds", "Seconds since the loop beat.", value=beat)
        try:
            with self._worker.newsroom.store.read() as tx:
                for family in (_queue, _accounts, _sources, _store):
                    yield from family(self._worker.newsroom, tx)
        except StoreError:
            yield GaugeMetricFamily("wirepost_store_up", "Does the store answer?", value=0)


def _queue(newsroom: Newsroom, tx: Tx) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

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
    tried = CounterMetricFamily("wirepost_attempts", "Attempts by how they ended.", labels=["account", "outcome"])
    for (account, outcome), number in sorted(attempts.counts(tx).items()):
        if account in newsroom.accounts:
            tried.add_metric([account, outcome], number)
    yield tried


def _accounts(newsroom: Newsroom, tx: Tx) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    up = GaugeMetricFamily("wirepost_account_up", "May the account send (no breaker)?", labels=["account"])
    expiry = GaugeMetricFamily(
        "wirepost_account_login_expiry_timestamp_seconds", "When its login ends, if it does.", labels=["account"]
    )
    last = GaugeMetricFamily("wirepost_account_last_sent_timestamp_seconds", "Its newest post.", labels=["account"])
    cost = GaugeMetricFamily("wirepost_account_cost", "Spent in this calendar month (UTC).", labels=["account"])
    for name, row in stored_accounts.all_accounts(tx).items():
        if name not in newsroom.accounts:
            continue
        up.add_metric([name], 0 if row.breaker else 1)
        if row.expires_at:
            expiry.add_metric([name], row.expires_at.timestamp())
        if row.identity:
            cost.add_metric([name], float(attempts.spent_in(tx, row.identity, tx.now.strftime("%Y-%m"))))
    for name, at in stored_accounts.last_sent(tx).items():
        last.add_metric([name], at.timestamp())
    yield from (up, expiry, last, cost)


def _sources(newsroom: Newsroom, tx: Tx) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    good = GaugeMetricFamily("wirepost_source_last_success_timestamp_seconds", "The last good look.", labels=["source"])
    errors = GaugeMetricFamily("wirepost_source_errors", "Failed looks in a row.", labels=["source"])
    for row in stored_sources.all_sources(tx):
        if row.name in newsroom.sources:
            errors.add_metric([row.name], row.errors)
            if row.last_good_at:
                good.add_metric([row.name], row.last_good_at.timestamp())
    yield from (good, errors)


def _store(newsroom: Newsroom, tx: Tx) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily("wirepost_store_up", "Does the store answer?", value=1)
    yield GaugeMetricFamily("wirepost_schema_version", "Its schema.", value=int(migrate.HEAD))
    yield GaugeMetricFamily("wirepost_stopped", "Stop switches that are on.", value=len(stops.switches(tx)))
    yield GaugeMetricFamily("wirepost_clock_skew_seconds", "Ours ahead.", value=newsroom.skew.total_seconds())
    path = newsroom.store.path
    if path is not None and path.exists():
        yield GaugeMetricFamily("wirepost_store_bytes", "Size of the store's file.", value=path.stat().st_size)
    beats = [row.beat_at.timestamp() for row in all_workers(tx)]
    if beats:
        name = "wirepost_worker_heartbeat_timestamp_seconds"
        yield GaugeMetricFamily(name, "The newest beat of any worker.", value=max(beats))


# -- the port -----------------------------------------------------------------------------------------------------


class HealthServer:
    """The three addresses, served by a thread until `close`."""

    def __init__(self, listen: str, worker: Living) -> None:
        """Raises OSError if the address can't be had."""
        host, _, port = listen.rpartition(":")
        self._server = ThreadingHTTPServer((host.strip("[]") or "127.0.0.1", int(port)), _handler(worker))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(worker: Living) -> type[BaseHTTPRequestHandler]:
    reports: dict[str, Callable[[Living], Report]] = {"/live": live, "/ready": ready}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in reports:
                good, detail = reports[path](worker)
                self._answer(200 if good else 503, "application/json", json.dumps(detail).encode())
            elif path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", metrics(worker))
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
