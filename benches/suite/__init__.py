"""The bench: servers, works, how they are measured, and what is written of it. `benches/run` puts it together."""
