"""Summarizer, planner, critic and coder: functions of data and a model."""
