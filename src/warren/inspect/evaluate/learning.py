"""learn(): the flow that a packet makes the switch write."""

from warren.inspect.evaluate.changes import read
from warren.inspect.evaluate.outcome import Learned
from warren.inspect.evaluate.packet import Values
from warren.inspect.parse import actions as a
from warren.inspect.parse.dump import Flow
from warren.inspect.parse.fields import Field
from warren.inspect.parse.match import Term, of_terms, terms_of


def learned_flow(bridge: str, action: a.Learn, values: Values) -> Learned:
    """What learn() writes after a packet with these values (lib/learn.c, learn_execute)."""
    terms: dict[Field, Term] = {}
    deeds: list[a.Action] = []
    for spec in action.specs:
        number = read(values, spec.source) if spec.source is not None else spec.value
        if spec.kind == "output":
            deeds.append(a.Output(port=number & 0xFFFF))
        elif spec.target is None:
            continue
        elif spec.kind == "match":
            _match(terms, spec.target, number)
        else:
            mask = ((1 << spec.target.bits) - 1) << spec.target.start
            deeds.append(a.SetField(field=spec.target.field, value=number << spec.target.start & mask, mask=mask))
    match = of_terms(terms)
    flow = Flow(
        table=action.table,
        priority=action.priority,
        match_text=str(match),
        actions_text=a.print_actions(tuple(deeds)),
        cookie=action.cookie,
        n_packets=0,
        n_bytes=0,
        duration_s=0.0,
        idle_timeout_s=action.idle_timeout_s,
        hard_timeout_s=action.hard_timeout_s,
        idle_age_s=0,
        hard_age_s=None,
        importance=0,
        flags=" ".join(flag for flag in action.flags if flag == "send_flow_rem"),
        line=0,
        match_column=1,
        actions_column=1,
    )
    return Learned(bridge=bridge, flow=flow, match=match)


def _match(terms: dict[Field, Term], target: a.Subfield, number: int) -> None:
    mask = (1 << target.bits) - 1
    for term in terms_of(target.field, 0, target.field.bits, number << target.start, mask << target.start):
        known = terms.get(term.cell, Term(term.cell, 0, 0))
        if term.mask:
            terms[term.cell] = Term(term.cell, known.value & ~term.mask | term.value, known.mask | term.mask)
