"""The way of an article, one verb a file. Start reading here.

     article stores                pure rules, no I/O                               networks
    sources/*.fetch()      routing → compose        timetable            networks/*.send()   .find()   .recent()
          │                        │                    │                       │               │
       discover ───────────────► plan ──────────────► schedule ──────────────► deliver ──────► reconcile
          │                        │                    │                       │               │
      article row         delivery: waiting        its due time            attempt row       receipt,
     (+ revision)        (or skipped or held,     (or skipped, held,      then outcome      absent or held
                            with reason)            with reason)

                      check: who are we on each network, may we still, and until when?

Steps never call each other: they meet in the store only. When one commits, it wakes the next; a slow tick is the safety
net. Each file has a pure decision on top (data in, intents out) and a thin `run()` at the bottom. A step's unit is one
transaction. Killed half-way, a step is run again and comes to the same result; only deliver leaves an attempt row
behind, and reconcile settles that by looking at the network.
"""

from bot.flow.newsroom import Account, Newsroom

#: The steps in the order of an article's way. Each is a module here with `run(newsroom) -> bool` (did it do anything?).
STEPS = ("discover", "check", "plan", "schedule", "deliver", "reconcile")

__all__ = ["STEPS", "Account", "Newsroom"]
