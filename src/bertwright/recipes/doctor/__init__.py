"""A corpus, looked at before anything is made of it: `doctor`."""
