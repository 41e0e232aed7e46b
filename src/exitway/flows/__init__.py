"""What was seen: one record for each denial and for the first use of each allowed destination."""
