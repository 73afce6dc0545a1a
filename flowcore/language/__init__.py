"""Tags, expressions and the smaller languages of a workflow document: pure functions from texts and values to values."""
