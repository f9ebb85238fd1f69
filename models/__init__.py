"""Model files, chat models, decoding and the call log."""
