"""The lock beside a store on SQLite: what it says, and what it leaves alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.errors import StoreError, StoreTaken
from bot.store.hold import Hold, owner_hint


def test_a_store_is_held_once_until_it_is_let_go(tmp_path: Path) -> None:
    """flock belongs to the open file, so that two in one process stand for two processes."""
    path = tmp_path / "wirepost.db"
    first, second = Hold(path), Hold(path)
    first.take()
    for _ in range(2):
        with pytest.raises(StoreTaken, match=rf"wirepost\.db is in use by process {os.getpid()}") as told:
            second.take()
        assert told.value.exit_code == 11
    second.release()  # it has nothing: the first one's hold stays
    with pytest.raises(StoreTaken):
        second.take()
    first.release()
    first.release()
    second.take()
    second.release()


def test_another_store_in_the_same_folder_is_free(tmp_path: Path) -> None:
    one, other = Hold(tmp_path / "one.db"), Hold(tmp_path / "other.db")
    one.take()
    other.take()
    other.release()
    one.release()


def test_the_number_of_a_dead_process_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "wirepost.db"
    lock = tmp_path / "wirepost.db.lock"
    lock.write_text("process 99999999999")
    held = Hold(path)
    held.take()
    assert lock.read_text() == f"process {os.getpid()}"
    held.release()


def test_a_folder_is_made_and_the_store_itself_is_not(tmp_path: Path) -> None:
    path = tmp_path / "var" / "deep" / "wirepost.db"
    held = Hold(path)
    held.take()
    assert [each.name for each in path.parent.iterdir()] == ["wirepost.db.lock"]
    held.release()


def test_p106_a_folder_that_cannot_be_used_is_named_with_its_owner_and_the_command(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be opened") as told:
        Hold(tmp_path / "file" / "wirepost.db").take()
    assert not isinstance(told.value, StoreTaken)
    found = tmp_path.stat()
    hint = owner_hint(tmp_path)
    assert f"belongs to {found.st_uid}:{found.st_gid}" in hint
    assert f"chmod -R u+rwX {tmp_path}" in hint  # it is ours: to take it over would change nothing
    assert owner_hint(tmp_path / "none") == f"Make the folder first: mkdir -p {tmp_path / 'none'}"
