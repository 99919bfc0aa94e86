"""The feed source against a real loopback server that says what real servers said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from pydantic import ValidationError

from bot.errors import Blocked, Ended, NotFeed, SourceError, TooLarge, Unreachable
from bot.http import Response
from bot.sources.base import Batch, Gone
from bot.sources.feed import Feed, FeedOptions, _move, same_site
from bot.testing.clock import START
from bot.testing.sources import reading_http

Answer = tuple[int, Mapping[str, str], bytes]
ZONE = ZoneInfo("UTC")


@dataclass
class Server:
    """Answers by `say(path, headers)`; keeps what it was asked."""

    base: str
    say: Callable[[str, Mapping[str, str]], Answer]
    asked: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving(say: Callable[[str, Mapping[str, str]], Answer]) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.asked.append({"path": self.path, **headers})
            status, answer, body = server.say(self.path, headers)
            self.send_response(status)
            for name, value in answer.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status != 304:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{listener.server_address[1]}", say)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def rss(*numbers: int, extra: str = "", item: str = "") -> bytes:
    """A feed of numbered items; number n was published n minutes after midnight of 24 November."""
    items = "".join(
        f"<item><title>Story number {n}</title><link>https://example.com/{n}</link><guid>https://example.com/{n}</guid>"
        f"<pubDate>Tue, 24 Nov 2026 {n // 60 % 24:02}:{n % 60:02}:00 GMT</pubDate>{item}</item>"
        for n in numbers
    )
    return f'<rss version="2.0"><channel><title>x</title>{extra}{items}</channel></rss>'.encode()


def feed(server: Server, **options: Any) -> Feed:
    return Feed("wire", FeedOptions(url=f"{server.base}/feed", allow_private=True, **options), ZONE)


def fixed(status: int, headers: Mapping[str, str], body: bytes) -> Callable[[str, Mapping[str, str]], Answer]:
    return lambda path, asked: (status, headers, body)


# -- conditional requests -----------------------------------------------------------------------------------------


def test_p71_validators_go_back_verbatim_and_304_is_unchanged() -> None:
    stamp = "Tue, 24 Nov 2026 10:00:00 GMT"

    def say(path: str, asked: Mapping[str, str]) -> Answer:
        if asked.get("if-none-match") == 'W/"a-gzip"' and asked.get("if-modified-since") == stamp:
            return 304, {"Cache-Control": "max-age=600"}, b""
        return 200, {"ETag": 'W/"a-gzip"', "Last-Modified": stamp}, rss(1)

    with serving(say) as server, reading_http() as http:
        source = feed(server)
        first = source.fetch({}, http, START)
        second = source.fetch(first.cursor, http, START + timedelta(minutes=5))
        third = source.fetch(second.cursor, http, START + timedelta(minutes=10))
    assert len(first.articles) == 1
    assert (second.unchanged, second.articles, second.next_in) == (True, (), 600.0)
    assert third.unchanged
    assert "if-none-match" not in server.asked[0]
    assert "application/atom+xml" in server.asked[0]["accept"]
    assert server.asked[0]["user-agent"].startswith("Wirepost/")


def test_p71_a_server_that_answers_304_for_ever_is_asked_without_validators_once_a_day() -> None:
    def say(path: str, asked: Mapping[str, str]) -> Answer:
        return (304, {}, b"") if "if-none-match" in asked else (200, {"ETag": '"old"'}, body[0])

    body = [rss(1)]
    with serving(say) as server, reading_http() as http:
        source = feed(server)
        cursor = source.fetch({}, http, START).cursor
        body[0] = rss(1, 2)
        found = None
        for hours in range(1, 26):
            batch = source.fetch(cursor, http, START + timedelta(hours=hours))
            cursor = batch.cursor
            if batch.articles:
                found = hours
                break
    assert found == 24


def test_p71_a_changed_feed_under_the_same_strong_etag_turns_conditions_off_and_says_so() -> None:
    body = [rss(1)]

    def say(path: str, asked: Mapping[str, str]) -> Answer:
        return (304, {}, b"") if "if-none-match" in asked and len(body) > 1 else (200, {"ETag": '"same"'}, body[-1])

    with serving(say) as server, reading_http() as http:
        source = feed(server)
        first = source.fetch({}, http, START)
        body[0] = rss(1, 2)
        second = source.fetch(first.cursor, http, START + timedelta(days=1, minutes=1))
        third = source.fetch(second.cursor, http, START + timedelta(days=1, minutes=6))
    assert [note for note in second.notes if "ETag" in note]
    assert len(second.articles) == 2
    assert "if-none-match" not in server.asked[-1]
    assert third.unchanged


def test_p71_a_last_modified_of_the_year_2041_is_never_sent_back() -> None:
    with (
        serving(fixed(200, {"Last-Modified": "Tue, 01 Jan 2041 00:00:00 GMT"}, rss(1))) as server,
        reading_http() as http,
    ):
        source = feed(server)
        cursor = source.fetch({}, http, START).cursor
        source.fetch(cursor, http, START + timedelta(minutes=5))
    assert "if-modified-since" not in server.asked[1]


def test_a_document_that_could_not_be_parsed_leaves_the_validators_of_the_last_good_one() -> None:
    answers = [
        (200, {"ETag": '"good"'}, rss(1)),
        (200, {"ETag": '"bad"'}, b"<html><body>Oops</body></html>"),
        (304, {}, b""),
    ]
    with serving(lambda path, asked: answers.pop(0)) as server, reading_http() as http:
        source = feed(server)
        cursor = source.fetch({}, http, START).cursor
        with pytest.raises(NotFeed):
            source.fetch(cursor, http, START + timedelta(minutes=5))
        source.fetch(cursor, http, START + timedelta(minutes=10))
    assert server.asked[2]["if-none-match"] == '"good"'


def test_the_same_items_with_a_new_build_date_are_unchanged() -> None:
    bodies = [rss(1, extra=f"<lastBuildDate>{n}</lastBuildDate><!-- cached {n} -->") for n in range(2)]
    with serving(lambda path, asked: (200, {}, bodies.pop(0))) as server, reading_http() as http:
        source = feed(server)
        first = source.fetch({}, http, START)
        assert source.fetch(first.cursor, http, START).unchanged


def test_a_new_address_in_the_settings_forgets_the_old_ones_validators() -> None:
    with serving(fixed(200, {"ETag": '"a"'}, rss(1))) as server, reading_http() as http:
        cursor = feed(server).fetch({}, http, START).cursor
        other = Feed("wire", FeedOptions(url=f"{server.base}/other", allow_private=True), ZONE)
        assert other.fetch(cursor, http, START).articles
    assert "if-none-match" not in server.asked[1]


# -- statuses -----------------------------------------------------------------------------------------------------

CHALLENGE = b"<!DOCTYPE html><title>Just a moment...</title><script src='/cdn-cgi/challenge-platform/a.js'></script>"


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (403, {}, b"Forbidden", 1800.0),
        (401, {}, b"", 1800.0),
        (429, {"Retry-After": "7200"}, b"", 7200.0),
        (429, {"Retry-After": "999999"}, b"", 86400.0),
        (200, {}, CHALLENGE, 1800.0),
        (503, {"Retry-After": "2400"}, CHALLENGE, 2400.0),
    ],
)
def test_p72_a_refusal_is_blocked_and_says_whom_to_let_in(
    status: int, headers: dict[str, str], body: bytes, seconds: float
) -> None:
    with serving(fixed(status, headers, body)) as server, reading_http() as http:
        with pytest.raises(Blocked) as caught:
            feed(server, user_agent="HarbourBot/1").fetch({}, http, START)
        assert caught.value.retry_after == seconds
        assert server.base in str(caught.value)
        assert "HarbourBot/1" in str(caught.value)
        assert server.asked[0]["user-agent"] == "HarbourBot/1"


def test_p72_retry_after_may_be_a_date() -> None:
    def say(path: str, asked: Mapping[str, str]) -> Answer:
        return 429, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, b""

    with serving(say) as server, reading_http() as http, pytest.raises(Blocked) as caught:
        feed(server).fetch({}, http, START)
    assert caught.value.retry_after == 86_400.0


@pytest.mark.parametrize(
    ("status", "error"), [(404, Unreachable), (410, Ended), (500, Unreachable), (502, Unreachable), (418, Unreachable)]
)
def test_a_status_has_its_own_error(status: int, error: type[SourceError]) -> None:
    with serving(fixed(status, {"Retry-After": "90"}, b"no")) as server, reading_http() as http:
        with pytest.raises(error) as caught:
            feed(server).fetch({}, http, START)
        assert caught.value.status == status
        assert caught.value.retry_after == (None if status == 410 else 90.0)


def test_an_html_page_names_the_feed_that_it_announces() -> None:
    link = b'<link rel="alternate" type="application/atom+xml" href="/atom.xml">'
    page = b"<html><head><title>News</title>" + link + b"</head></html>"
    with serving(fixed(200, {"Content-Type": "application/rss+xml"}, page)) as server, reading_http() as http:
        wanted = pytest.raises(NotFeed, match=f"titled “News”.*{server.base}/atom.xml")
        with wanted:
            feed(server).fetch({}, http, START)


def test_too_many_bytes_are_refused_and_the_option_is_named() -> None:
    refused = pytest.raises(TooLarge, match="max_bytes")
    with serving(fixed(200, {}, rss(*range(100)))) as server, reading_http() as http, refused:
        feed(server, max_bytes=2_000).fetch({}, http, START)


def test_options_are_checked_with_words() -> None:
    for wrong in (
        {"url": "ftp://example.com/x"},
        {"url": "feed.xml"},
        {"url": "https://example.com/", "max_bytes": 2**40},
    ):
        with pytest.raises(ValidationError):
            FeedOptions(**wrong)
    with pytest.raises(ValidationError, match="slug"):
        FeedOptions(url="https://example.com/f", link="https://example.com/{nonsense}")


# -- moves --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "proposed"), [(301, True), (308, True), (302, False), (307, False)])
def test_p75_a_permanent_move_is_proposed_after_three_polls(status: int, proposed: bool) -> None:
    def say(path: str, asked: Mapping[str, str]) -> Answer:
        return (status, {"Location": "/new"}, b"") if path == "/feed" else (200, {"ETag": '"x"'}, rss(1))

    with serving(say) as server, reading_http() as http:
        source, cursor, moves = feed(server), {}, []
        for poll in range(3):
            batch = source.fetch(cursor, http, START + timedelta(hours=poll))
            cursor, moves = batch.cursor, [*moves, batch.moved_to]
        assert moves == [None, None, f"{server.base}/new" if proposed else None]


def test_p75_a_loop_ends_with_an_error() -> None:
    with serving(fixed(301, {"Location": "/feed"}, b"")) as server, reading_http() as http:
        with pytest.raises(Unreachable, match="5 redirects"):
            feed(server).fetch({}, http, START)
        assert len(server.asked) == 6


def test_p75_another_site_is_proposed_and_not_read() -> None:
    hops = ((301, "https://feeds.example.org/x"),)
    answer = Response(200, httpx.Headers(), rss(1), "https://feeds.example.org/x", START, hops)
    known: dict[str, Any] = {}
    moves = [_move(answer, "https://example.com/feed", known) for _ in range(3)]
    assert all(one.elsewhere and "feeds.example.org" in one.note for one in moves)
    assert [one.to for one in moves] == [None, None, "https://feeds.example.org/x"]
    at_home = replace(answer, hops=((301, "https://www.example.com/feed"),))
    assert not _move(at_home, "https://example.com/feed", known).elsewhere


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://example.com/a", "https://www.example.com/b", True),
        ("http://example.com/a", "https://example.com/a", True),
        ("https://a.co.uk/", "https://b.co.uk/", False),
        ("https://one.github.io/", "https://two.github.io/", False),
        ("https://example.com/", "https://example.org/", False),
    ],
)
def test_p75_a_site_is_its_registrable_domain(one: str, other: str, same: bool) -> None:
    assert same_site(one, other) is same


# -- when to look again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "extra", "seconds"),
    [
        ({"Cache-Control": "public, max-age=900", "Age": "300"}, "", 600.0),
        ({"Cache-Control": "max-age=60"}, "<ttl>30</ttl>", 1800.0),
        ({"Expires": "Tue, 24 Nov 2026 15:07:00 GMT"}, "", 3600.0),
        ({"Expires": "0", "Cache-Control": "no-cache"}, "", None),
        ({"Cache-Control": "max-age=99999999"}, "", 86400.0),
        ({}, "<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>2</sy:updateFrequency>", 1800.0),
        ({}, "<ttl>nonsense</ttl>", None),
    ],
)
def test_the_server_and_the_feed_say_when_to_come_again(
    headers: dict[str, str], extra: str, seconds: float | None
) -> None:
    with serving(fixed(200, headers, rss(1, extra=extra))) as server, reading_http() as http:
        assert feed(server).fetch({}, http, START).next_in == seconds


def test_p74_no_overlap_with_the_last_window_is_said() -> None:
    bodies = [rss(*range(20, 0, -1)), rss(*range(30, 10, -1)), rss(*range(90, 70, -1))]
    with serving(lambda path, asked: (200, {}, bodies.pop(0))) as server, reading_http() as http:
        source, cursor, notes = feed(server), {}, []
        for poll in range(3):
            batch = source.fetch(cursor, http, START + timedelta(minutes=5 * poll))
            cursor, notes = batch.cursor, [*notes, [note for note in batch.notes if note.startswith("window_overrun")]]
    assert [len(one) for one in notes] == [0, 0, 1]


def test_p74_a_busy_feed_is_polled_so_often_that_nothing_is_lost() -> None:
    """1,000 stories, 200 an hour, a window of 20: who looks when `next_in` says (else every 5 min) sees them all."""
    now = [START]

    def say(path: str, asked: Mapping[str, str]) -> Answer:
        newest = int((now[0] - START).total_seconds() / 18)  # one every 18 s
        return 200, {}, rss(*range(newest, max(newest - 20, -1), -1))

    with serving(say) as server, reading_http() as http:
        source, cursor, seen = feed(server), {}, set()
        while (now[0] - START) < timedelta(hours=5):
            batch = source.fetch(cursor, http, now[0])
            cursor = batch.cursor
            seen |= {one.link for one in batch.articles}
            now[0] += timedelta(seconds=batch.next_in or 300)
    assert len(seen) >= 980
    assert {f"https://example.com/{n}" for n in range(980)} <= seen
    assert len(server.asked) < 250


def test_a_feed_that_suddenly_lists_almost_nothing_withdraws_nothing() -> None:
    bodies = [rss(*range(20, 0, -1)), rss()]
    with serving(lambda path, asked: (200, {}, bodies.pop(0))) as server, reading_http() as http:
        source = feed(server)
        first = source.fetch({}, http, START)
        second = source.fetch(first.cursor, http, START + timedelta(minutes=5))
    assert second.gone == ()
    assert not second.complete
    assert "0 items where it listed 20" in second.notes[0]
    assert second.cursor["ids"] == first.cursor["ids"]


# -- one article, once more ---------------------------------------------------------------------------------------


def test_an_article_is_gone_only_while_older_ones_are_still_listed() -> None:
    with serving(fixed(200, {}, rss(5, 4, 3, 2, 1))) as server, reading_http() as http:
        source = feed(server)
        before = source.fetch({}, http, START)
        article = before.articles[2]
        server.say = fixed(200, {}, rss(6, 5, 4, 2, 1))
        assert source.read(article, http, START) == Gone(article.guid, "no longer listed though 2 older ones are")
        server.say = fixed(200, {}, rss(9, 8, 7, 6, 5))
        assert source.read(article, http, START) is None
        server.say = fixed(503, {}, b"")
        assert source.read(article, http, START) is None
        server.say = fixed(200, {}, rss(3).replace(b"Story number 3", b"Another headline"))
        again = source.read(article, http, START)
        assert not isinstance(again, Gone)
        assert again is not None
        assert again.headline == "Another headline"


def test_an_article_under_a_new_id_is_found_by_its_link() -> None:
    with serving(fixed(200, {}, rss(3))) as server, reading_http() as http:
        source = feed(server)
        article = source.fetch({}, http, START).articles[0]
        found = source.read(replace(article, guid="changed"), http, START)
    assert found == article


# -- much, and hostile --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newest_first", [True, False])
def test_p22_ten_thousand_items_are_bounded_and_the_newest_are_among_them(newest_first: bool) -> None:
    numbers = [*range(1_300)] * 8  # 10,400 items; 1,300 minutes fit into the day
    many = sorted(numbers, reverse=newest_first)
    body = rss(*many).replace(b"https://example.com/0<", b"https://example.com/first<")
    with serving(fixed(200, {}, body)) as server, reading_http() as http:
        source = feed(server, max_bytes=32 * 1024 * 1024, max_items=200)
        first = source.fetch({}, http, START)
        assert len(first.articles) == 25  # 200 items, each guid eight times
        assert "10,400 items" in first.notes[0]
        assert "max_items" in first.notes[0]
        assert any(one.link == "https://example.com/1299" for one in first.articles)
        late = rss(1301, *many) if newest_first else rss(*many, 1301)
        server.say = fixed(200, {}, late)
        second = source.fetch(first.cursor, http, START + timedelta(minutes=5))
        assert any(one.link == "https://example.com/1301" for one in second.articles)


def test_p73_entity_bombs_are_refused_and_plain_entities_are_not() -> None:
    laughs = b'<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + rss(1, extra="<description>&b;</description>")
    quadratic = (
        b'<!DOCTYPE r [<!ENTITY a "'
        + b"x" * 30_000
        + b'">]>'
        + rss(1, extra="<description>" + "&a;" * 2_000 + "</description>")
    )
    outside = b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + rss(1)
    hidden = b'<!DOCTYPE r [<!ENTITY % p "x"> %p;]>' + rss(1)
    with reading_http() as http:
        for bomb, error in ((laughs, NotFeed), (quadratic, TooLarge), (outside, NotFeed), (hidden, NotFeed)):
            with serving(fixed(200, {}, bomb)) as server, pytest.raises(error, match="entit"):
                feed(server).fetch({}, http, START)


def test_p73_a_feed_of_22_mb_with_111000_plain_entities_parses_when_the_cap_is_raised() -> None:
    text = "fish &amp; chips, " * 111_000
    body = rss(1, item=f"<description>{text}{'and more words ' * 1_350_000}</description>")
    assert len(body) > 22_000_000
    with serving(fixed(200, {}, body)) as server, reading_http(max_bytes=32 * 1024 * 1024) as http:
        batch = feed(server, max_bytes=32 * 1024 * 1024).fetch({}, http, START)
    assert batch.articles[0].summary.startswith("fish & chips, fish & chips")


def test_p46_two_hundred_titles_with_entities_in_every_form_say_the_same() -> None:
    signs = {"’": ("rsquo", 8217), "&": ("amp", 38), "é": ("eacute", 233), "–": ("ndash", 8211), "“": ("ldquo", 8220)}
    titles: list[tuple[str, str]] = []
    for sign, (name, number) in signs.items():
        forms = [f"&{name};", f"&#{number};", f"&#x{number:x};", f"&#X{number:X};", sign]
        for form in forms:
            plain = form if form != "&" else "&amp;"
            twice = form.replace("&", "&amp;") if form != "&" else "&amp;amp;"
            for shape in (
                "It{}s a long day",
                "Night at the museum {} here",
                "<![CDATA[It{}s a long day]]>",
                "<![CDATA[Once {} again]]>",
            ):
                inside = shape.startswith("<![CDATA[")
                for written in (form if inside else plain, twice if not inside else form):
                    said = shape.removeprefix("<![CDATA[").removesuffix("]]>").format(sign)
                    titles.append((shape.format(written), said))
    assert len(titles) >= 200
    literal = [
        ("How to write &amp;amp;lt;br&amp;amp;gt; in HTML", "How to write &lt;br&gt; in HTML"),
        ("What &amp;amp;nbsp; is for, the HTML entity", "What &nbsp; is for, the HTML entity"),
        ("<![CDATA[The entity &amp;amp; explained]]>", "The entity &amp; explained"),
    ]
    items = "".join(
        f"<item><title>{raw}</title><link>https://example.com/{n}</link></item>"
        for n, (raw, _) in enumerate([*titles, *literal])
    )
    body = f'<rss version="2.0"><channel>{items}</channel></rss>'.encode()
    with serving(fixed(200, {}, body)) as server, reading_http() as http:
        batch: Batch = feed(server).fetch({}, http, START)
    wrong = [
        (raw, one.headline)
        for (raw, said), one in zip([*titles, *literal], batch.articles, strict=True)
        if one.headline != said
    ]
    assert not wrong


def test_everything_is_asked_of_the_one_address_and_nothing_else() -> None:
    body = rss(
        1, item='<description>&lt;img src="/pixel.png"&gt;</description>', extra="<image><url>/logo.png</url></image>"
    )
    with serving(fixed(200, {}, body)) as server, reading_http() as http:
        feed(server).fetch({}, http, datetime.fromisoformat("2026-11-24T10:00:00+00:00"))
    assert [one["path"] for one in server.asked] == ["/feed"]
