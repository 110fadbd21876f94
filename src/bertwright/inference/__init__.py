"""A model directory ready to answer: what is asked of it, and what runs it."""
