"""What the gradient does: a sweep that measures every edge, and the figures made of it."""
