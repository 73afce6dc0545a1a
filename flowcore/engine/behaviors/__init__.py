"""One module for each type of node: how it begins, how it goes on, how it ends."""
