"""What is painted: the unrolled and the rolled view, the gradient, curves, and DOT."""
