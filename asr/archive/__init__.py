"""Archives: as many recordings as there are, on as many machines; with Ray (extra `cluster`)."""
