"""The outbox is a network of its own: exactly once, whatever happens to its files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.errors import NotSent
from bot.model import Card, Image, Post
from bot.networks.outbox import Outbox, OutboxOptions
from bot.testing.networks import Nowhere
from bot.testing.samples import NOW, sample_post

_WRITER = """
import sys
from pathlib import Path
from bot.networks.outbox import Outbox, OutboxOptions
from bot.testing.networks import Nowhere
from bot.testing.samples import sample_post
outbox = Outbox(OutboxOptions(folder=Path(sys.argv[1]), echo=False), {}, {}, Nowhere())
payload = outbox.render(sample_post(outbox.bounds()))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2]), 1_000_000):
    outbox.send(payload, f"{number:064x}")
    print(number, flush=True)
"""


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return _outbox(tmp_path)


def _outbox(folder: Path, *, echo: bool = False) -> Outbox:
    return Outbox(OutboxOptions(folder=folder, echo=echo), {}, {}, Nowhere())


def _send(outbox: Outbox, number: int, **changes: object) -> str:
    post = sample_post(outbox.bounds(), **changes)
    return outbox.send(outbox.render(post), f"{number:064x}").remote_id


def _writer(folder: Path, start: int) -> subprocess.Popen[str]:
    """A process that waits for a line and then sends one key after the other, from `start` on."""
    command = [sys.executable, "-c", _WRITER, str(folder), str(start)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def _start(writer: subprocess.Popen[str]) -> None:
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()


def _lines(folder: Path) -> Iterator[dict[str, str]]:
    return (json.loads(line) for line in (folder / "posts.jsonl").read_text("utf-8").splitlines())


def test_the_same_key_writes_one_line_whoever_sends_it(tmp_path: Path) -> None:
    """Four processes send the same keys at the same time: one line for each key."""
    with ExitStack() as running:
        writers = [running.enter_context(_writer(tmp_path, 0)) for _ in range(4)]
        for writer in writers:
            _start(writer)
        for writer in writers:
            assert writer.stdout is not None
            assert [int(writer.stdout.readline()) for _ in range(60)] == list(range(60))
        for writer in writers:
            writer.kill()
    keys = [int(line["key"], 16) for line in _lines(tmp_path)]
    assert keys == list(range(len(keys)))


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.soak)])
def test_p03_a_killed_writer_leaves_each_post_once_and_whole(kills: int, tmp_path: Path) -> None:
    """Killed with -9 in the middle of writing; the next one goes on with the last number that it can't be sure of."""
    confirmed: list[int] = []
    for _ in range(kills):
        start = confirmed[-1] if confirmed else 0
        with _writer(tmp_path, start) as writer:
            _start(writer)
            assert writer.stdout is not None
            confirmed += [int(writer.stdout.readline()) for _ in range(25)]
            writer.send_signal(signal.SIGKILL)
            confirmed += [int(line) for line in writer.stdout if line.endswith("\n")]
    outbox = _outbox(tmp_path)
    _send(outbox, confirmed[-1] + 1)
    keys = [int(line["key"], 16) for line in _lines(tmp_path)]
    assert len(keys) == len(set(keys))
    assert set(confirmed) <= set(keys)


def test_a_half_line_of_a_crash_is_cut_off(outbox: Outbox, tmp_path: Path) -> None:
    _send(outbox, 1)
    with (tmp_path / "posts.jsonl").open("ab") as file:
        file.write(b'{"key":"' + b"2" * 64 + b'","text":"half')
    payload = outbox.render(sample_post(outbox.bounds()))
    assert outbox.find(payload, "2" * 64, NOW) is None
    _send(outbox, 2)
    assert [line["key"] for line in _lines(tmp_path)] == [f"{number:064x}" for number in (1, 2)]


@pytest.mark.parametrize("damage", ["missing", "garbage", "behind", "of another file"])
def test_the_index_is_made_anew_from_the_posts(damage: str, outbox: Outbox, tmp_path: Path) -> None:
    """Whatever became of it, a known key is found and not written again."""
    keys = [number << 192 for number in range(5)]
    sent = [_send(outbox, key) for key in keys]
    index, posts = tmp_path / "posts.index", tmp_path / "posts.jsonl"
    if damage == "missing":
        index.unlink()
    elif damage == "garbage":
        index.write_bytes(b"no database" * 500)
    elif damage == "behind":
        saved = posts.read_bytes()
        posts.write_bytes(saved + saved.replace(b'"key":"000', b'"key":"fff'))
    else:
        posts.write_bytes(b"".join(reversed(posts.read_bytes().splitlines(keepends=True))))
    before = posts.read_bytes()
    assert [_send(outbox, key) for key in keys] == sent
    if damage == "behind":
        assert outbox.find(outbox.render(sample_post(outbox.bounds())), "fff" + f"{keys[3]:064x}"[3:], NOW) is not None
    assert posts.read_bytes() == before


def test_a_line_that_a_hand_spoilt_is_passed_over(outbox: Outbox, tmp_path: Path) -> None:
    _send(outbox, 1)
    with (tmp_path / "posts.jsonl").open("a") as file:
        file.write("an editor was here\n[]\n")
    _send(outbox, 2)
    assert len(outbox.recent(NOW - timedelta(days=1))) == 2


def test_a_folder_that_cannot_be_written_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotSent, match=r"file.*can't be written"):
        _send(_outbox(tmp_path / "file" / "outbox"), 1)


def test_a_full_disk_is_not_sent_and_leaves_nothing(tmp_path: Path) -> None:
    """P101: a file-size limit stands for the full disk; the line that didn't fit is gone, and the next one fits."""
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from bot.errors import NotSent\nfrom bot.networks.outbox import Outbox, OutboxOptions\n"
        "from bot.testing.networks import Nowhere\nfrom bot.testing.samples import sample_post\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "outbox = Outbox(OutboxOptions(folder=Path(sys.argv[1]), echo=False), {}, {}, Nowhere())\n"
        "payload = outbox.render(sample_post(outbox.bounds()))\noutbox.send(payload, '1' * 64)\n"
        "posts = Path(sys.argv[1]) / 'posts.jsonl'\nsize = posts.stat().st_size\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "journal = sys.modules['bot.journal']\nopened = journal.Journal(posts)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, hard))\n"
        "try: opened.append({'key': '2' * 64, 'text': 'x' * 900})\n"
        "except journal.JournalError as error: print(error.nothing_written, posts.stat().st_size == size)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\nopened.close()\n"
        "print(outbox.send(payload, '2' * 64).remote_id)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "post-2222222222222222"]
    assert len(list(_lines(tmp_path))) == 2


def test_the_page_shows_text_never_markup(outbox: Outbox, tmp_path: Path) -> None:
    """P71, P72: a hostile headline or link is words on the page; nothing may run or load there."""
    hostile = '<script>alert(1)</script> & "quotes" <img src=x onerror=y>'
    image = Image("https://www.example.com/a.jpg", '"><script>')
    _send(outbox, 1, headline=hostile, card=Card("javascript:alert(1)", hostile, hostile, image))
    _send(outbox, 2, headline=hostile, card=Card('https://www.example.com/?a=1&b="><x', hostile, hostile, image))
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "javascript:" not in page
    assert "default-src 'none'" in page
    assert "&lt;script&gt;alert(1)" in page
    assert 'href="https://www.example.com/?a=1&amp;b=&quot;&gt;&lt;x"' in page


def test_the_page_keeps_its_length(outbox: Outbox, tmp_path: Path) -> None:
    """Only the newest fifty are shown, newest first, so that a post costs the same on every day."""
    for number in range(53):
        _send(outbox, number << 192)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert page.count("<article") == 50
    assert page.index(f"post-{52:016x}") < page.index(f"post-{3:016x}")
    assert f"post-{2:016x}" not in page


def test_a_printed_post_cannot_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    post: Post = sample_post(_outbox(tmp_path).bounds())
    outbox = _outbox(tmp_path, echo=True)
    outbox.send(outbox.render(replace(post, text="Bridge \x1b[2J\x07 open\nhttps://www.example.com/")), "1" * 64)
    printed = capsys.readouterr().out
    assert printed == "-- 2026-03-02 09:30 UTC  desk\n  Bridge [2J open\n  https://www.example.com/\n"
