"""Where stacks' states are kept, behind one seam: a `Backend` says how the engine reaches a state, and nothing more."""
