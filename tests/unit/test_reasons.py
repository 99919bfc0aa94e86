"""Every reason has its sentence, in an editor's words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import Reason, Why
from bot.reasons import SENTENCES, sentence

# Words that no editor should have to know.
FORBIDDEN = re.compile(r"\b(payload|job|enqueue\w*|idempoten\w*|429|oauth|null|cron|guid|exception)\b", re.IGNORECASE)

#: Where nothing stands in the way or all is done, there is nothing to do.
NOTHING_TO_DO = {Reason.AT_ONCE, Reason.SENT}


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)


@pytest.mark.parametrize("reason", list(Reason))
def test_p26_words_of_an_editor(reason: Reason) -> None:
    words = SENTENCES[reason]
    spoken = [
        words.meaning,
        sentence(Why(reason)),
        sentence(Why(reason, "a detail"), account="x", until="06:00", at="9"),
    ]
    if reason in NOTHING_TO_DO:
        assert words.do == ""
    else:
        spoken.append(words.do)
    for text in spoken:
        assert text.endswith(".") and not text.endswith(".."), text
        assert text[0].isupper(), text
        assert FORBIDDEN.search(text) is None, text
        assert not re.search(r"[\[\]{}]|\s\s|\s[.,)]|\(\)|:\.", text.replace("quiet = []", "quiet")), text


@pytest.mark.parametrize("reason", list(Reason))
def test_the_detail_is_said(reason: Reason) -> None:
    assert "route politics" in sentence(Why(reason, "route politics"))
    assert "06:00" in sentence(Why(reason, "until 06:00"))


def test_sentences_read_as_an_editor_expects() -> None:
    assert sentence(Why(Reason.QUIET), until="06:00") == "Waiting: quiet hours until 06:00."
    assert sentence(Why(Reason.QUIET, "until 06:00")) == "Waiting: quiet hours until 06:00."
    assert (
        sentence(Why(Reason.GAP, "4 min after 14:06")) == "Waiting: the gap to the post before it (4 min after 14:06)."
    )
    assert sentence(Why(Reason.BY_HAND, "Ana")) == "Decided by hand (Ana)."
    assert (
        sentence(Why(Reason.STALE, "older than 6 h when first seen (published 03:12, seen 11:40)"))
        == "Didn't go: too late, older than 6 h when first seen (published 03:12, seen 11:40)."
    )
    assert (
        sentence(Why(Reason.SAME_LINK, "on 3 Nov, 7-day rule"), account="desk-x")
        == "Didn't go to desk-x: the same link went out there already (on 3 Nov, 7-day rule)."
    )
    assert sentence(Why(Reason.ROUTE, "politics")) == "Goes by route politics."
    assert (
        sentence(Why(Reason.ROUTE_CLOSED, "Commercial items stay off social accounts."))
        == "Didn't go: Commercial items stay off social accounts."
    )
    assert sentence(Why(Reason.ROUTE_CLOSED)) == "Didn't go."


def test_empty_values_and_strangers_are_left_out() -> None:
    assert sentence(Why(Reason.QUIET), until="", account=None, colour="red") == "Waiting: quiet hours."


@given(st.sampled_from(list(Reason)), st.text(max_size=60))
def test_no_detail_breaks_a_sentence(reason: Reason, detail: str) -> None:
    """Details hold the words of networks and editors: braces, brackets and line breaks stay what they are."""
    text = sentence(Why(reason, detail), until="{detail}", account="[x]")
    assert text.endswith(".")
    assert "\n" not in text
