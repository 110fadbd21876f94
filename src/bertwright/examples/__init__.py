"""Segment pairs, masking, and which example is number i of epoch e."""
