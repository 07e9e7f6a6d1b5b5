"""The API server: attributes and rules (pure), store (the only SQL), http (the only web framework)."""
