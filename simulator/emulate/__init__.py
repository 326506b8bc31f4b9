"""Real daemons, started privately and ended with us: what the twin is measured against."""
