"""BERT itself: config, embeddings, attention, layer, encoder."""
