"""LangGraph graphs: the tuning loop."""
