"""What moves and what is beside the graph: the page, heat maps through time, films."""
