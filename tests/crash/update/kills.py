"""Which results of a self-update a kill allows: the rules of a trial, as a table.

The launcher's record and the agent's, as they lay on disk at the kill, say where the attempt stood. So for every kill
there is exactly one thing, or a choice with a reason, that may become of it; a host in whose life nobody was killed has
to succeed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.values import Outcome, Stage
from fleetroll_agent.launcher.values import Ended, Origin, Reason, Trial
from tests.crash.real.host import SUCCEEDED
from tests.crash.real.verdicts import GOES_ON

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fleetroll_agent.launcher.values import Outcome as Word
    from tests.crash.real.kill import Kill

RENAME = "rename:products/agent.json"
FAILED = "FAILED unproven"
BAD, UNPROVEN = "ROLLED_BACK", "ROLLED_BACK unproven"


def legal(kill: Kill, said: Collection[str]) -> frozenset[str]:
    """Return what may become of the attempt after ``kill``: results, or that it goes on.

    Args:
        kill: that happened.
        said: the messages that the killed agent had written to the launcher by then.
    """
    known = kill.product.outcome(kill.generation)
    if known is not None:
        return frozenset({_result(known)})
    word = _word(kill)
    if word is not None:
        return frozenset({_meaning(word)})
    trial = kill.boot.trial
    if trial is not None:
        return _in_trial(kill, trial, said)
    return _before_trial(kill, said)


def in_its_last_moment(kill: Kill, words: frozenset[str], after: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return what may become of an attempt whose agent went on for a moment without a launcher.

    With a permit that it used then, nobody was there to arm the trial any more: the attempt has failed. Whether its
    last rename took place is not known.

    Args:
        kill: that happened.
        words: what may become of the attempt as the records were at the kill.
        after: the lines of the trace that the process at the point wrote after the kill.
    """
    attempt = kill.product.attempt
    if kill.victim != "parent" or kill.boot.trial is not None or attempt is None or attempt.past_go:
        return words
    if any(line["state"].startswith(Stage.APPLYING.value) for line in after):
        return frozenset({FAILED})
    began = kill.point if kill.do == "kill-before" else ""
    return words | {FAILED} if (after[-1]["point"] if after else began) == RENAME else words


def _before_trial(kill: Kill, said: Collection[str]) -> frozenset[str]:
    """Up to the permit an attempt goes on by itself; past it, one that was not armed has failed, through nobody."""
    attempt = kill.product.attempt
    if attempt is None or attempt.stage is not Stage.APPLYING:
        return frozenset({GOES_ON})
    arming = "arm" in said and not (kill.launcher_died and kill.at_launcher)
    return frozenset({FAILED, GOES_ON} if arming else {FAILED})


def _in_trial(kill: Kill, trial: Trial, said: Collection[str]) -> frozenset[str]:
    """Each start is a try; what the launcher saw end after its hello is bad, what it did not see is unproven."""
    if trial.starts == 0:
        return frozenset({GOES_ON})
    committing = trial.promoted or "promote" in said
    if kill.launcher_died:
        if trial.tries_left > 0:
            return frozenset({GOES_ON})
        return frozenset({UNPROVEN, SUCCEEDED} if committing and not kill.at_launcher else {UNPROVEN})
    if "hello" in said:
        return frozenset({BAD, SUCCEEDED} if committing else {BAD})
    return frozenset({GOES_ON} if trial.tries_left > 0 else {BAD})


def _word(kill: Kill) -> Word | None:
    """Return how the launcher ended the attempt, when it has."""
    words = (kill.boot.last, *kill.boot.earlier)
    return next((word for word in words if word is not None and _is_of(word, kill.generation)), None)


def _is_of(word: Word, generation: int) -> bool:
    named = word.attempt
    return named is not None and (named.origin, named.generation) == (Origin.SERVER, generation)


def _meaning(word: Word) -> str:
    if word.ended is Ended.COMMITTED:
        return SUCCEEDED
    return UNPROVEN if word.reason is Reason.UNPROVEN else BAD


def _result(outcome: Outcome) -> str:
    return outcome.said.value + (" unproven" if outcome.unproven else "")
