"""The one door for everything outbound (interface; being built)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import httpx


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer: status, headers, the body as bytes (decoded from gzip, under the cap), and when it came."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str
    received_at: datetime

    def json(self) -> Any: ...

    @property
    def text(self) -> str: ...

    @property
    def request_id(self) -> str | None: ...

    def words(self) -> str: ...


class Http(Protocol):
    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        safe: bool = False,
        redirects: int = 0,
    ) -> Response: ...


def reset_time(response: Response) -> datetime | None: ...
