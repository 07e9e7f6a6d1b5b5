"""One flow, one sentence: who, what happens, why, how long."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from warren.inspect.decode import Decoder, Meaning
from warren.inspect.explain.conditions import describe_match, mac
from warren.inspect.explain.context import Context, peer_address
from warren.inspect.explain.deeds import AND_GO_ON, THEN, describe_actions
from warren.inspect.parse import fields as f
from warren.inspect.parse.dump import Flow
from warren.inspect.parse.problem import Problem
from warren.inspect.parse.text import printable
from warren.pipeline.cookies import Concern, decode

_SENTENCE_LIMIT: Final = 4000
_SINGULAR: Final = {
    "are": "is", "have": "has", "go": "goes", "undergo": "undergoes", "pass": "passes", "teach": "teaches",
    "will,": "will,",
}  # fmt: skip
_decoded = lru_cache(maxsize=1024)(decode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A flow in words. `understood` is False where a part of it could not be read; `problem` says which."""

    flow: Flow
    sentence: str
    understood: bool = True
    problem: Problem | None = None


def explain(flows: Iterable[Flow], context: Context, decoder: Decoder, file: str = "-") -> Iterator[Explanation]:
    """Every flow of a bridge in words, in the order given."""
    matches: dict[str, str] = {}
    deeds: dict[str, str] = {}
    for flow in flows:
        meaning = decoder.meaning(flow, file)
        if isinstance(meaning, Problem):
            yield Explanation(
                flow=flow, sentence=f"Not understood: {meaning.message}.", understood=False, problem=meaning
            )
            continue
        subject = matches.get(flow.match_text)
        if subject is None:
            subject = matches[flow.match_text] = describe_match(meaning.match, context)
        predicate = deeds.get(flow.actions_text)
        if predicate is None:
            predicate = deeds[flow.actions_text] = describe_actions(meaning.actions, context)
        yield Explanation(flow=flow, sentence=_sentence(flow, meaning, (subject, predicate), context))


def _sentence(flow: Flow, meaning: Meaning, words: tuple[str, str], context: Context) -> str:
    subject, predicate = words
    is_miss = not flow.match_text and flow.priority == 0
    start = (
        "Everything else here" if is_miss else "All frames" if subject == "frames" else subject[0].upper() + subject[1:]
    )
    predicate = _singular(predicate) if is_miss else predicate
    is_learned = flow.hard_timeout_s > 0 and (flow.table, flow.priority, flow.cookie) in context.learned
    why = _birth(flow, meaning, context) if is_learned else _reason(flow, meaning, context)
    remark = ", ".join(filter(None, (why, _life(flow, is_learned=is_learned))))
    sentence = "; ".join(filter(None, (f"{start} {predicate}", remark)))
    return f"{printable(sentence, _SENTENCE_LIMIT)}."


def _singular(predicate: str) -> str:
    """The predicate of "everything else": verbs of the present tense get their s."""
    return THEN.join(map(_verb_in_singular, predicate.split(THEN)))


def _verb_in_singular(deed: str) -> str:
    verb, space, rest = deed.partition(" ")
    return _SINGULAR.get(verb, f"{verb}s") + space + rest.replace(AND_GO_ON, " and goes on to ")


def _birth(flow: Flow, meaning: Meaning, context: Context) -> str:
    """Where a learned entry comes from: a frame that this very address sent."""
    age = flow.duration_s if flow.hard_age_s is None else flow.hard_age_s
    address = meaning.match.exact(f.ETH_DST)
    sender = f" from a frame of {mac(address, context)}" if address is not None else ""
    refreshed = "learned" if flow.hard_age_s is None else "last learned"
    return f"{refreshed}{f' {age:.0f} s ago' if age is not None else ''}{sender}"


def _life(flow: Flow, *, is_learned: bool) -> str:
    remaining = flow.remaining_s
    if remaining is None:
        return ""
    return f"gone in {remaining:.0f} s{' unless refreshed' if is_learned or flow.idle_timeout_s else ''}"


def _reason(flow: Flow, meaning: Meaning, context: Context) -> str:
    """Why the flow is there: what its priority stands for in its table, and whom its cookie names."""
    note = ""
    if context.pipeline is not None and isinstance(flow.table, int):
        place = flow.table, flow.priority
        note = "" if meaning.actions else context.pipeline.drops.get(place, "")
        note = note or context.pipeline.notes.get(place, "")
    return ", ".join(filter(None, (note, _asked_for_by(flow.cookie, context))))


def _asked_for_by(cookie: int, context: Context) -> str:
    meaning = _decoded(cookie) if cookie else None
    if meaning is None or not int(meaning.object_digits, 16):
        return ""
    if meaning.concern is Concern.PEER:
        return f"asked for by the peer {peer_address(meaning.object_digits)}"
    known = context.objects.get(meaning.object_digits)
    concern = meaning.concern.name.lower().replace("_", " ")
    return f"asked for by {known or f'{meaning.object_digits} ({concern})'}"
