"""Other forms of a model, in and out, and whether they say the same."""
