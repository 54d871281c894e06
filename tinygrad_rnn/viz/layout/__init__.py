"""Where it stands: templates laid out by Graphviz, stamped once a step."""
