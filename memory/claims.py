"""Claims of code: added once they are sure, then supported, weakened or superseded by what comes; never deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .errors import NoteMissing
from .lessons import is_sure, standing
from .note import Evidence, Note, PastTrial, Standing
from .store import Store
from .ties import same_study, verdict


def claim(store: Store, note: Note, words: Callable[[Evidence], str], trials: Sequence[PastTrial]) -> None:
    """Bring a lesson in line with what is found now; one that was never sure is not made.

    Args:
        note: the lesson as it would be made now, with its evidence.
        words: the lesson in a sentence, of evidence that knows how the claim stands.
        trials: all of the task, oldest first.
    """
    found = note.evidence
    if found is None or (is_sure(found) and added(store, note)):
        return
    claimed = _claimed(store, note.id)
    if claimed is not None:
        now = found.model_copy(update={"standing": standing(claimed, found)})
        support(store, note, now, words(now), trials)


def added(store: Store, note: Note) -> bool:
    """Whether a note is new, and was added; with the link to what its study taught before."""
    with store.together(f"add {note.id}"):
        new = note.id in store.add([note])
        if new:
            store.add([], same_study(store, note))
    return new


def support(
    store: Store, note: Note, evidence: Evidence, content: str | None, trials: Sequence[PastTrial] = ()
) -> None:
    """New evidence for a note, unless it is what it has; where `trials` are given, with what they say of the claim."""
    before = store.get(note.id)
    if before.evidence != evidence:
        store.support(note.id, evidence, content, verdict(store, before, evidence, trials) if trials else ())


def _claimed(store: Store, note: str) -> Evidence | None:
    """Evidence that tells what a lesson claims: the latest that was sure, since a claim that was undone may have come
    back as its opposite. None where there is no such lesson."""
    try:
        told = [revision.evidence for revision in store.revisions(note) if revision.evidence is not None]
    except NoteMissing:
        return None
    sure = [evidence for evidence in told if evidence.standing is not Standing.WEAKENED]
    return next(iter(reversed(sure or told)), None)
