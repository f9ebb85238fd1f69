"""LangGraph graphs: the tuning loop."""

import os

# Checkpoints hold plain values only; anything else in one is an attack or a fault. LangGraph reads this when it is
# first imported, so it is set before any module of this folder imports it.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
