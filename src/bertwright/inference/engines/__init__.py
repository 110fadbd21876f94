"""Whatever form a model lies in, run: a batch in, named arrays out."""
