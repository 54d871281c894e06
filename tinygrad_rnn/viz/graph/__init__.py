"""What is drawn: the graph of a tensor, its steps, its columns, and its coarser levels."""
