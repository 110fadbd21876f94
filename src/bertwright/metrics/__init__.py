"""Scores of classes, tags, SQuAD and CMRC, correlation, calibration, intervals over seeds."""
