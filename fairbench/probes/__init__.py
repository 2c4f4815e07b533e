"""One file for each way of asking a model about records; a probe returns answers."""
