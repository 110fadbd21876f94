"""Masked words, next sentence, classifier, tagger, answer spans, pooling; and the model they make with an encoder."""
