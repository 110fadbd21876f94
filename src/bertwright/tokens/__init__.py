"""WordPiece: normalisation, tokenizer, vocabulary, learning one."""
