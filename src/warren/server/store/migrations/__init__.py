"""Schema changes, additive, in order. The first one makes today's tables; HEAD in `schema` names the last."""
