"""A file of rows or texts -> a file of answers or vectors, in little memory, and gone on with after a kill."""
