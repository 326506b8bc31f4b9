"""What came of faults: reports, verdicts, scenarios, how outages spread."""
