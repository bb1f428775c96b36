"""The ATM's side of the agent: visits in, signed decisions out."""
