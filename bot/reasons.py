"""A sentence for every reason: what it means, what to do about it, and how it reads beside a post.

The console, the command line, the alerts and docs/flow.md all take their words from here, so that a reason reads the
same everywhere. The words are an editor's: nothing of queues, protocols or status numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bot.model import Reason, Why


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a reason means, what a person can do ("" where time alone mends it), and the pattern of its why-sentence.

    In `why`, `{detail}` is the detail of the `Why`; other names are values that a caller may add: `account` (its name),
    `until`, `at` (times as they are to be shown). A detail that begins with "until " is the value `until`. A part in
    square brackets is left out where one of its values is missing or empty.
    """

    meaning: str
    do: str
    why: str


def _waits(why: str, meaning: str, do: str = "") -> Sentence:
    return Sentence(meaning, do, f"Waiting: {why}.")


def _no(why: str, meaning: str, do: str = "") -> Sentence:
    return Sentence(meaning, do, f"Didn't go[ to {{account}}]: {why}.")


def _held(why: str, meaning: str, do: str) -> Sentence:
    return Sentence(meaning, do, f"On hold: {why}.")


_YES = {
    Reason.ROUTE: Sentence(
        "A route takes this article to this account.",
        "To change it, edit the route or the order of the routes.",
        "Goes[ to {account}] by route[ {detail}].",
    ),
    Reason.AT_ONCE: Sentence(
        "Nothing stands in the way: it goes as soon as it is ready.",
        "",
        "Goes at once[ ({detail})].",
    ),
    Reason.SLOT: Sentence(
        "It takes the next free slot of its schedule.",
        "Move it to another slot, or change the schedule.",
        "Goes in the next free slot[ at {at}][ ({detail})].",
    ),
    Reason.PINNED: Sentence(
        "A person chose this time.",
        "Move it to change the time.",
        "Goes at the time that was chosen by hand[ ({detail})].",
    ),
}

_WAITS = {
    Reason.GAP: _waits(
        "the gap to the post before it[ ends at {until}][ ({detail})]",
        "Two posts of one account keep a least distance in time.",
        "To bring them closer, lower the account's gap.",
    ),
    Reason.CAP_HOUR: _waits(
        "the account's posts for this hour are used up[ until {until}][ ({detail})]",
        "The account has reached its most posts in an hour.",
        "To let more out, raise the account's cap for the hour.",
    ),
    Reason.CAP_DAY: _waits(
        "the account's posts for today are used up[ until {until}][ ({detail})]",
        "The account has reached its most posts in a day.",
        "To let more out, raise the account's cap for the day.",
    ),
    Reason.CAP_MONTH: _waits(
        "the account's posts for this month are used up[ until {until}][ ({detail})]",
        "The account has reached its most posts in a month.",
        "To let more out, raise the account's cap for the month.",
    ),
    Reason.QUIET: _waits(
        "quiet hours[ until {until}][ ({detail})]",
        "Nothing goes out on this account in its quiet hours.",
        "To send at night on purpose, give the route quiet = [].",
    ),
    Reason.BLACKOUT: _waits(
        "nothing goes out on this date[ ({detail})]",
        "The date is a blackout date of the house or of the schedule.",
        "Take the date out of the blackout list, or pin a time.",
    ),
    Reason.SETTLE: _waits(
        "a new article rests first, so that early fixes are in[, until {until}][ ({detail})]",
        "A new article waits its settle time before anything leaves.",
        "Breaking news skips it; the time is the source's settle setting.",
    ),
    Reason.EMBARGO: _waits(
        "under embargo[ until {until}][ ({detail})]",
        "The article carries an embargo and leaves when it ends.",
        "Only the newsroom system can change an embargo: mend the article there.",
    ),
    Reason.FUTURE: _waits(
        "the article is dated in the future[, {until}][ ({detail})]",
        "The publisher dated the article ahead; it goes out then, if it is still there.",
        "If the date is wrong, mend the article.",
    ),
    Reason.SPREAD: _waits(
        "the schedule spreads its posts over the time there is[ ({detail})]",
        "The schedule keeps posts apart, so that they don't come in a bunch.",
        "To bring them closer, lower the schedule's spread.",
    ),
    Reason.BACKOFF: Sentence(
        "The last try did not get through and proved that nothing went out; the next try follows by itself.",
        "Nothing is needed; retry tries at once.",
        "Trying again[ at {until}][: {detail}].",
    ),
    Reason.NETWORK_LIMIT: _waits(
        "the network takes no more from this account[ until {until}][ ({detail})]",
        "The network itself asked us to wait, and said until when.",
        "If it happens often, lower the account's caps.",
    ),
    Reason.BREAKER: _waits(
        "the account rests after failures in a row[ until {until}][ ({detail})]",
        "Several tries in a row failed, so the account is tried seldom until one gets through.",
        "See the account's last error with: wirepost accounts.",
    ),
    Reason.LOGIN: _waits(
        "the account needs a login[ ({detail})]",
        "The network no longer takes this account's login.",
        "Log in again; what is still fresh then goes out by itself.",
    ),
    Reason.BILLING: _waits(
        "the network wants payment or a permission for this account[ ({detail})]",
        "The account's plan, credit or permissions don't allow posting.",
        "Settle it with the network; the account is tried again once an hour.",
    ),
    Reason.STOPPED: _waits(
        "stopped[ until {until}][ ({detail})]",
        "A stop switch is on: nothing covered by it leaves.",
        "Lift it with: wirepost resume.",
    ),
    Reason.CLOCK_SKEW: _waits(
        "this machine's clock is wrong[ ({detail})]",
        "The clock differs so far from the networks' that no time can be trusted.",
        "Set the machine's clock (NTP); posting goes on by itself once they agree.",
    ),
    Reason.SOURCE_SILENT: _waits(
        "the source can't be asked whether the article still stands[ ({detail})]",
        "Just before a post the article is looked at again, and its source gives no answer.",
        "See the source's last error with: wirepost sources.",
    ),
}

_NO = {
    Reason.NO_ROUTE: _no(
        "no route takes it[ ({detail})]",
        "No route that names this account fits the article.",
        "To send such articles, add a route or widen one.",
    ),
    Reason.ROUTE_CLOSED: _no(
        "[{detail}]",
        "A route with an empty `to` keeps such articles off every account.",
        "If it should go out, change that route, or post it by hand.",
    ),
    Reason.BASELINE: _no(
        "it was there when the source was first looked at[ ({detail})]",
        "The first look at a source only takes note of what there is.",
        "To send some of it, use: wirepost backfill.",
    ),
    Reason.BEFORE_ACCOUNT: _no(
        "it is older than the account here[ ({detail})]",
        "The article was first seen before this account joined or went live.",
        "To send some of it, use: wirepost backfill.",
    ),
    Reason.REHEARSAL: _no(
        "the account is not live yet[ ({detail})]",
        "Posts of an account that is not live are made and timed, but not sent.",
        "Set live = true for the account when the posts look right.",
    ),
    Reason.STALE: _no(
        "too late[, {detail}]",
        "Its turn came later than its freshness allows.",
        "Release it by hand, raise max_age, or add slots.",
    ),
    Reason.CAP: _no(
        "no free place while it is fresh[ ({detail})]",
        "All the posts the account may make while this article is fresh are taken.",
        "Raise the account's caps, or release it by hand in place of another.",
    ),
    Reason.SAME_LINK: _no(
        "the same link went out there already[ ({detail})]",
        "No account gets the same link twice within the same_link time.",
        "To send another text of it, edit the post before it goes.",
    ),
    Reason.NEAR_DUPLICATE: _no(
        "a nearly identical headline came before it[ ({detail})]",
        "Its headline says the same as one of the last two days.",
        "If it is another story: wirepost release, or retry if it was skipped.",
    ),
    Reason.DUPLICATE_REJECTED: _no(
        "the network says that the account has this post already[ ({detail})]",
        "The network refused it as a repeat of another post.",
        "Change the text if it should go out all the same.",
    ),
    Reason.WITHDRAWN: _no(
        "the article was withdrawn[ ({detail})]",
        "Its source took the article down or says that it is gone.",
        "If it is back, release it by hand.",
    ),
    Reason.BY_HAND: Sentence(
        "A person decided this, not a route.",
        "Release, skip or retry it to decide otherwise.",
        "Decided by hand[ ({detail})].",
    ),
    Reason.ROUTE_CHANGED: _no(
        "the routes changed and none takes it here any more[ ({detail})]",
        "A change of the routes took this account off the article.",
        "Change the routes back, or post it by hand.",
    ),
    Reason.MERGED: _no(
        "it is the same story as another article[ ({detail})]",
        "Two articles turned out to be one; the other one carries the post.",
        "If they are two stories, post this one by hand.",
    ),
}

_HELD = {
    Reason.ROUTE_HOLD: _held(
        "the route wants a person to release it[ ({detail})]",
        "The route lets nothing out on this account without a person's yes.",
        "Release or skip it.",
    ),
    Reason.NO_LINK: _held(
        "the article has no link[ ({detail})]",
        "A post without a link to the story goes out only where its route says link = false.",
        "Give the article a link, set the source's link pattern, or allow it in the route.",
    ),
    Reason.NO_HEADLINE: _held(
        "the article has no headline[ ({detail})]",
        "There is nothing to write in the post.",
        "Give the article a headline, or write the post's text.",
    ),
    Reason.LINT: _held(
        "the headline looks like a placeholder[ ({detail})]",
        "Words such as TK or a test line stand where the headline should be.",
        "Mend the headline; if it is meant so, release it by name.",
    ),
    Reason.ENCODING: _held(
        "the text holds broken characters[ ({detail})]",
        "Letters were damaged on the way here, and would be damaged in public.",
        "Mend the text at its source, or write the post's text.",
    ),
    Reason.SENSITIVE: _held(
        "an edited text on a sensitive story needs a second person[ ({detail})]",
        "On stories of this kind a rewritten post is read by two.",
        "Another person compares it with the headline and releases it.",
    ),
    Reason.GUID_REUSE: _held(
        "another story came under the id or link of a known one[ ({detail})]",
        "The source used an id or a link twice; nobody but a person can tell which story it is.",
        "Release it if it is a new story, skip it if not.",
    ),
    Reason.FAR_FUTURE: _held(
        "its date can't be right[ ({detail})]",
        "The article is dated more than a year ahead.",
        "Mend the date, or release it.",
    ),
    Reason.EMBARGO_UNCLEAR: _held(
        "it speaks of an embargo whose end can't be read[ ({detail})]",
        "Something in the article looks like an embargo, but not when it ends.",
        "Find out, then release it or give the article a time that can be read.",
    ),
    Reason.BUDGET: _held(
        "the account's money for this month is spent[ ({detail})]",
        "One more post would cost more than cost_month allows.",
        "Raise the account's cost_month, or skip it.",
    ),
    Reason.MASS_CHANGE: _held(
        "too much changed in the source at once[ ({detail})]",
        "A source that moved, was imported or recovered shows old stories as new; nothing of it goes out by itself.",
        "Look at the list: mark all as seen, or choose what should go.",
    ),
    Reason.RULES_CHANGED: _held(
        "a change of the settings would newly send it[ ({detail})]",
        "A change of the settings opened more than it may without a person's yes.",
        "Look at the list, then release or skip.",
    ),
    Reason.CANNOT_FIT: _held(
        "the text doesn't fit the network[ ({detail})]",
        "Even the shortest form of the post is longer than the network takes.",
        "Shorten the text, or the link.",
    ),
    Reason.TEMPLATE: _held(
        "its template can't be used[ ({detail})]",
        "The template of the post has a fault.",
        "Mend the template; the post is then made anew.",
    ),
    Reason.UNREADABLE: _held(
        "the article can't be read[ ({detail})]",
        "The source gave something that is no whole article.",
        "Mend the article at its source.",
    ),
    Reason.CANNOT_TELL: _held(
        "it may be out, and the network can't tell[ ({detail})]",
        "The last try may have gone through, and looking it up could not settle it.",
        "Look at the account: say that it is there, or that it isn't.",
    ),
    Reason.RESTORED: _held(
        "the store was restored from a backup[ ({detail})]",
        "After a restore nothing leaves until a person has looked.",
        "Look at the account: release it if it isn't there; if it is, say so (wirepost lookup ID --there URL).",
    ),
    Reason.SOURCE_UNREACHABLE: _held(
        "the article could not be seen again before its time was over[ ({detail})]",
        "The article's page or source gave no answer for so long that nobody knows whether it still stands.",
        "Open the article: release it if it stands, skip it if not.",
    ),
}

_ENDS = {
    Reason.REFUSED: Sentence(
        "The network took it and said no, for good.",
        "Read its words, change the text or the picture, then retry, or skip it.",
        "Not sent[ to {account}]: the network refused it[: {detail}].",
    ),
    Reason.LOST_REPLY: Sentence(
        "It was sent, but no answer came: it may be out.",
        "Wirepost looks it up by itself; wirepost lookup does so at once.",
        "Unclear: it may be out[ ({detail})].",
    ),
    Reason.SENT: Sentence(
        "It is out, with the network's receipt.",
        "",
        "Sent[ to {account}][ at {at}][ ({detail})].",
    ),
    Reason.SEEN_GONE: Sentence(
        "It was seen on the network and later it was gone: somebody removed it there.",
        "It is never sent again by itself; post it by hand if it should be back.",
        "Withdrawn: it was removed on the network[ ({detail})].",
    ),
    Reason.TAKEN_DOWN: Sentence(
        "It was taken down on the network, with proof.",
        "It is never sent again by itself; post it by hand if it should be back.",
        "Withdrawn: it was taken down[ at {at}][ ({detail})].",
    ),
    Reason.NOT_VISIBLE: Sentence(
        "The network gave a receipt, but the post can't be seen there.",
        "Open the account and look whether it is there.",
        "Sent, but it can't be seen on the network[ ({detail})].",
    ),
}

#: One sentence for each reason.
SENTENCES: Mapping[Reason, Sentence] = MappingProxyType({**_YES, **_WAITS, **_NO, **_HELD, **_ENDS})

_PART = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"\{(\w+)\}")
_BARE = re.compile(r"(?:\s*:)?\s*\.$")


def sentence(why: Why, **values: object) -> str:
    """The sentence that stands beside a post, ending in one full stop: "Waiting: quiet hours until 06:00."

    `values` fill further names of the pattern (`account`, `until`, `at`); unknown ones are ignored, so that a caller
    can hand over whatever it has.
    """
    given = {name: str(value).strip() for name, value in values.items() if value is not None}
    given["detail"] = " ".join(why.detail.split()).rstrip(".")
    pattern = SENTENCES[why.reason].why
    if given["detail"].startswith("until ") and "{until}" in pattern and not given.get("until"):
        given["until"] = given.pop("detail").removeprefix("until ")

    def filled(part: str) -> str:
        return _NAME.sub(lambda match: given[match[1]], part)

    def whole_or_nothing(match: re.Match[str]) -> str:
        names = _NAME.findall(match[1])
        return filled(match[1]) if all(given.get(name) for name in names) else ""

    return _BARE.sub(".", _PART.sub(whole_or_nothing, pattern))
