"""The main job as its first user meets it: the shipped configuration, a real process, a real disk."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.process import eventually, house, log_of, posts, running, wirepost

SAMPLES = 6


def test_samples_become_posts_and_a_dropped_file_too_and_a_second_start_doubles_nothing(tmp_path: Path) -> None:
    folder = house(tmp_path)
    with running(folder) as child:
        eventually(lambda: len(posts(folder)) == SAMPLES, f"{SAMPLES} posts\n{log_of(folder)}")
        dropped = folder / "config" / "articles" / "ferry.md"
        dropped.write_text(
            "---\ntitle: Night ferry runs again from Monday\nlink: https://www.example.com/transport/ferry\n---\n"
            "The night ferry between the two harbours runs again from Monday, a year after the fire.\n"
        )
        eventually(lambda: len(posts(folder)) == SAMPLES + 1, "the dropped file's post")
        assert "Night ferry runs again from Monday" in str(posts(folder)[-1]["text"])
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0, log_of(folder)
    with running(folder) as child:
        eventually(lambda: log_of(folder).count("started") == 2, "the second start")
        (folder / "config" / "articles" / "bridge.json").write_text(
            '{"title": "Old bridge closes for a week", "link": "https://www.example.com/city/bridge"}'
        )
        eventually(lambda: len(posts(folder)) == SAMPLES + 2, f"the next post\n{log_of(folder)}")
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    links = [str(post["link"]) for post in posts(folder)]
    assert len(set(links)) == len(links) == SAMPLES + 2
    assert (folder / "var" / "outbox" / "index.html").exists()


@pytest.mark.parametrize("after", [1, 2, 3])
def test_p03_kill_9_in_the_middle_doubles_nothing_and_loses_nothing(tmp_path: Path, after: int) -> None:
    folder = house(tmp_path)
    with running(folder) as child:
        eventually(lambda: len(posts(folder)) >= after, "some posts")
        child.send_signal(signal.SIGKILL)
        child.wait(20)
    with running(folder) as child:
        eventually(lambda: len(posts(folder)) == SAMPLES, f"all posts\n{log_of(folder)}", within=150)
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0
    links = [str(post["link"]) for post in posts(folder)]
    assert len(set(links)) == len(links) == SAMPLES


def test_a_second_worker_on_one_file_is_refused_with_11(tmp_path: Path) -> None:
    folder = house(tmp_path)
    with running(folder):
        eventually(lambda: len(posts(folder)) >= 1, "the first worker")
        second = wirepost(folder, "run")
    assert second.returncode == 11
    assert "in use by process" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_mistake_in_the_settings_is_told_with_its_line_and_exit_2(tmp_path: Path) -> None:
    folder = house(tmp_path)
    path = folder / "config" / "wirepost.toml"
    path.write_text(path.read_text("utf-8").replace('network = "outbox"', 'network = "outbx"'))
    told = wirepost(folder, "run")
    assert told.returncode == 2
    assert "wirepost.toml:" in told.stderr
    assert "outbox" in told.stderr
    assert "Traceback" not in told.stderr
