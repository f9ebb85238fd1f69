"""Notes, links, evolution, retrieval, transfer: what past studies teach the next one."""
