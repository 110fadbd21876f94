"""Documents, sentences, duplicates; scripts, boilerplate; the documentation found on this machine."""
